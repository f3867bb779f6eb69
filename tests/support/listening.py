"""An outsider at an exchange: everything that passes, as parsed JSON and as bytes."""

import json
from types import TracebackType
from typing import Any, Self

import aio_pika

from support.eventually import eventually


class Listener:
    """Binds a queue of its own to an exchange and keeps what arrives."""

    def __init__(self, amqp_url: str, exchange: str, routing_key: str = "#") -> None:
        self._amqp_url = amqp_url
        self._exchange = exchange
        self._routing_key = routing_key
        self.bodies: list[bytes] = []
        self._connection: aio_pika.abc.AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._amqp_url)
        channel = await self._connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(self._exchange, routing_key=self._routing_key)

        async def keep(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            self.bodies.append(message.body)

        await queue.consume(keep, no_ack=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection is not None
        await self._connection.close()

    def messages(self, subject: str | None = None) -> list[dict[str, Any]]:
        """What arrived, in order; with a subject, about that job only."""
        parsed = [json.loads(body) for body in self.bodies]
        return [message for message in parsed if subject is None or message.get("subject") == subject]

    async def until(self, message_type: str, subject: str, *, within_seconds: float = 60) -> list[dict[str, Any]]:
        """All messages of the job up to and including the first of this type."""

        def seen() -> bool:
            return any(message["type"] == message_type for message in self.messages(subject))

        await eventually(seen, within_seconds=within_seconds)
        story = self.messages(subject)
        end = next(place for place, message in enumerate(story) if message["type"] == message_type)
        return story[: end + 1]
