"""Take in what providers call back: kept durably before it is acknowledged, told to the generator once."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_chassis.telemetry import traceparent
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.stages import ProviderCallback
from imagetron_contracts.topology import exchange_of
from imagetron_gateway.domain.callbacks import Callback, InboxItem
from imagetron_gateway.domain.job import OutboxEntry
from imagetron_gateway.ports import Inbox, Outbox
from imagetron_gateway.usecases.committing import SOURCE

# Far more than a task has to tell; without signatures, whoever has learnt a task's URL could fill the store.
CALLBACKS_OF_A_TASK: Final = 200
# Providers try for a day or two; an event that is told again after that is recognised by who takes it.
KEPT: Final = timedelta(days=7)
_AT_ONCE: Final = 200

_CALLBACKS: Final = ("callbacks", "1", "Callbacks of providers, by provider and outcome")
_callbacks = metrics.get_meter(__name__).create_counter(*_CALLBACKS)


class Outcome(StrEnum):
    """What became of a callback."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"
    """The URL is none that we gave to this provider."""
    NOT_SIGNED = "not_signed"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    """Too many, or too long."""


class TooManyCallbacks(Exception):
    """The task has had as many callbacks as are kept; nothing was stored."""


def count_callback(outcome: Outcome, provider: str | None) -> None:
    """Count it. Name only providers that are ours: callers must not choose names of measurements."""
    _callbacks.add(1, {semconv.OUTCOME: outcome.value, semconv.DEPENDENCY: provider or "none"})


async def take_callback(callback: Callback, *, inbox: Inbox, outbox: Outbox, clock: Clock) -> bool:
    """Keep the callback, and the message about it, in one document; say whether it was news.

    Raises TooManyCallbacks. When this returns, the message will leave, whatever becomes of this process.
    """
    if await inbox.has(callback.inbox_id):
        return False
    if await inbox.count(callback.provider, callback.task_reference) >= CALLBACKS_OF_A_TASK:
        raise TooManyCallbacks(f"the task has had {CALLBACKS_OF_A_TASK} callbacks already; nothing was stored")
    now = clock.now()
    item = InboxItem(
        id=callback.inbox_id,
        provider=callback.provider,
        event=callback.event,
        task_reference=callback.task_reference,
        is_signed=callback.is_signed,
        received_at=now,
        outbox=(_entry(callback, now),),
    )
    is_news = await inbox.add(item, callback.body)
    if is_news:
        outbox.kick(item.id)
    return is_news


async def forget_old(*, inbox: Inbox, clock: Clock) -> int:
    """Remove callbacks that were told and are of no use any more; say how many."""
    before = clock.now() - KEPT
    removed = gone = await inbox.forget(before, limit=_AT_ONCE)
    while gone == _AT_ONCE:
        gone = await inbox.forget(before, limit=_AT_ONCE)
        removed += gone
    return removed


def _entry(callback: Callback, now: datetime) -> OutboxEntry:
    message = ProviderCallback(
        provider=callback.provider,
        inbox_id=callback.inbox_id,
        task_reference=callback.task_reference,
        is_signed=callback.is_signed,
    )
    envelope = Envelope.wrap(message, message_id=message.message_id(), source=SOURCE, time=now).model_copy(
        update={"traceparent": traceparent()}
    )
    return OutboxEntry(
        id=envelope.id,
        exchange=exchange_of(ProviderCallback),
        routing_key=message.routing_key(),
        body=envelope.encode().decode(),
    )
