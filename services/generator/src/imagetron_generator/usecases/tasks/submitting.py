"""Handing a task in: counted before the money is spent, recorded as soon as the provider has answered."""

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.errors import ChassisError, Permanent, UnknownOutcome
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import GiveUp, RetryLater, decide, failure_code
from imagetron_generator.domain.orders import TaskNews, TaskOrder
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.ports import ModelFailed, TaskIdTaken
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.orders import order_of
from imagetron_generator.usecases.tasks.telling import tell_start

_resubmitted = metrics.get_meter(__name__).create_counter(*measures.TASKS_RESUBMITTED)


async def submit(task: ProviderTask, *, desk: TaskDesk) -> None:
    """Claim the task and hand it in; done nothing if somebody else was quicker. What the provider refuses is the task's end.

    Raises Transient where nothing was handed in, and Overtaken.
    """
    rules = desk.rules(task)
    try:
        order = await order_of(task, desk)
    except Permanent as error:
        code, message, now = failure_code(error), str(error), desk.clock.now()
        await desk.change(task, lambda latest: latest.failed(code, message, now).released(now))
        return
    await tell_start(task, desk)
    claimed = task.claimed_to_submit(desk.owner, desk.lease_seconds, desk.clock.now(), rules)
    if not await desk.claim(task, claimed):
        return
    fault_point("task.claimed")
    if claimed.submissions > 1:
        _resubmitted.add(1, {semconv.PROVIDER: task.provider})
        log().warning("task_handed_in_again", provider=task.provider, task=task.reference, times=claimed.submissions)
    try:
        news = await _handed_in(claimed, order, desk)
    except ChassisError as error:
        await _not_answered(claimed, error, desk)
        return
    fault_point("task.submitted")
    try:
        await desk.change(claimed, lambda latest: latest.accepted(news, desk.clock.now(), rules))
    except TaskIdTaken as error:
        code, message = failure_code(error), str(error)
        await desk.change(claimed, lambda latest: latest.refused(code, message, desk.clock.now()))
        return
    fault_point("task.recorded")
    log().info("task_handed_in", provider=task.provider, task=task.reference, images=order.images)


async def _handed_in(task: ProviderTask, order: TaskOrder, desk: TaskDesk) -> TaskNews:
    news = await desk.called(task, "submit", desk.providers[task.provider].submit(order))
    if news.provider_task_id is None:
        raise ModelFailed(f"the provider {task.provider} took the task and did not name it")
    return news


async def _not_answered(task: ProviderTask, error: ChassisError, desk: TaskDesk) -> None:
    """What becomes of the task by what may have happened: it is in doubt, or made again later, or refused for good."""
    log().warning("task_not_handed_in", provider=task.provider, task=task.reference, reason=str(error))
    now, rules = desk.clock.now(), desk.rules(task)
    if isinstance(error, UnknownOutcome):
        await desk.change(task, lambda latest: latest.doubted(now, rules))
        return
    age = (now - task.created_at).total_seconds()
    verdict = decide(error, task.tries, somebody_waits=True, age_seconds=age)
    if isinstance(verdict, RetryLater):
        delay, spends_a_try = verdict.delay_seconds, verdict.spends_a_try
        await desk.change(task, lambda latest: latest.not_taken(now, delay, spends_a_try=spends_a_try))
        return
    code = verdict.code if isinstance(verdict, GiveUp) else failure_code(error)
    await desk.change(task, lambda latest: latest.refused(code, str(error), now))
