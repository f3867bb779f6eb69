"""Looking after the tasks under way: the net under callbacks, lost answers and dead workers."""

import asyncio
import contextlib
from typing import Final

from opentelemetry import metrics
from structlog.contextvars import bound_contextvars

from imagetron_chassis import semconv
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.errors import ChassisError, Permanent, RateLimited
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import failure_code
from imagetron_contracts.failures import FailureCode
from imagetron_generator.domain.orders import TaskNews
from imagetron_generator.domain.provider_tasks import ProviderTask, TaskState
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.collecting import collect
from imagetron_generator.usecases.tasks.desk import Overtaken, TaskDesk
from imagetron_generator.usecases.tasks.submitting import submit
from imagetron_generator.usecases.tasks.telling import failure_of, tell_progress

_UNDER_WAY: Final = frozenset({TaskState.SUBMITTED, TaskState.PROCESSING})
_UNFINISHED: Final = _UNDER_WAY | {TaskState.INTENDED}
_AT_ONCE: Final = 8
_BATCH: Final = 32
# Tasks that other workers have in hand are due, too, and must not hide those that nobody has.
_SEEN: Final = 200
_meter = metrics.get_meter(__name__)
_seconds = _meter.create_histogram(*measures.TASK_SECONDS)


async def sweep(provider: str, *, desk: TaskDesk) -> int:
    """Look after the tasks of this provider that are due, the longest overdue first; say how many that were.

    One that fails keeps no other waiting; the first error that is no task's own is raised at the end.
    """
    due = await desk.tasks.due(provider, desk.clock.now(), limit=_SEEN)
    batch = [task for task in due if not desk.watch.is_held(task)][:_BATCH]
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(task: ProviderTask) -> None:
        async with free:
            await attend(task, desk=desk)

    outcomes = await asyncio.gather(*(one(task) for task in batch), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return len(batch)


async def attend(task: ProviderTask, *, desk: TaskDesk, news: TaskNews | None = None) -> None:
    """Take the task as far as it goes now, unless somebody else is at it. `news` is what the provider said last, if at hand.

    Errors put it off. Raises Transient while the document store is away.
    """
    if task.state.is_ended or desk.watch.is_held(task):
        return
    with bound_contextvars(job_id=task.request.job_id, task=task.reference):
        try:
            if task.submissions == 0 and task.state is TaskState.INTENDED:
                await _hand_in(task, desk)
                return
            claimed = task.claimed(desk.owner, desk.lease_seconds, desk.clock.now())
            if not await desk.claim(task, claimed):
                return
            task = claimed
            await _see_through(task, news, desk)
        except asyncio.CancelledError:
            await _let_go(task, desk)
            raise
        except Overtaken:
            log().info("task_overtaken", provider=task.provider)
        except ChassisError as error:
            await _put_off(task, error, desk)


async def _let_go(task: ProviderTask, desk: TaskDesk) -> None:
    """This process stops: the next one need not wait for its lease. A submission under way stays in doubt."""
    now = desk.clock.now()
    with contextlib.suppress(Overtaken, ChassisError):
        await desk.change(task, lambda latest: latest.hastened(now).released(now))


async def _put_off(task: ProviderTask, error: ChassisError, desk: TaskDesk) -> None:
    """What another try may mend waits; what none will mend is the task's end."""
    log().warning("task_put_off", provider=task.provider, state=task.state, reason=str(error))
    rules, now = desk.rules(task), desk.clock.now()
    wait = (error.retry_after_seconds or 0.0) if isinstance(error, RateLimited) else 0.0
    code, message = failure_code(error), str(error)

    def decide(latest: ProviderTask) -> ProviderTask:
        is_the_end = isinstance(error, Permanent) and latest.state is not TaskState.FAILED
        if is_the_end:
            return latest.failed(code, message, now).released(now)
        return latest.put_off(now, rules, at_least_seconds=wait)

    try:
        await desk.change(task, decide)
    except Overtaken:
        log().info("task_overtaken", provider=task.provider)


async def _hand_in(task: ProviderTask, desk: TaskDesk) -> None:
    if await is_cancelled(task.request, desk.work):
        await desk.change(task, lambda latest: latest.cancelled(desk.clock.now()))
        return
    await submit(task, desk=desk)


async def _see_through(task: ProviderTask, news: TaskNews | None, desk: TaskDesk) -> None:
    """The task is ours for now. Each state leads to the next as far as it goes."""
    if await is_cancelled(task.request, desk.work):
        if task.state in _UNFINISHED:
            await _stop_there(task, desk)
        await desk.change(task, lambda latest: latest.cancelled(desk.clock.now()))
        return
    if task.state is TaskState.INTENDED:
        found = await _settle_doubt(task, desk)
        if found is None:
            return
        task, news = found
    if task.state in _UNDER_WAY:
        task, news = await _look(task, desk)
    if task.state is TaskState.SUCCEEDED:
        task = await collect(task, news, desk=desk)
    if task.state is TaskState.FAILED:
        await _tell_failure(task, desk)


async def _settle_doubt(task: ProviderTask, desk: TaskDesk) -> tuple[ProviderTask, TaskNews | None] | None:
    """A submission's answer was lost. Found there, the task goes on; else it is handed in again, or lost; None: not now."""
    rules, now = desk.rules(task), desk.clock.now()
    is_found_out = True
    if rules.can_find:
        try:
            news = await desk.called(task, "find", desk.providers[task.provider].find(task.reference))
        except ChassisError:
            if not desk.watch.is_overdue(task, now):
                raise
            news, is_found_out = None, False
        if news is not None and news.provider_task_id is not None:
            log().info("task_found_again", provider=task.provider)
            return await desk.change(task, lambda latest: latest.heard(news, now, rules)), news
    elif not task.is_doubted:
        log().warning("task_doubted", provider=task.provider, window_seconds=rules.callback_window_seconds)
        await desk.change(task, lambda latest: latest.doubted(now, rules))
        return None
    if is_found_out and task.submissions < rules.max_submissions:
        await submit(task, desk=desk)
        return None
    sentence = f"the task was handed in {task.submissions} times, and no answer came; please quote {task.support_id}"
    return await desk.change(task, lambda latest: latest.failed(FailureCode.WORK_LOST, sentence, now)), None


async def _look(task: ProviderTask, desk: TaskDesk) -> tuple[ProviderTask, TaskNews | None]:
    """Ask how it stands. At its deadline the task is asked about once more, and then given up."""
    rules, provider = desk.rules(task), desk.providers[task.provider]
    is_overdue = desk.watch.is_overdue(task, desk.clock.now())
    news: TaskNews | None = None
    try:
        # Without an id there is no such state.
        news = await desk.called(task, "look", provider.look(task.provider_task_id or ""))
    except ChassisError as error:
        if not is_overdue:
            raise
        log().warning("last_look_failed", provider=task.provider, reason=str(error))
    now = desk.clock.now()

    def decide(latest: ProviderTask) -> ProviderTask | None:
        heard = (latest.heard(news, now, rules) if news else None) or latest
        if heard.state not in _UNDER_WAY:
            return heard if heard is not latest else None
        if is_overdue:
            sentence = f"the provider {task.provider} did not finish within {task.patience_seconds:g} s"
            return heard.failed(FailureCode.DEADLINE_EXCEEDED, sentence, now)
        return heard.put_off(now, rules, at_least_seconds=(news.look_again_seconds or 0.0) if news else 0.0)

    seen = await desk.change(task, decide)
    await tell_progress(task, seen, desk)
    if seen.code is FailureCode.DEADLINE_EXCEEDED:
        await _stop_there(task, desk)
    return seen, news


async def _stop_there(task: ProviderTask, desk: TaskDesk) -> None:
    """Ask the provider to stop, as far as that can be: nobody waits for the task any more."""
    provider = desk.providers[task.provider]
    known = task.provider_task_id
    try:
        if known is None and desk.rules(task).can_find:
            found = await desk.called(task, "find", provider.find(task.reference))
            known = found.provider_task_id if found else None
        if known is not None:
            await desk.called(task, "cancel", provider.cancel(known))
    except ChassisError as error:
        log().warning("task_not_stopped", provider=task.provider, reason=str(error))


async def _tell_failure(task: ProviderTask, desk: TaskDesk) -> None:
    await desk.announce(failure_of(task))
    fault_point("task.failure_told")
    given_up = await desk.change(task, lambda latest: latest.given_up(desk.clock.now()))
    if task.submitted_at is not None:
        seconds = max((given_up.updated_at - task.submitted_at).total_seconds(), 0.0)
        _seconds.record(seconds, {semconv.PROVIDER: task.provider, semconv.OUTCOME: str(task.code)})
    log().warning(
        "task_given_up", provider=task.provider, code=task.code, reason=task.message, support_id=task.support_id
    )
