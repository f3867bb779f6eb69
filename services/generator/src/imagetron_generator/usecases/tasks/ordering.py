"""A family is asked for: its tasks are written down and handed in. Nobody waits for them here."""

from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.errors import Permanent
from imagetron_chassis.faults import fault_point
from imagetron_contracts.message import Message
from imagetron_contracts.spec import Verb
from imagetron_contracts.stages import FamilyRequested
from imagetron_generator.domain.provider_tasks import ProviderTask, intended
from imagetron_generator.usecases.inputs import spec_of
from imagetron_generator.usecases.tasks.desk import Overtaken, TaskDesk
from imagetron_generator.usecases.tasks.submitting import submit
from imagetron_generator.usecases.tasks.telling import told_before


async def is_ordered(request: FamilyRequested, *, desk: TaskDesk) -> bool:
    """Whether the spec's provider answers later. A spec that cannot be read is left to whoever renders: he says what is wrong."""
    try:
        spec = await spec_of(request, desk.work)
    except Permanent:
        return False
    return spec.provider in desk.providers


async def order_family(request: FamilyRequested, *, desk: TaskDesk) -> list[Message]:
    """What was told of those images before; nothing of what is under way. The spec's provider must be one of the desk's.

    Done twice, it orders nothing twice. Raises SpecLost, SpecUnusable; and Transient, then another try goes on.
    """
    if await is_cancelled(request, desk.work):
        return []
    spec = await spec_of(request, desk.work)
    rules = desk.providers[spec.provider].rules
    wanted = set(request.image_indexes)
    of_family = await desk.tasks.of_job(request.job_id, request.revision, request.family)
    of_attempt = [
        task for task in of_family if task.provider == spec.provider and task.request.attempt == request.attempt
    ]
    known = [task for task in of_attempt if wanted & set(task.request.image_indexes)]
    missing = sorted(wanted.difference(*(task.request.image_indexes for task in known)))
    per_task = 1 if spec.verb is Verb.UPSCALE else rules.images_per_task
    new: list[ProviderTask] = []
    for task in intended(request, spec.provider, missing, per_task, desk.clock.now()):
        if await desk.tasks.add(task):
            fault_point("task.intended")
            new.append(task)
    for task in [*(task for task in known if task.is_fresh), *new]:
        try:
            await submit(task, desk=desk)
        except Overtaken:
            continue
    return [message for task in known for message in told_before(task)]
