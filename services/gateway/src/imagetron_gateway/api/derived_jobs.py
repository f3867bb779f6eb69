"""What is submitted when somebody rerolls, varies or upscales an image: checked, with its source and its lineage. No routes."""

from dataclasses import dataclass, replace

from imagetron_chassis.principals import Principal
from imagetron_contracts.families import Family as Row
from imagetron_contracts.families import FamilyTable, UnknownFamily
from imagetron_contracts.spec import ParentImage, Source, Verb
from imagetron_contracts.stages import Lane
from imagetron_gateway.api.problems import InvalidRequest, Objection
from imagetron_gateway.api.schemas import GenerationOptions
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.api.verb_schemas import RerollBody, UpscaleBody, VaryBody
from imagetron_gateway.domain.catalogue import UPSCALER, Model
from imagetron_gateway.domain.choosing import Chosen
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.image_ids import image_at, parse_image_id
from imagetron_gateway.domain.job import Image, Job, JobKind, Lineage
from imagetron_gateway.domain.providers import Delivery
from imagetron_gateway.domain.sources import is_source_id
from imagetron_gateway.domain.verbs import enlarged, objection_to
from imagetron_gateway.ports import Jobs, ParentGone, ParentPicture, Parents, Sources
from imagetron_gateway.usecases.committing import JobMissing
from imagetron_gateway.usecases.submitting import NewJob


@dataclass(frozen=True, slots=True)
class Parent:
    """An image, the job that it belongs to, and its place there."""

    job: Job
    image: Image
    place: ParentImage

    @property
    def shape(self) -> Row:
        """Of its family, as it was when the job was made."""
        return self.job.families[self.place.family].shape


@dataclass(frozen=True, slots=True)
class DerivedJobs:
    """Makes new jobs of images and uploads. Raises JobMissing, NotAllowed, InvalidRequest, ModelCannotServe."""

    jobs: Jobs
    parents: Parents
    sources: Sources
    submissions: Submissions

    async def parent(self, image_id: str, principal: Principal, verb: Verb | None = None) -> Parent:
        """The image behind an id, if its state allows the verb."""
        place = parse_image_id(image_id)
        job = await self.jobs.get(place.job_id, principal) if place else None
        image = image_at(job, place) if job and place else None
        if place is None or job is None or image is None:
            raise JobMissing(f"no image {image_id!r}")
        if verb and (objection := objection_to(job, image, verb)):
            raise NotAllowed(objection)
        return Parent(job, image, place)

    async def reroll(self, image_id: str, asked: RerollBody, principal: Principal) -> NewJob:
        """The same inputs with another seed; of a varied image, another variation of the same source."""
        parent = await self.parent(image_id, principal, Verb.REROLL)
        job, begins_with_a_picture = parent.job, parent.job.source is not None
        options = _seeded(self._options_of(job), asked.seed if "seed" in asked.model_fields_set else None)
        verb = Verb.VARY if begins_with_a_picture else Verb.REROLL
        return self._new(
            parent,
            self.submissions.choose(options, verb),
            images=asked.images,
            name=asked.name,
            verb=verb,
            source=job.source,
            lineage=Lineage(verb=Verb.REROLL, parent=parent.place),
        )

    async def vary(self, image_id: str, asked: VaryBody, principal: Principal) -> NewJob:
        """Pictures that begin with an image or an upload."""
        seed = asked.seed if "seed" in asked.model_fields_set else None
        if is_source_id(image_id):
            return await self._vary_upload(image_id, asked, seed, principal)
        parent = await self.parent(image_id, principal, Verb.VARY)
        options = _seeded(asked.generation or self._options_of(parent.job), seed)
        picture = await self._picture(parent)
        new = self._new(
            parent,
            self.submissions.choose(options, Verb.VARY),
            images=asked.images,
            name=asked.name,
            verb=Verb.VARY,
            source=Source(key=picture.key, strength=asked.mode.strength),
            lineage=Lineage(verb=Verb.VARY, parent=parent.place, mode=asked.mode.value),
        )
        family, table = self._family_of(asked, parent)
        return replace(
            new,
            prompt=asked.prompt or new.prompt,
            negative_prompt=options.negative_prompt,
            families=(family,),
            table=table,
        )

    async def upscale(self, image_id: str, asked: UpscaleBody, principal: Principal) -> NewJob:
        """A larger master, made by the image's own provider where it does that itself, else by our upscaler."""
        parent = await self.parent(image_id, principal, Verb.UPSCALE)
        picture = await self._picture(parent)
        sizes = enlarged(parent.shape.master, picture.size, asked.factor)
        if sizes is None:
            raise InvalidRequest(Objection("/factor", "gives more than can be kept: 8192 pixels a side, 40 megapixels"))
        times = sizes.master.width // parent.shape.master.width
        new = self._new(
            parent,
            self._enlarger_of(parent.job),
            images=1,
            name=asked.name,
            verb=Verb.UPSCALE,
            source=Source(key=picture.key),
            lineage=Lineage(verb=Verb.UPSCALE, parent=parent.place, mode=f"{times}x"),
        )
        return replace(new, enlarged=sizes)

    def _enlarger_of(self, job: Job) -> Chosen:
        catalogue = self.submissions.models.catalogue
        model = catalogue.get(job.model)
        if model and model.delivery is Delivery.CALLED_BACK and Verb.UPSCALE in model.verbs:
            return self.submissions.choose(self._options_of(job), Verb.UPSCALE)
        own = catalogue.get(UPSCALER)
        if own is None:
            raise NotAllowed(f"the catalogue has no {UPSCALER}: nothing can be enlarged here")
        return Chosen(own, own, own.provider_model, job.parameters)

    def _options_of(self, job: Job) -> GenerationOptions:
        return options_of(job, self.submissions.models.catalogue.get(job.model))

    def _family_of(self, asked: VaryBody, parent: Parent | None) -> tuple[str, FamilyTable]:
        """The shape of the pictures, and the table to look it up in: left out or the image's own, it is as it was there."""
        table = self.submissions.table
        name = table.canonical(asked.family) if asked.family is not None else None
        if parent and name in {None, parent.place.family}:
            return parent.place.family, FamilyTable(families=(parent.shape,))
        try:
            return table.named(table.default if name is None else name).name, table
        except UnknownFamily as error:
            raise InvalidRequest(Objection("/family", str(error))) from error

    async def _vary_upload(self, source_id: str, asked: VaryBody, seed: int | None, principal: Principal) -> NewJob:
        upload = await self.sources.get(source_id, principal)
        if upload is None:
            raise JobMissing(f"no uploaded picture {source_id!r}")
        if asked.prompt is None:
            raise InvalidRequest(Objection("/prompt", "is missing; an uploaded picture has none of its own"))
        options = _seeded(asked.generation or GenerationOptions(), seed)
        family, table = self._family_of(asked, None)
        return NewJob(
            kind=JobKind.DERIVED,
            name=asked.name,
            category=JobKind.DERIVED.value,
            families=(family,),
            table=table,
            images=asked.images,
            prompt=asked.prompt,
            negative_prompt=options.negative_prompt,
            chosen=self.submissions.choose(options, Verb.VARY),
            policy=self.submissions.policy,
            lane=Lane.INTERACTIVE,
            verb=Verb.VARY,
            source=Source(key=upload.key, strength=asked.mode.strength),
            lineage=Lineage(verb=Verb.VARY, upload=source_id, mode=asked.mode.value),
        )

    def _new(
        self,
        parent: Parent,
        chosen: Chosen,
        *,
        images: int,
        name: str | None,
        verb: Verb,
        source: Source | None,
        lineage: Lineage,
    ) -> NewJob:
        """A job with its parent's words, in its parent's shape. Somebody waits for it: the interactive lane."""
        job = parent.job
        subject = job.families[parent.place.family].subject
        return NewJob(
            kind=JobKind.DERIVED,
            name=name,
            category=job.category,
            families=(parent.place.family,),
            table=FamilyTable(families=(parent.shape,)),
            images=images,
            intent=job.intent,
            raw_prompt=job.raw_prompt,
            prompt=job.final_prompt,
            prompt_reference=job.prompt,
            negative_prompt=job.negative_prompt,
            chosen=chosen,
            policy=self.submissions.policy,
            lane=Lane.INTERACTIVE,
            verb=verb,
            source=source,
            lineage=lineage,
            formats=job.formats,
            output=job.output,
            subjects={parent.place.family: subject} if subject else {},
        )

    async def _picture(self, parent: Parent) -> ParentPicture:
        try:
            is_watermarked = parent.job.output.watermark is not None
            return await self.parents.picture(parent.image, parent.place, is_watermarked=is_watermarked)
        except ParentGone as error:
            raise NotAllowed(str(error)) from error


def options_of(job: Job, model: Model | None) -> GenerationOptions:
    """How the job was made, as options of a new one; without its seed. Parameters of another provider's model stay behind."""
    # Copies: what was left out of a body counts as not given, and these are given.
    options = GenerationOptions().model_copy(
        update={
            "model": job.model,
            "negative_prompt": job.negative_prompt,
            "allow_fallback": job.fallback is not None or (model is not None and model.provider != job.provider),
        }
    )
    if model is None or model.provider != job.provider:
        return options
    return options.model_copy(
        update={"inference_steps": job.parameters.steps, "guidance_scale": job.parameters.guidance_scale}
    )


def _seeded(options: GenerationOptions, seed: int | None) -> GenerationOptions:
    return options if seed is None else options.model_copy(update={"seed": seed})
