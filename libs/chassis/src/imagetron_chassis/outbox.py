"""The outbox in a document: entries leave in order, and an entry goes only after the broker's confirm. No event names."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from weakref import WeakValueDictionary

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.periodic import for_each
from imagetron_chassis.publishing import Outgoing, Publisher


@dataclass(frozen=True, slots=True)
class Pending:
    """A document's unsent messages, oldest first."""

    document_id: str
    messages: Sequence[Outgoing]


class OutboxStore(Protocol):
    """What the relay asks of a service's repository."""

    async def pending(self, document_id: str) -> Pending | None:
        """The document's unsent messages, or None if it has none."""
        ...

    async def pending_since(self, before: datetime, limit: int) -> Sequence[str]:
        """Ids of documents whose oldest unsent message was written before this time."""
        ...

    async def mark_sent(self, document_id: str, message_ids: frozenset[str]) -> None:
        """Remove these entries from the document, whatever else has changed in it meanwhile."""
        ...


SWEEP_EVERY: Final = timedelta(seconds=5)
# The fast path has usually sent an entry within milliseconds; older ones were left behind by a crash or an outage.
LEFT_BEHIND_AFTER: Final = timedelta(seconds=5)
_SWEEP_LIMIT: Final = 200


class Relay:
    """Sends what documents hold in their outboxes. `relay` is the fast path, `sweep` the net; there is no leader.

    Two relays may send one entry twice, never lose it: consumers recognise a repeat by its id.
    """

    def __init__(self, store: OutboxStore, publisher: Publisher, clock: Clock) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        # Weak, so that a lock lives exactly as long as somebody holds it or waits for it.
        self._running: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._kicked: set[asyncio.Task[None]] = set()
        meter = metrics.get_meter(__name__)
        self._sent = meter.create_counter(*semconv.OUTBOX_SENT)
        self._swept = meter.create_counter(*semconv.OUTBOX_SWEPT)

    async def relay(self, document_id: str) -> None:
        """Send this document's entries in order; stop at the first that the broker does not take. Never raises for that."""
        lock = self._running.setdefault(document_id, asyncio.Lock())
        try:
            async with lock:
                await self._relay(document_id)
        except ChassisError as error:
            log().warning("outbox_waits", document=document_id, reason=str(error))

    def kick(self, document_id: str) -> None:
        """Relay soon, without waiting for it."""
        task = asyncio.create_task(self.relay(document_id))
        self._kicked.add(task)
        task.add_done_callback(self._kicked.discard)

    async def finish(self) -> None:
        """Wait for what was kicked off; what the broker does not take stays in the documents."""
        if self._kicked:
            await asyncio.wait(self._kicked)

    async def sweep(self) -> int:
        """Send what was left behind; say how many documents that were."""
        left_behind = await self._store.pending_since(self._clock.now() - LEFT_BEHIND_AFTER, _SWEEP_LIMIT)
        await for_each(left_behind, self.relay)
        self._swept.add(len(left_behind))
        return len(left_behind)

    async def _relay(self, document_id: str) -> None:
        pending = await self._store.pending(document_id)
        if pending is None:
            return
        sent: set[str] = set()
        try:
            for message in pending.messages:
                fault_point("relay.before_publish")
                await self._publisher.send(message)
                fault_point("relay.after_confirm")
                sent.add(message.message_id)
        finally:
            if sent:
                await self._store.mark_sent(document_id, frozenset(sent))
                self._sent.add(len(sent))
