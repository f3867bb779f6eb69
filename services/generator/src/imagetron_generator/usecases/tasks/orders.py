"""What exactly is ordered from the provider: the spec's words, and the picture or the task that the work goes on from."""

from imagetron_contracts.spec import RenderSpec, Verb
from imagetron_generator.domain.orders import ParentTask, TaskOrder
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.ports import ModelRefused
from imagetron_generator.usecases.inputs import source_of, spec_of
from imagetron_generator.usecases.tasks.desk import TaskDesk


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
    return await desk.pictures.as_png(await source_of(spec.source, desk.work))
