"""A job was cancelled: its tasks are looked after at once, and the marker in the work store ends them."""

from imagetron_chassis.logs import log
from imagetron_contracts.stages import JobCancelled
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.usecases.tasks.desk import Overtaken, TaskDesk


async def hasten_cancelled(hint: JobCancelled, *, desk: TaskDesk) -> int:
    """Have the open tasks of this revision looked after soon; say how many there were. Lost, the hint is missed by nobody."""
    tasks = [task for task in await desk.tasks.of_job(hint.job_id, hint.revision) if not task.state.is_ended]

    def hastened(latest: ProviderTask) -> ProviderTask | None:
        now = desk.clock.now()
        is_due = latest.next_check_at is None or latest.next_check_at <= now
        return None if is_due else latest.hastened(now)

    for task in tasks:
        try:
            await desk.change(task, hastened, is_claimed=False)
        except Overtaken:
            continue  # The document is gone.
    if tasks:
        log().info("tasks_of_cancelled_job", job_id=hint.job_id, revision=hint.revision, tasks=len(tasks))
    return len(tasks)
