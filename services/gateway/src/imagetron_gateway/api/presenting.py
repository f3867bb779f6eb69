"""From a job to what `/api/images/*` shows of it."""

from urllib.parse import urlencode

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import ParentImage
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import job_schemas, schemas
from imagetron_gateway.api.output_schemas import output_shown, subject_shown
from imagetron_gateway.api.verb_schemas import ImageShown, LineageShown
from imagetron_gateway.domain.catalogue import UPSCALER
from imagetron_gateway.domain.image_ids import image_id
from imagetron_gateway.domain.job import (
    Failure,
    Family,
    FamilyStatus,
    Image,
    ImageStatus,
    Job,
    JobStatus,
    Lineage,
    Render,
)
from imagetron_gateway.domain.pictures import Picture, UrlOf, pictures
from imagetron_gateway.domain.prices import MICROS
from imagetron_gateway.domain.saga import price_of
from imagetron_gateway.domain.statuses import VARIATION_STATUS
from imagetron_gateway.domain.verbs import verbs_for
from imagetron_gateway.ports import Reports
from imagetron_gateway.usecases.queueing import Place

# What share of a family's way each image status has behind it; the model's steps fill the first part.
_MODEL_SHARE = 0.8
_DONE = {ImageStatus.WAITING: 0.0, ImageStatus.RENDERED: _MODEL_SHARE, ImageStatus.DERIVED: 0.95}

# Of an image that no model has made (yet).
_UNKNOWN = Render(key="", size=Dimensions(width=1, height=1))


class Presenter:
    """Knows the absolute addresses and the latest hints."""

    def __init__(self, *, base_url: str, url_of: UrlOf, reports: Reports) -> None:
        self._base_url = base_url
        self._url_of = url_of
        self._reports = reports

    def accepted(self, job: Job) -> schemas.VariationAccepted:
        """The same answer however far the job is by now: a repeated request gets what the first one got."""
        return schemas.VariationAccepted(
            id=job.id, status=VARIATION_STATUS[JobStatus.QUEUED], name=job.name, links=self.links(job)
        )

    def job_accepted(self, job: Job) -> job_schemas.JobAccepted:
        """As `accepted`: the same for a repeated request."""
        return job_schemas.JobAccepted(id=job.id, status=JobStatus.QUEUED, links=self.job_links(job))

    def job_links(self, job: Job) -> job_schemas.JobLinks:
        about, links = f"{self._base_url}/api/jobs/{job.id}", self.links(job)
        return job_schemas.JobLinks(
            self=about,
            variation=links.self,
            cancel=links.cancel,
            retry=links.retry,
            regenerate=links.regenerate,
            replay=f"{about}/replay",
        )

    def links(self, job: Job) -> schemas.Links:
        variations = f"{self._base_url}/api/images/variations"
        return schemas.Links(
            self=f"{variations}/{job.id}",
            by_name=f"{variations}/name/{job.name}",
            regenerate=f"{variations}/{job.id}/regenerate",
            job=f"{self._base_url}/api/jobs/{job.id}",
            cancel=f"{self._base_url}/api/jobs/{job.id}/cancel",
            retry=f"{self._base_url}/api/jobs/{job.id}/retry",
        )

    def variation(self, job: Job) -> schemas.VariationShown:
        families = job.families.values()
        return schemas.VariationShown(
            id=job.id,
            name=job.name,
            category=job.category,
            status=VARIATION_STATUS[job.status],
            revision=job.revision,
            families={name: self._family(job, family) for name, family in job.families.items()},
            derivatives=[self._picture(job, picture) for picture in pictures(job)],
            generation=schemas.GenerationShown(
                prompt=job.final_prompt,
                negative_prompt=job.negative_prompt,
                seed=job.parameters.seed,
                model=job.model,
                served_by=job.served_by,
                inference_steps=job.parameters.steps,
                guidance_scale=job.parameters.guidance_scale,
            ),
            is_dx_job=job.lane is Lane.INTERACTIVE,
            error=job.error,
            timings=schemas.TimingsShown(
                submitted_at=job.created_at,
                started_at=job.started_at,
                finished_at=job.finished_at,
                model_seconds=round(sum(family.model_seconds for family in families), 3),
                encode_seconds=round(sum(family.encode_seconds for family in families), 3),
            ),
            created_at=job.created_at,
            updated_at=job.updated_at,
            links=self.links(job),
        )

    def job(self, job: Job, place: Place | None, closed: str | None) -> job_schemas.JobShown:
        """`closed` says why nothing of its lane is admitted, if that is so."""
        return job_schemas.JobShown(
            id=job.id,
            kind=job.kind,
            name=job.name,
            category=job.category,
            status=job.status,
            revision=job.revision,
            lane=job.lane.value,
            queue=job_schemas.PlaceShown(
                position=place.position, estimated_wait_seconds=None if closed else place.estimated_wait_seconds
            )
            if place
            else None,
            delayed=None if job.status.is_terminal else closed or self._no_model(job),
            intent=job.intent,
            raw_prompt=job.raw_prompt,
            final_prompt=job.final_prompt,
            negative_prompt=job.negative_prompt,
            policy=job_schemas.PolicyShown(negative_prompt=job.policy.negative_prompt),
            prompt=job_schemas.PromptReferenceShown(id=job.prompt.id, version=job.prompt.version)
            if job.prompt
            else None,
            replay_of=job.replay_of,
            lineage=_lineage(job.lineage) if job.lineage else None,
            model=job.model,
            provider=job.provider,
            served_by=job.served_by,
            fallback=job.fallback.model if job.fallback else None,
            output=output_shown(job.formats, job.output),
            cost=job_schemas.CostShown(
                estimated_usd=job.cost.estimated_micros / MICROS, actual_usd=job.cost.actual_micros / MICROS
            ),
            families={name: self._job_family(job, family) for name, family in job.families.items()},
            error=job.error,
            history=[
                job_schemas.RemarkShown(at=line.at, what=line.what, family=line.family, detail=line.detail)
                for line in job.history
            ],
            created_at=job.created_at,
            updated_at=job.updated_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            links=self.job_links(job),
        )

    def images(self, job: Job) -> list[ImageShown]:
        """The images of the current revision, families in the caller's order."""
        return [
            self.image(job, ParentImage(job_id=job.id, revision=job.revision, family=name, index=image.index), image)
            for name, family in job.families.items()
            for image in family.images
        ]

    def image(self, job: Job, place: ParentImage, image: Image) -> ImageShown:
        """One image, of whichever revision."""
        family, render = job.families[place.family], image.render or _UNKNOWN
        master = next((file for file in image.files if file.name == place.family), None)
        return ImageShown(
            id=image_id(job.id, place.revision, place.family, place.index),
            job=job.id,
            name=job.name,
            family=place.family,
            index=place.index,
            status=image.status.value,
            url=self._url_of(master.key) if master else None,
            size=master.size if master else None,
            seed=image.seed,
            digest=image.digest,
            model=job.model,
            provider=render.provider or job.provider,
            served_by=render.served_by or job.served_by,
            fingerprint=family.fingerprint if place.revision == job.revision else None,
            seconds=render.seconds,
            gpu_seconds=render.gpu_seconds,
            answer_digest=render.answer_digest,
            price_usd=price_of(job, family, image) / MICROS,
            lineage=_lineage(job.lineage) if job.lineage else None,
            verbs=[verb.value for verb in verbs_for(job, image)],
            error=failure_shown(image.failure) if image.failure else None,
            created_at=job.created_at,
        )

    def _no_model(self, job: Job) -> str | None:
        if job.served_by == UPSCALER:
            return None  # There is always somebody who can enlarge.
        report = self._reports.model(job.served_by)
        if report is None:
            return f"no generator has spoken for the model {job.served_by} of late"
        return None if report.is_available else f"the model {job.served_by} does not answer just now"

    def _job_family(self, job: Job, family: Family) -> job_schemas.JobFamilyShown:
        return job_schemas.JobFamilyShown(
            status=family.status.value,
            attempt=family.attempt,
            progress=self._progress(job, family),
            images=[self._job_image(job, family, image) for image in family.images],
            budget_seconds=family.budget_seconds,
            admitted_at=family.admitted_at,
            started_at=family.started_at,
            finished_at=family.finished_at,
            subject=subject_shown(family.subject) if family.subject else None,
            error=failure_shown(family.failure) if family.failure else None,
        )

    def _job_image(self, job: Job, family: Family, image: Image) -> job_schemas.JobImageShown:
        render = image.render or _UNKNOWN
        return job_schemas.JobImageShown(
            id=image_id(job.id, job.revision, family.name, image.index),
            index=image.index,
            seed=image.seed,
            status=image.status.value,
            digest=image.digest,
            provider=render.provider,
            served_by=render.served_by,
            seconds=render.seconds,
            gpu_seconds=render.gpu_seconds,
            answer_digest=render.answer_digest,
            price_usd=price_of(job, family, image) / MICROS,
            error=failure_shown(image.failure) if image.failure else None,
        )

    def _family(self, job: Job, family: Family) -> schemas.FamilyShown:
        return schemas.FamilyShown(
            status=family.status.value,
            progress=self._progress(job, family),
            attempt=family.attempt,
            seeds=[image.seed for image in family.images],
            error=failure_shown(family.failure) if family.failure else None,
        )

    def _progress(self, job: Job, family: Family) -> float:
        if family.status.is_terminal:
            return 1.0
        if family.status is FamilyStatus.WAITING:
            return 0.0
        steps = {
            progress.index: progress.step / progress.steps
            for progress in self._reports.progress(job.id, job.revision, family.name)
            if progress.attempt == family.attempt
        }
        shares = [
            max(_DONE.get(image.status, 1.0), _MODEL_SHARE * steps.get(image.index, 0.0)) for image in family.images
        ]
        return round(sum(shares) / len(shares), 3)

    def _picture(self, job: Job, picture: Picture) -> schemas.PictureShown:
        file = picture.file
        alias = file.name if file.name == picture.family else f"{picture.family}.{file.name}"
        exactly = {
            # Without it a name stands for the first good image,
            "image": picture.image if len(job.families[picture.family].images) > 1 else None,
            # and for the format that the reader wants most.
            "format": None if picture.is_first else file.format.value,
        }
        if query := urlencode({name: value for name, value in exactly.items() if value is not None}):
            alias += f"?{query}"
        return schemas.PictureShown(
            family=picture.family,
            name=file.name,
            image=picture.image,
            url=self._url_of(file.key),
            alias_url=f"{self._base_url}/api/images/{job.name}/{alias}",
            width=file.size.width,
            height=file.size.height,
            format=file.format,
            bytes=file.byte_count,
            digest=file.digest,
        )


def _lineage(lineage: Lineage) -> LineageShown:
    parent = lineage.parent
    return LineageShown(
        verb=lineage.verb.value,
        parent_image=image_id(parent.job_id, parent.revision, parent.family, parent.index) if parent else None,
        parent_job=parent.job_id if parent else None,
        source=lineage.upload,
        mode=lineage.mode,
    )


def failure_shown(failure: Failure) -> schemas.FailureShown:
    return schemas.FailureShown(
        stage=failure.stage.value,
        code=failure.code.value,
        message=failure.message,
        retryable=failure.code.is_retryable,
        support_id=failure.support_id,
    )
