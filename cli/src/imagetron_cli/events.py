"""A subscriber to the public events, as any other team would write it: the contracts and an AMQP client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from imagetron_contracts import (
    EVENTS,
    Envelope,
    Exchange,
    FamilyCompleted,
    UnreadableMessage,
    VariationCompleted,
    VariationStarted,
    decode,
)

_ALL_EVENTS: Final = "image.#"


class Heard:
    """The events so far, in the order of their arrival."""

    def __init__(self) -> None:
        self.events: list[Envelope] = []
        self.unreadable: list[str] = []
        self._news = asyncio.Condition()

    async def add(self, envelope: Envelope) -> None:
        async with self._news:
            self.events.append(envelope)
            self._news.notify_all()

    async def missing(self, orders: Sequence[tuple[str, Sequence[str]]], *, within_seconds: float) -> list[str]:
        """What a complete variation publishes and was not heard of (id, families), after waiting for it."""
        try:
            async with asyncio.timeout(within_seconds), self._news:
                await self._news.wait_for(lambda: not missing_events(self.events, orders))
        except TimeoutError:
            return missing_events(self.events, orders)
        return []


def missing_events(events: Sequence[Envelope], orders: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    heard = {(event.subject, *_what(event)) for event in events}
    return [
        f"{kind} of {family or 'the variation'} {job}".strip()
        for job, families in orders
        for kind, family in [
            (VariationStarted.TYPE, ""),
            *((FamilyCompleted.TYPE, family) for family in families),
            (VariationCompleted.TYPE, ""),
        ]
        if (job, kind, family) not in heard
    ]


def _what(event: Envelope) -> tuple[str, str]:
    return event.type, event.data.family_name if isinstance(event.data, FamilyCompleted) else ""


@asynccontextmanager
async def listening(amqp_url: str, tell: Callable[[Envelope], None]) -> AsyncIterator[Heard]:
    """Everything published inside is heard. The gateway must have run before: the exchange is its to declare."""
    heard = Heard()

    async def on_message(message: AbstractIncomingMessage) -> None:
        async with message.process():
            try:
                envelope = decode(message.body, accept=EVENTS)
            except UnreadableMessage as error:
                heard.unreadable.append(str(error))
                return
            tell(envelope)
            await heard.add(envelope)

    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(Exchange.EVENTS)
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(exchange, _ALL_EVENTS)
        await queue.consume(on_message)
        yield heard
