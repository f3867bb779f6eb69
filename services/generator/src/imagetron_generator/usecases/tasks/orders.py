"""What exactly is ordered from the provider: the spec's words, and the picture or the task that the work goes on from."""

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.errors import Permanent
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import RenderSpec, Verb
from imagetron_contracts.stages import FamilyRequested
from imagetron_generator.domain.orders import ParentTask, TaskOrder
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.ports import ModelRefused
from imagetron_generator.usecases.render_family import SpecLost, SpecUnusable
from imagetron_generator.usecases.tasks.desk import TaskDesk


class SourceLost(Permanent):
    """The work store let the picture expire that the work was to begin with."""

    failure_code = FailureCode.WORK_LOST


async def spec_of(request: FamilyRequested, work: Blobs) -> RenderSpec:
    """The spec, which has all that this request needs. Raises SpecLost, SpecUnusable."""
    try:
        spec = RenderSpec.model_validate_json(await work.get(request.spec_key))
    except BlobMissing as error:
        raise SpecLost(f"the spec of revision {request.revision} is no longer in the work store") from error
    except ValidationError as error:
        # Neither the error nor its cause may go on: pydantic quotes what it read, and that is the prompt.
        fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
        raise SpecUnusable(f"the spec {request.spec_key} cannot be read: {', '.join(fields)}") from None
    family = spec.families.get(request.family)
    if family is None:
        raise SpecUnusable(f"the spec {request.spec_key} has no family {request.family}")
    if max(request.image_indexes) >= len(family.seeds):
        asked, seeds = max(request.image_indexes), len(family.seeds)
        raise SpecUnusable(f"the spec {request.spec_key} has {seeds} seeds for {request.family}: no image {asked}")
    return spec


async def order_of(task: ProviderTask, desk: TaskDesk) -> TaskOrder:
    """The task in the words of the port. Raises ModelRefused, SourceLost, SpecLost, SpecUnusable."""
    request, rules = task.request, desk.rules(task)
    spec = await spec_of(request, desk.work)
    family = spec.families[request.family]
    parent = await _parent(spec, task, desk)
    # Who does not keep what it made is given the prompt again, or the picture.
    verb = Verb.IMAGINE if spec.verb is Verb.REROLL and parent is None else spec.verb
    source = await _source(spec, desk) if verb.needs_a_source and parent is None else None
    return TaskOrder(
        reference=task.reference,
        verb=verb,
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        seed=family.seeds[request.image_indexes[0]],
        size=family.render,
        images=len(request.image_indexes),
        model=spec.served_by,
        callback_url=desk.callback_url(task.provider, task.reference) if rules.calls_back else None,
        source=source,
        strength=spec.source.strength if spec.source else 1.0,
        parent=parent,
    )


async def _parent(spec: RenderSpec, task: ProviderTask, desk: TaskDesk) -> ParentTask | None:
    """The task of the same provider that made the image which this work goes back to."""
    if spec.verb is Verb.IMAGINE or spec.parent is None:
        return None
    image = spec.parent
    makers = await desk.tasks.of_job(image.job_id, image.revision, image.family)
    # The last attempt's image is the one that people see.
    for maker in sorted(makers, key=lambda one: one.request.attempt, reverse=True):
        has_made_it = maker.result is not None and image.index in maker.result.good_indexes()
        if maker.provider == task.provider and has_made_it and maker.provider_task_id is not None:
            return ParentTask(maker.provider_task_id, maker.request.image_indexes.index(image.index))
    return None


async def _source(spec: RenderSpec, desk: TaskDesk) -> bytes:
    if spec.source is None:
        raise ModelRefused(f"to {spec.verb} needs a picture to begin with, and the request has none")
    try:
        found = await desk.work.get(spec.source.key)
    except BlobMissing as error:
        raise SourceLost("the picture to begin with is no longer in the work store") from error
    return await desk.pictures.as_png(found)
