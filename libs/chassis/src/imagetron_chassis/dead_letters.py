"""Dead letters on RabbitMQ: look without taking, send home again, drop. Who may do so is decided elsewhere.

A letter is taken only by the ack that follows the broker's confirm of its copy. Whatever else ends a look (an error, a
cancelled request, a killed process) gives every letter back, so the worst is that a letter comes home twice.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from aio_pika import Channel as PlainChannel
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, ChannelNotFoundEntity

from imagetron_chassis.broker import Broker
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.letters import (
    HOLD_LIMIT,
    MAX_PER_SECOND,
    DeadLettersUnavailable,
    Handled,
    Letter,
    Look,
    QueueDepth,
    Wanted,
    printable,
)
from imagetron_chassis.logs import log
from imagetron_chassis.publishing import Outgoing, Publisher
from imagetron_contracts.envelope import MAX_BODY_BYTES, UnreadableMessage, decode
from imagetron_contracts.topology import QUEUES, Queue

HOLD_BYTES: Final = 16 * 1024 * 1024
"""The same in bytes: our own messages are short, but nobody promises that of poison."""
WORK_SECONDS: Final = 5.0
"""A replay or drop ends after this, done or not: whoever else looks into the queue waits for it that long."""
PATIENCE_SECONDS: Final = 10.0
"""How long one answer of the broker, or the turn at a queue, is waited for."""
# A broker's channel sends 32 answers to a quorum queue before it waits for the first (quorum_commands_soft_limit). What
# comes above that it keeps in a map: the order is lost, and when the channel closes then, the answers too.
_RETURNED_AT_ONCE: Final = 16
_SETTLED_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.002
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_ATTRIBUTES: Final = ("id", "type", "source", "subject", "time", "try", "sequence", "correlationid", "dataschema")
_ATTRIBUTE_CHARACTERS: Final = 200


class DeadLetterOffice:
    """All dead-letter queues of one broker. Work on one queue is done in turns: concurrent looks would mix up its order."""

    def __init__(
        self,
        broker: Broker,
        publisher: Publisher,
        *,
        hold_limit: int = HOLD_LIMIT,
        hold_bytes: int = HOLD_BYTES,
        work_seconds: float = WORK_SECONDS,
    ) -> None:
        self._broker = broker
        self._publisher = publisher
        self._hold_limit = hold_limit
        self._hold_bytes = hold_bytes
        self._work_seconds = work_seconds
        self._turns = {queue.name: asyncio.Lock() for queue in QUEUES}
        # Kept between calls: whoever asks again and again must not be faster than who asks once.
        self._paces = {queue.name: _Pace() for queue in QUEUES}

    async def depths(self) -> Sequence[QueueDepth]:
        """Every work queue of the topology."""
        async with self._channel() as channel:
            return [await _depth(channel, queue) for queue in QUEUES]

    async def look(self, queue: Queue, *, limit: int) -> Look:
        """The oldest letters, which stay where they are, in their order."""
        async with self._turn(queue) as hand:
            letters = [letter async for letter, _ in hand.letters(limit)]
            return Look(letters, is_all=hand.saw_the_end or await hand.is_empty())

    async def find(self, queue: Queue, letter_id: str) -> Letter | None:
        """The oldest letter with this id, among those within reach."""
        async with self._turn(queue) as hand:
            async for letter, _ in hand.letters(self._hold_limit):
                if letter.id == letter_id:
                    return letter
            return None

    async def choose(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        """What `replay` or `drop` would handle now; nothing happens."""

        async def nothing(_: Letter) -> None: ...

        return await self._handle(queue, wanted, limit, nothing, takes=False)

    async def replay(self, queue: Queue, wanted: Wanted, *, limit: int, per_second: float) -> Handled:
        """Send letters home to their work queue, each confirmed before it is taken from here, so many a second at most.

        A letter keeps its id and its bytes, except for a spent try counter (see `revived`). Stops at the first that the
        broker does not take, and after `work_seconds`; what was handled until then stays handled.
        """
        pace, seconds = self._paces[queue.name], 1 / min(per_second, MAX_PER_SECOND)
        give_up_at = time.monotonic() + self._work_seconds

        async def send_home(letter: Letter) -> None:
            if not await pace.wait(seconds, until=give_up_at):
                raise _OutOfTime(f"{self._work_seconds:g} s were over; ask again for the rest")
            # The default exchange knows each queue by its name: only this queue gets it, not all that are bound to its key.
            await self._publisher.send(Outgoing(letter.id, "", queue.name, revived(letter.body)))

        return await self._handle(queue, wanted, limit, send_home, takes=True)

    async def drop(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        """Take letters away for good."""

        async def nothing(_: Letter) -> None: ...

        return await self._handle(queue, wanted, limit, nothing, takes=True)

    async def _handle(
        self, queue: Queue, wanted: Wanted, limit: int, first: Callable[[Letter], Awaitable[None]], *, takes: bool
    ) -> Handled:
        handled: list[str] = []
        give_up_at = time.monotonic() + self._work_seconds
        async with self._turn(queue) as hand:
            # What is sent home may die again at once and come back here: never go round in a circle.
            reach = min(self._hold_limit, await hand.depth()) if wanted is not None else min(limit, await hand.depth())
            async for letter, message in hand.letters(reach):
                if wanted is not None and letter.id not in wanted:
                    continue
                if len(handled) >= limit:
                    return Handled(handled, f"the limit of {limit} was reached")
                if time.monotonic() > give_up_at:
                    return Handled(handled, f"{self._work_seconds:g} s were over; ask again for the rest")
                try:
                    await first(letter)
                except _OutOfTime as late:
                    return Handled(handled, str(late))
                except ChassisError as error:
                    log().warning("dead_letter_not_sent", queue=queue.dead_letters, reason=str(error))
                    return Handled(handled, f"message {letter.id} was not taken: {error}")
                if takes:
                    await hand.take(message)
                handled.append(letter.id)
        return Handled(handled)

    @asynccontextmanager
    async def _turn(self, queue: Queue) -> AsyncIterator["_Hand"]:
        lock = self._turns[queue.name]
        try:
            async with asyncio.timeout(self._work_seconds + PATIENCE_SECONDS):
                await lock.acquire()
        except TimeoutError as error:
            raise DeadLettersUnavailable(f"somebody else is at work on {queue.dead_letters}; try again") from error
        try:
            async with self._channel() as channel:
                opened = await channel.get_queue(queue.dead_letters, ensure=False)
                hand = _Hand(channel, opened, self._hold_limit, self._hold_bytes)
                try:
                    yield hand
                finally:
                    await hand.give_back()
        finally:
            lock.release()

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[PlainChannel]:
        try:
            # The consuming connection: the other one gets no answers while the broker is short of memory or disk.
            # Plain: a robust channel that a missing queue closes would open itself again, for ever.
            async with PlainChannel(await self._broker.consuming.connect(), publisher_confirms=False) as channel:
                yield channel
        except ChannelNotFoundEntity as error:
            raise DeadLettersUnavailable("a queue is missing; it is declared again within half a minute") from error
        # aio-pika answers with RuntimeError while it has no connection.
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError, TimeoutError) as error:
            raise DeadLettersUnavailable(f"the broker does not answer: {type(error).__name__}") from error


class _Hand:
    """What one look holds: letters taken from the front and not answered yet."""

    def __init__(self, channel: PlainChannel, queue: AbstractQueue, limit: int, most_bytes: int) -> None:
        self._channel = channel
        self._queue = queue
        self._limit = limit
        self._most_bytes = most_bytes
        self._held: dict[int, AbstractIncomingMessage] = {}
        self._bytes = 0
        self.saw_the_end = False

    async def letters(self, limit: int) -> AsyncIterator[tuple[Letter, AbstractIncomingMessage]]:
        """One after the other from the front; ends at the limit, at the queue's end, or with the hand full."""
        for _ in range(limit):
            message = await self._get()
            if message is None:
                return
            yield _letter(message), message

    async def take(self, message: AbstractIncomingMessage) -> None:
        """It leaves the queue for good."""
        await message.ack()
        del self._held[message.delivery_tag or 0]
        self._bytes -= len(message.body)

    async def depth(self) -> int:
        """How many are left in the queue, those in hand not counted."""
        declared = await self._channel.declare_queue(self._queue.name, passive=True, timeout=PATIENCE_SECONDS)
        return declared.declaration_result.message_count or 0

    async def is_empty(self) -> bool:
        return await self.depth() == 0

    async def give_back(self) -> None:
        """Return what is held, in its order. Left to the broker (the channel's end), the order would be anybody's guess.

        The broker puts what is returned behind what was returned before and still waits, so a hand that took only some
        of those would change the order. A full hand takes them all: nobody ever returns more than a full hand.
        """
        # The connection is gone, and the letters went back without us.
        with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError, TimeoutError):
            while self._held and await self._get():
                pass
            held = [self._held.pop(tag) for tag in sorted(self._held)]
            patience = _SETTLED_SECONDS
            for start in range(0, len(held), _RETURNED_AT_ONCE):
                few = held[start : start + _RETURNED_AT_ONCE]
                expected = await self.depth() + len(few)
                for message in few:
                    await message.nack(requeue=True)
                # Somebody else is at work here too: their order is beyond us, and nobody should wait again and again.
                patience = patience if await self._reaches(expected, patience) else 0

    async def _get(self) -> AbstractIncomingMessage | None:
        """The letter in front, into the hand; None at the queue's end and when the hand is full."""
        if self.saw_the_end or len(self._held) >= self._limit or self._bytes >= self._most_bytes:
            return None
        message = await self._queue.get(no_ack=False, fail=False, timeout=PATIENCE_SECONDS)
        if message is None:
            self.saw_the_end = True
            return None
        self._held[message.delivery_tag or 0] = message
        self._bytes += len(message.body)
        return message

    async def _reaches(self, depth: int, seconds: float) -> bool:
        """Wait until the broker has taken back what was returned; say whether it has."""
        give_up_at = time.monotonic() + seconds
        while await self.depth() < depth:
            if time.monotonic() >= give_up_at:
                return False
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return True


class _OutOfTime(ChassisError):
    """What is left would be sent after the time that one call may take: nobody waits for it with a queue in hand."""


class _Pace:
    """So long between two sends at least, counted from one call of `wait` to the next."""

    def __init__(self) -> None:
        self._sent_at = float("-inf")

    async def wait(self, seconds: float, *, until: float) -> bool:
        """Return True when the next may be sent; False at once if that is later than `until`."""
        now = time.monotonic()
        next_at = max(now, self._sent_at + seconds)
        if next_at > until:
            return False
        if next_at > now:
            await asyncio.sleep(next_at - now)
        self._sent_at = next_at
        return True


def revived(body: bytes) -> bytes:
    """The body to send home: byte for byte the same, unless it is a readable message that has spent tries.

    A message that died after its last try would die again at the first hiccup if it kept its counter: an operator who
    sends it home says "try again from the start". Its id stays, so it is still the same fact. What cannot be read is
    never touched: nobody knows what a change would mean.
    """
    try:
        envelope = decode(body)
    except UnreadableMessage:
        return body
    if envelope.try_count == 1:
        return body
    # Not the decoded envelope: it forgets attributes that this version does not know.
    attributes = json.loads(body)
    return json.dumps({**attributes, "try": 1}, ensure_ascii=False, separators=(",", ":")).encode()


async def _depth(channel: PlainChannel, queue: Queue) -> QueueDepth:
    work = (await channel.declare_queue(queue.name, passive=True, timeout=PATIENCE_SECONDS)).declaration_result
    dead = (await channel.declare_queue(queue.dead_letters, passive=True, timeout=PATIENCE_SECONDS)).declaration_result
    return QueueDepth(queue, work.message_count or 0, work.consumer_count or 0, dead.message_count or 0)


def _letter(message: AbstractIncomingMessage) -> Letter:
    headers = {str(name): value for name, value in message.headers.items()}
    deaths = _deaths(headers.get("x-death"))
    times = [death["time"] for death in deaths if isinstance(death.get("time"), datetime)]
    return Letter(
        id=_id_of(message),
        body=message.body,
        headers=headers,
        content_type=message.content_type,
        died_at=min(map(_aware, times), default=None),
        reason=next((printable(str(death["reason"])) for death in deaths if "reason" in death), None),
        deaths=sum(count for death in deaths if isinstance(count := death.get("count"), int)),
        envelope=_attributes(message.body),
        unreadable=_objection_to(message.body),
    )


def _id_of(message: AbstractIncomingMessage) -> str:
    """Ids travel in URLs, logs and audit lines: one that is not plain is replaced by a digest of the body."""
    if message.message_id and _PLAIN_ID.fullmatch(message.message_id):
        return message.message_id
    return f"body-{hashlib.sha256(message.body).hexdigest()[:16]}"


def _deaths(header: object) -> list[dict[str, Any]]:
    """The broker's list of deaths, newest first; waiting in a delay queue and expiring there is none."""
    entries = [entry for entry in header if isinstance(entry, dict)] if isinstance(header, list) else []
    work = {queue.name for queue in QUEUES}
    return [entry for entry in entries if entry.get("queue") in work]


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _attributes(body: bytes) -> dict[str, str | int]:
    if len(body) > MAX_BODY_BYTES:
        return {}
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(raw, dict):
        return {}
    known = {name: raw[name] for name in _ATTRIBUTES if isinstance(raw.get(name), str | int)}
    return {
        name: printable(value[:_ATTRIBUTE_CHARACTERS]) if isinstance(value, str) else value
        for name, value in known.items()
    }


def _objection_to(body: bytes) -> str | None:
    try:
        decode(body)
    except UnreadableMessage as error:
        return str(error)
    return None
