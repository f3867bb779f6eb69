"""Hints: heard by this process while it runs, lost without harm. Nothing may depend on one."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, RabbitExchange, RabbitMessage, RabbitQueue

from imagetron_chassis.broker import Broker
from imagetron_chassis.logs import log
from imagetron_contracts.envelope import UnreadableMessage, decode
from imagetron_contracts.message import Message
from imagetron_contracts.topology import Exchange, HintQueue

MessageT = TypeVar("MessageT", bound=Message)


def listen(
    broker: Broker, queue: HintQueue, kind: type[MessageT], handle: Callable[[MessageT], Awaitable[None]]
) -> None:
    """Call `handle` with every hint of this kind: an exclusive queue of its own, acked on delivery."""

    async def on_hint(message: RabbitMessage) -> None:
        try:
            hint = decode(message.body, accept=(kind,)).data
        except UnreadableMessage as error:
            log().warning("hint_unreadable", reason=str(error))
            return
        if isinstance(hint, kind):
            [result] = await asyncio.gather(handle(hint), return_exceptions=True)
            if isinstance(result, BaseException):
                # FastStream would swallow it: a hint is acked before it is handled.
                log().warning("hint_not_handled", hint=kind.TYPE, exc_info=result)

    name = f"hints.{queue.message.TYPE.lower()}.{secrets.token_hex(6)}"
    broker.consuming.subscriber(
        RabbitQueue(name, exclusive=True, auto_delete=True, durable=False, routing_key=queue.routing_key),
        exchange=RabbitExchange(Exchange.HINTS.value, type=ExchangeType.TOPIC, durable=True),
        channel=Channel(prefetch_count=100),
        ack_policy=AckPolicy.ACK_FIRST,
        no_reply=True,
    )(on_hint)
