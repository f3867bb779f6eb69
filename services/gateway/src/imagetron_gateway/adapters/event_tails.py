"""A private view of the public events: an exclusive queue of its own for each reader, gone with its channel."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aio_pika import Channel as PlainChannel
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from imagetron_chassis.broker import Broker
from imagetron_chassis.errors import Transient
from imagetron_chassis.logs import log
from imagetron_contracts.envelope import Envelope, UnreadableMessage, decode
from imagetron_contracts.events import EVENTS
from imagetron_contracts.topology import Exchange
from imagetron_gateway.ports import TailEnded, TooManyTails

MAX_TAILS: Final = 20
"""Each is a channel and a queue; people and a web app's pages read them, not services (those bind queues of their own)."""
BUFFERED_EVENTS: Final = 500
"""For one reader, in memory: some 1 MiB. Who falls behind further is dropped."""
_ALL_EVENTS: Final = "image.#"


class RabbitEventTails:
    """Implements the EventTails port."""

    def __init__(self, broker: Broker, *, max_tails: int = MAX_TAILS, buffered: int = BUFFERED_EVENTS) -> None:
        self._broker = broker
        self._max_tails = max_tails
        self._buffered = buffered
        self._open: set[_Tail] = set()
        self._is_closed = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator["_Tail"]:
        if self._is_closed:
            raise TailsUnavailable("the gateway is stopping")
        if len(self._open) >= self._max_tails:
            raise TooManyTails(f"{self._max_tails} tails are open, as many as this process keeps; try again later")
        tail = _Tail(self._buffered)
        self._open.add(tail)
        try:
            channel = await self._bound(tail)
            try:
                yield tail
            finally:
                await channel.close()
        finally:
            self._open.discard(tail)

    async def close(self) -> None:
        """End every tail: a stream that never ends would keep the server from stopping."""
        self._is_closed = True
        for tail in tuple(self._open):
            tail.end("the gateway is stopping")

    async def _bound(self, tail: "_Tail") -> PlainChannel:
        try:
            channel = PlainChannel(await self._broker.consuming.connect(), publisher_confirms=False)
            await channel.initialize()
            channel.close_callbacks.add(tail.on_close)
            queue = await channel.declare_queue(
                f"tails.events.{secrets.token_hex(8)}", exclusive=True, auto_delete=True
            )
            await queue.bind(Exchange.EVENTS.value, _ALL_EVENTS)
            await queue.consume(tail.on_message, no_ack=True)
        # aio-pika answers with RuntimeError while it has no connection.
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            raise TailsUnavailable(f"the events cannot be heard: {type(error).__name__}") from error
        return channel


class TailsUnavailable(Transient):
    """The broker does not answer now."""


class _Tail:
    """A bounded buffer between the broker, which pushes, and a reader, who may be slow."""

    def __init__(self, size: int) -> None:
        self._events: asyncio.Queue[Envelope | None] = asyncio.Queue(size)
        self._ended: str | None = None

    async def next(self, *, within_seconds: float) -> Envelope | None:
        if self._ended is not None:
            raise TailEnded(self._ended)
        try:
            async with asyncio.timeout(within_seconds):
                event = await self._events.get()
        except TimeoutError:
            return None
        if event is None:
            raise TailEnded(str(self._ended))
        return event

    async def on_message(self, message: AbstractIncomingMessage) -> None:
        if self._ended is not None:
            return
        try:
            event = decode(message.body, accept=EVENTS)
        except UnreadableMessage as error:
            log().warning("event_unreadable", reason=str(error))
            return
        if self._events.full():
            self.end("the reader was too slow")
        else:
            self._events.put_nowait(event)

    def on_close(self, *_: Any) -> None:  # noqa: ANN401 - aio-pika's own
        self.end("the connection to the broker was lost")

    def end(self, reason: str) -> None:
        """Nothing more comes, and what was not read is forgotten."""
        if self._ended is not None:
            return
        self._ended = reason
        while not self._events.empty():
            self._events.get_nowait()
        self._events.put_nowait(None)
