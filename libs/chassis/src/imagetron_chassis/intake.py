"""Whether the broker sends messages to this process: consumers that are cancelled and made again. What is in hand stays."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream.rabbit.subscriber import RabbitSubscriber

from imagetron_chassis.errors import Transient
from imagetron_chassis.periodic import Periodic

# Also how long a consumer may live that a reconnect made again in the very moment in which it was cancelled.
CHECK_SECONDS: Final = 1.0
# The broker answers a cancelling at once, or its connection is gone.
_STOP_SECONDS: Final = 5.0


class IntakeUnsettled(Transient):
    """The broker did not let us stop or begin to consume; the next round tries."""


class Intake:
    """Opened and shut at will, at once; the broker follows, and what it does not do is asked for until it has happened.

    After a reconnect aio-pika's robust queue makes the consumers again that it knows, and no others. It forgets a
    cancelled one before it asks the broker, so the queue's own record is the truth that is put right here.
    """

    def __init__(self, subscribers: Sequence[RabbitSubscriber]) -> None:
        self._subscribers = subscribers
        self._is_open = True
        # aio-pika closes a channel whose answer nobody waits for, and what is in hand there would be delivered again.
        self._undisturbed = asyncio.Lock()
        self._keeper = Periodic("intake", CHECK_SECONDS, self._settle)

    async def start(self) -> None:
        """After the subscribers have started."""
        await self._keeper.start()

    def open(self) -> None:
        self._is_open = True
        self._keeper.kick()

    def shut(self) -> None:
        self._is_open = False
        self._keeper.kick()

    async def stop(self) -> None:
        """For good. A broker that does not answer must not keep us: its deliveries end with the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS), self._undisturbed:
                await self._keeper.stop()
                await asyncio.gather(*(stop_consuming(subscriber) for subscriber in self._subscribers))
        await self._keeper.stop()

    async def _settle(self) -> None:
        async with self._undisturbed:
            for subscriber in self._subscribers:
                try:
                    await self._put_right(subscriber)
                # aio-pika answers with RuntimeError while it has no connection.
                except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
                    wish = "begin" if self._is_open else "stop"
                    queue = subscriber.queue.name
                    raise IntakeUnsettled(f"cannot {wish} to consume {queue}: {type(error).__name__}") from error

    async def _put_right(self, subscriber: RabbitSubscriber) -> None:
        queue = subscriber._queue_obj  # noqa: SLF001 - there is no other way to the consumer
        if queue is None:
            return
        known = list(queue._consumers)  # noqa: SLF001 - see the class
        if self._is_open and not known:
            # Under a new tag: to a quorum queue an old one is the old consumer, which still holds what is in hand.
            subscriber._consumer_tag = await queue.consume(  # noqa: SLF001 - FastStream cancels it when it stops
                subscriber.consume,  # type: ignore[arg-type]  # FastStream itself hands it over like this
                no_ack=False,
                arguments=subscriber.consume_args,
            )
        for tag in known[1:] if self._is_open else known:
            await queue.cancel(tag)


async def stop_consuming(subscriber: RabbitSubscriber) -> None:
    """Cancel first: FastStream drops what arrives after `stop` began, and the broker counts that as a failed delivery.

    A broker that is gone has cancelled by itself.
    """
    queue, tag = subscriber._queue_obj, subscriber._consumer_tag  # noqa: SLF001 - there is no other way to the consumer
    with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
        if queue is not None and tag is not None and not queue.channel.is_closed:
            await queue.cancel(tag)
    with suppress(AMQPError, ChannelInvalidStateError, OSError, RuntimeError):
        await subscriber.stop()
