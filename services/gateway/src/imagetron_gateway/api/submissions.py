"""What every route that makes a job does: once for each Idempotency-Key, checked against models and backlog, then stored."""

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_contracts.crops import Subject
from imagetron_contracts.families import BUILT_IN_TABLE, FamilyTable, UnknownFamily
from imagetron_contracts.spec import Verb
from imagetron_gateway.api import schemas
from imagetron_gateway.api.models import ModelDesk
from imagetron_gateway.api.output_schemas import CropBody, in_own_names, subject_of
from imagetron_gateway.api.problems import InvalidRequest, Objection, pointer_to
from imagetron_gateway.domain.catalogue import Model
from imagetron_gateway.domain.choosing import Chosen, own_defaults
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.families import objection_to_files
from imagetron_gateway.domain.job import Idempotency, Parameters, Policy
from imagetron_gateway.domain.policy import objection_to_guidance, objection_to_model
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases.committing import JobMissing
from imagetron_gateway.usecases.queueing import Backlog
from imagetron_gateway.usecases.submitting import NewJob, Submitted, replay_job, submission_of, submit_job


@dataclass(frozen=True, slots=True)
class Submissions:
    """Takes jobs in."""

    jobs: Jobs
    models: ModelDesk
    policy: Policy
    backlog: Backlog
    admission: Periodic
    clock: Clock
    new_id: NewId
    table: FamilyTable = BUILT_IN_TABLE

    async def submit(
        self, wanted: Callable[[], Awaitable[NewJob]], principal: Principal, idempotency: Idempotency | None
    ) -> Submitted:
        """The new job, or that of an earlier request with the same key: what was accepted once is answered again, whatever
        the models or the backlog say by now.
        """
        submitted = await submission_of(idempotency, principal, jobs=self.jobs) if idempotency else None
        if submitted is None:
            request = await wanted()
            check_amount(request)
            await self.backlog.check_room(request.lane)
            submitted = await submit_job(
                request, principal, jobs=self.jobs, clock=self.clock, new_id=self.new_id, idempotency=idempotency
            )
        self.admission.kick()
        return submitted

    async def replay(self, job_id: str, principal: Principal, idempotency: Idempotency | None) -> Submitted:
        """A new job with the inputs of this one. Raises JobMissing, NotAllowed under another
        policy, and ModelCannotServe if other pictures would come out.
        """
        submitted = await submission_of(idempotency, principal, jobs=self.jobs) if idempotency else None
        if submitted is None:
            original = await self.jobs.get(job_id, principal)
            if original is None:
                raise JobMissing(f"no job {job_id!r}")
            if original.policy != self.policy:
                raise NotAllowed("the policy has changed since the job was submitted; submit its inputs as a new job")
            self.models.check_serves(original.served_by)
            await self.backlog.check_room(original.lane)
            submitted = await replay_job(
                original, principal, jobs=self.jobs, clock=self.clock, new_id=self.new_id, idempotency=idempotency
            )
        self.admission.kick()
        return submitted

    def objections_to_families(self, asked: Sequence[str], also: Collection[str] = ()) -> list[Objection]:
        """To what is no family's own name, in the table or in a job that was made with another one; and to repetitions."""
        known = {*self.table.names, *also}
        if len(asked) > len(known):
            return [Objection("/families", f"names {len(asked)} families; there are {len(known)}")]
        unknown = [
            (index, UnknownFamily(name, self.table.names)) for index, name in enumerate(asked) if name not in known
        ]
        if unknown:
            return [Objection(pointer_to("families", index), str(error)) for index, error in unknown]
        try:
            schemas.distinct([*asked])
        except ValueError as error:
            return [Objection("/families", str(error))]
        return []

    def choose(
        self, options: schemas.GenerationOptions, verb: Verb = Verb.IMAGINE, *, besides: Sequence[Objection] = ()
    ) -> Chosen:
        """What the options mean. Raises InvalidRequest with every objection, those `besides` among them; ModelCannotServe."""
        model = self.models.catalogue.get(options.model)
        if model is None:
            known = ", ".join(self.models.catalogue)
            raise InvalidRequest(*besides, Objection("/generation/model", f"no such model; use one of: {known}"))
        parameters = _parameters(options, model)
        fallback = self.models.fallback_of(model) if options.allow_fallback else None
        objections = [
            *besides,
            *_objections(parameters, model),
            *self._objections_of_policy(parameters, model),
            *self._objections_to_what_is_asked(options, model, fallback, verb),
        ]
        if objections:
            raise InvalidRequest(*objections)
        serving, served_by = self.models.server_of(model, fallback)
        if serving is fallback:
            return Chosen(model, serving, served_by, own_defaults(serving, parameters))
        return Chosen(model, serving, served_by, parameters, fallback)

    def subjects(self, crop: CropBody, requested: Collection[str]) -> dict[str, Subject]:
        """What is said of the requested families' pictures, without those that nothing is said about.

        Raises InvalidRequest with every objection.
        """
        if objections := list(_objections_to_families(crop, requested, self.table)):
            raise InvalidRequest(*objections)
        own = in_own_names(crop, self.table).families
        subjects = {name: subject_of(own.get(name, crop)) for name in requested}
        return {name: subject for name, subject in subjects.items() if subject}

    def _objections_of_policy(self, parameters: Parameters, model: Model) -> list[Objection]:
        if objection := objection_to_model(self.policy, model):
            return [Objection("/generation/model", objection)]
        if objection := objection_to_guidance(self.policy, parameters.guidance_scale):
            return [Objection("/generation/guidanceScale", objection)]
        return []

    def _objections_to_what_is_asked(
        self, options: schemas.GenerationOptions, model: Model, fallback: Model | None, verb: Verb
    ) -> list[Objection]:
        objections = []
        if verb not in model.verbs:
            can = ", ".join(known.name for known in self.models.catalogue.values() if verb in known.verbs)
            objections.append(Objection("/generation/model", f"{model.name} cannot {verb.value}; use one of: {can}"))
        if options.negative_prompt and not model.takes_negative_prompts:
            objections.append(
                Objection("/generation/negativePrompt", f"{model.name} takes none; leave it out or use another model")
            )
        if options.allow_fallback and fallback is None:
            objections.append(Objection("/generation/allowFallback", f"{model.name} has no fallback; leave it out"))
        if fallback is not None and verb not in fallback.verbs:
            objections.append(Objection("/generation/allowFallback", f"{fallback.name} cannot {verb.value}"))
        avoids = options.negative_prompt or self.policy.negative_prompt
        if fallback is not None and avoids and not fallback.takes_negative_prompts:
            objections.append(
                Objection("/generation/allowFallback", f"{fallback.name} takes no negative prompts, and there is one")
            )
        return objections


def _objections_to_families(crop: CropBody, requested: Collection[str], table: FamilyTable) -> Iterator[Objection]:
    named = set[str]()
    for name in crop.families:
        pointer = pointer_to("crop", "families", name)
        try:
            family = table.named(name).name
        except UnknownFamily as error:
            yield Objection(pointer, str(error))
            continue
        if family not in requested:
            yield Objection(pointer, f"{family} is not requested; use one of {', '.join(requested)}, or leave it out")
        if family in named:
            yield Objection(pointer, f"names {family} a second time (aliases count)")
        named.add(family)


def check_amount(request: NewJob) -> None:
    """Raises InvalidRequest if a family of the job would have more files than a message can tell of."""
    for name in request.families:
        row = request.table.named(name)
        if objection := objection_to_files(row, images=request.images, formats=len(request.formats)):
            raise InvalidRequest(Objection("/images", objection))


def drawn_seed() -> int:
    """53 bits: a drawn seed survives every JSON reader."""
    return secrets.randbits(53)


def _parameters(options: schemas.GenerationOptions, model: Model) -> Parameters:
    given = options.model_fields_set
    return Parameters(
        steps=options.inference_steps if "inference_steps" in given else model.steps.default,
        guidance_scale=options.guidance_scale if "guidance_scale" in given else model.guidance.default,
        seed=options.seed if "seed" in given else drawn_seed(),
    )


def _objections(parameters: Parameters, model: Model) -> list[Objection]:
    steps, guidance = parameters.steps, parameters.guidance_scale
    objections = []
    if not model.steps.minimum <= steps <= model.steps.maximum:
        allowed = f"{model.steps.minimum} to {model.steps.maximum}"
        objections.append(Objection("/generation/inferenceSteps", f"is {steps}; {model.name} takes {allowed}"))
    if not model.guidance.minimum <= guidance <= model.guidance.maximum:
        allowed = f"{model.guidance.minimum:g} to {model.guidance.maximum:g}"
        objections.append(Objection("/generation/guidanceScale", f"is {guidance:g}; {model.name} takes {allowed}"))
    return objections
