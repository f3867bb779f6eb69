"""A provider called back. Signed news is believed; what is not signed is looked up at the provider before it ends anything."""

from opentelemetry import metrics
from structlog.contextvars import bound_contextvars

from imagetron_chassis import semconv
from imagetron_chassis.logs import log
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import callback_key
from imagetron_contracts.stages import ProviderCallback
from imagetron_generator.domain.orders import TaskNews, TaskPhase
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.ports import TaskIdTaken
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.attending import attend
from imagetron_generator.usecases.tasks.desk import TaskDesk
from imagetron_generator.usecases.tasks.telling import tell_progress

_callbacks = metrics.get_meter(__name__).create_counter(*measures.CALLBACKS)


async def take_callback(callback: ProviderCallback, *, desk: TaskDesk) -> None:
    """Let a callback move its task on, and the task as far as it then goes. Twice, late or in another order: the same end.

    Raises BlobMissing, CallbackUnreadable; and while it cannot be checked at the provider and nothing else knows of the task
    there, the errors of that: the message is then the only trace of it.
    """
    with bound_contextvars(provider=callback.provider, task=callback.task_reference, inbox_id=callback.inbox_id):
        outcome = await _taken(callback, desk)
        log().info("callback_taken", outcome=outcome, is_signed=bool(callback.is_signed))
    _callbacks.add(1, {semconv.PROVIDER: callback.provider, semconv.OUTCOME: outcome})


async def _taken(callback: ProviderCallback, desk: TaskDesk) -> str:
    task = await desk.tasks.get(callback.task_reference)
    provider = desk.providers.get(callback.provider)
    if task is None or provider is None or task.provider != callback.provider:
        return "of_no_task"
    if task.state.is_ended:
        return "late"
    said = provider.read_callback(await desk.work.get(callback_key(callback.provider, callback.inbox_id)))
    known = task.provider_task_id or said.provider_task_id
    if known is None or said.provider_task_id not in {None, known}:
        return "of_another_task"
    # A signature does not cover the URL: only a body that names this very task speaks for it.
    if callback.is_signed and said.provider_task_id == task.provider_task_id:
        return await _believed(task, said, desk)
    if task.provider_task_id is None:
        confirmed = await _confirmed(task, known, desk)
        return await _believed(task, confirmed, desk) if confirmed else "not_confirmed"
    if said.phase.is_terminal:
        hastened = await desk.change(task, lambda latest: latest.hastened(desk.clock.now()), is_claimed=False)
        await _attend_if_free(hastened, None, desk)
        return "looked_up"
    return await _believed(task, said, desk)


async def _confirmed(task: ProviderTask, known: str, desk: TaskDesk) -> TaskNews | None:
    """What the provider itself says of the task that the callback names; None if it is not ours."""
    provider = desk.providers[task.provider]
    if desk.rules(task).can_find:
        news = await desk.called(task, "find", provider.find(task.reference))
        return news if news is not None and news.provider_task_id == known else None
    news = await desk.called(task, "look", provider.look(known))
    is_unknown_there = news.phase is TaskPhase.FAILED and news.code is FailureCode.WORK_LOST
    return None if is_unknown_there else news


async def _believed(task: ProviderTask, news: TaskNews, desk: TaskDesk) -> str:
    rules = desk.rules(task)
    try:
        heard = await desk.change(task, lambda latest: latest.heard(news, desk.clock.now(), rules), is_claimed=False)
    except TaskIdTaken:
        return "of_another_task"
    await tell_progress(task, heard, desk)
    if news.phase.is_terminal:
        await _attend_if_free(heard, news, desk)
    return "nothing_new" if heard is task else "believed"


async def _attend_if_free(task: ProviderTask, news: TaskNews | None, desk: TaskDesk) -> None:
    """Who has the task in hand sees the news when it lets go; if it is dead, the sweep does."""
    if task.lease is None:
        await attend(task, desk=desk, news=news)
