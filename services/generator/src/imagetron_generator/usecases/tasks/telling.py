"""What is said of a task: that it began, how far it is, how it ended."""

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.message import Message
from imagetron_contracts.stages import FamilyStarted, Progress, StageFailed
from imagetron_generator.domain.provider_tasks import ProviderTask, TaskState
from imagetron_generator.usecases.tasks.desk import TaskDesk

_PERCENT = 100


async def tell_start(task: ProviderTask, desk: TaskDesk) -> None:
    """The provider is about to be asked: deadlines count from here."""
    request = task.request
    started = FamilyStarted(
        job_id=request.job_id,
        revision=request.revision,
        family=request.family,
        attempt=request.attempt,
        image_indexes=request.image_indexes,
        started_at=desk.clock.now(),
    )
    await desk.announce(started)


async def tell_progress(before: ProviderTask, now: ProviderTask, desk: TaskDesk) -> None:
    """A hint for each image, if it went on by a hundredth; one that cannot leave is dropped."""
    step = int(now.progress * _PERCENT)
    if step <= int(before.progress * _PERCENT):
        return
    request = now.request
    try:
        for index in request.image_indexes:
            hint = Progress(
                job_id=request.job_id,
                revision=request.revision,
                family=request.family,
                attempt=request.attempt,
                index=index,
                step=step,
                steps=_PERCENT,
            )
            await desk.announce(hint)
    except ChassisError as error:
        log().debug("progress_not_told", reason=str(error))


def failure_of(task: ProviderTask) -> StageFailed:
    """What the owner hears of a task that failed: the same, however often."""
    return StageFailed.of(
        task.request,
        stage=Stage.GENERATING,
        code=task.code or FailureCode.INTERNAL,
        message=task.message or "the task failed",
        image_indexes=task.request.image_indexes,
        support_id=task.support_id,
    )


def told_before(task: ProviderTask) -> list[Message]:
    """What was said when the task ended, for whoever asks again."""
    if task.state is TaskState.COLLECTED and task.result is not None:
        return [task.result]
    return [failure_of(task)] if task.state is TaskState.GIVEN_UP else []
