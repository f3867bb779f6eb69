"""In-memory twins of what operators' routes reach on the broker: dead letters, and tails of the public events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from imagetron_chassis.dead_letters import revived
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.letters import HOLD_LIMIT, DeadLettersUnavailable, Handled, Letter, Look, QueueDepth, Wanted
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.topology import QUEUES, Queue
from imagetron_gateway.ports import TailEnded, TooManyTails


def a_letter(name: str = "a-letter", body: bytes = b"not ours", **fields: Any) -> Letter:
    """An unreadable one that was rejected."""
    values: dict[str, Any] = {
        "headers": {},
        "content_type": None,
        "died_at": datetime(2026, 1, 1, 11, tzinfo=UTC),
        "reason": "rejected",
        "deaths": 1,
        "envelope": {},
        "unreadable": "not a CloudEvents 1.0 envelope",
    }
    return Letter(id=name, body=body, **(values | fields))


class InMemoryDeadLetters:
    """Letters in lists; `home` is what was sent to each work queue. Fails as told."""

    def __init__(self) -> None:
        self.dead: dict[str, list[Letter]] = {queue.name: [] for queue in QUEUES}
        self.home: dict[str, list[bytes]] = {queue.name: [] for queue in QUEUES}
        self.is_away = False
        self.refusal: ChassisError | None = None

    def bury(self, queue: Queue, *letters: Letter) -> None:
        self.dead[queue.name].extend(letters)

    async def depths(self) -> Sequence[QueueDepth]:
        self._answers()
        return [QueueDepth(queue, len(self.home[queue.name]), 1, len(self.dead[queue.name])) for queue in QUEUES]

    async def look(self, queue: Queue, *, limit: int) -> Look:
        self._answers()
        letters = self.dead[queue.name]
        return Look(letters[: min(limit, HOLD_LIMIT)], is_all=len(letters) <= limit)

    async def find(self, queue: Queue, letter_id: str) -> Letter | None:
        self._answers()
        return next((letter for letter in self.dead[queue.name][:HOLD_LIMIT] if letter.id == letter_id), None)

    async def choose(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        self._answers()
        chosen = self._chosen(queue, wanted)
        return Handled([letter.id for letter in chosen[:limit]], self._stopped(chosen, wanted, limit))

    async def replay(self, queue: Queue, wanted: Wanted, *, limit: int, per_second: float) -> Handled:
        self._answers()
        assert per_second > 0
        if self.refusal is not None:
            [first, *_] = self._chosen(queue, wanted)
            return Handled([], f"message {first.id} was not taken: {self.refusal}")
        handled, bodies = await self._take(queue, wanted, limit)
        self.home[queue.name].extend(revived(body) for body in bodies)
        return handled

    async def drop(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        self._answers()
        handled, _ = await self._take(queue, wanted, limit)
        return handled

    async def _take(self, queue: Queue, wanted: Wanted, limit: int) -> tuple[Handled, list[bytes]]:
        chosen = self._chosen(queue, wanted)
        taken = chosen[:limit]
        self.dead[queue.name] = [letter for letter in self.dead[queue.name] if letter not in taken]
        handled = Handled([letter.id for letter in taken], self._stopped(chosen, wanted, limit))
        return handled, [letter.body for letter in taken]

    def _chosen(self, queue: Queue, wanted: Wanted) -> list[Letter]:
        return [letter for letter in self.dead[queue.name] if wanted is None or letter.id in wanted]

    @staticmethod
    def _stopped(chosen: list[Letter], wanted: Wanted, limit: int) -> str | None:
        return f"the limit of {limit} was reached" if wanted is not None and len(chosen) > limit else None

    def _answers(self) -> None:
        if self.is_away:
            raise DeadLettersUnavailable("the broker does not answer")


class InMemoryTail:
    """What a test tells it, in order."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Envelope | TailEnded] = asyncio.Queue()

    async def next(self, *, within_seconds: float) -> Envelope | None:
        try:
            async with asyncio.timeout(within_seconds):
                event = await self.events.get()
        except TimeoutError:
            return None
        if isinstance(event, TailEnded):
            raise event
        return event


class InMemoryEventTails:
    """Tells every open tail; tells a new one what was said before, so that a test need not race it."""

    def __init__(self) -> None:
        self.open_tails: list[InMemoryTail] = []
        self.said: list[Envelope | TailEnded] = []
        self.is_full = False

    def say(self, *events: Envelope | TailEnded) -> None:
        self.said.extend(events)
        for tail in self.open_tails:
            for event in events:
                tail.events.put_nowait(event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[InMemoryTail]:
        if self.is_full:
            raise TooManyTails("20 tails are open")
        tail = InMemoryTail()
        for event in self.said:
            tail.events.put_nowait(event)
        self.open_tails.append(tail)
        try:
            yield tail
        finally:
            self.open_tails.remove(tail)
