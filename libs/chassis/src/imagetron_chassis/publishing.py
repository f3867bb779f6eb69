"""The one publisher wrapper: what leaves, how it travels, and what each kind of failure means. Nobody else publishes."""

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakValueDictionary

from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError
from faststream.exceptions import IncorrectState
from faststream.rabbit import RabbitBroker, RabbitExchange
from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.errors import Transient, UnknownOutcome
from imagetron_contracts.envelope import CONTENT_TYPE, Envelope
from imagetron_contracts.topology import Exchange, exchange_of


class BrokerUnavailable(Transient):
    """The broker is away or refused the message; nothing was sent."""


class Unroutable(Transient):
    """No queue is bound for this message: its consumer never declared it, or somebody deleted it."""


class PublishUnconfirmed(UnknownOutcome):
    """The deadline passed before the confirm. The message may arrive later: consumers recognise a repeat by its id."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready to leave: bytes and an address."""

    message_id: str
    exchange: str
    routing_key: str
    body: bytes
    reply_to: str | None = None
    correlation_id: str | None = None

    @property
    def must_arrive(self) -> bool:
        """False for hints and RPC: kept in memory only, and nobody minds if no queue takes them."""
        return self.exchange != Exchange.HINTS and self.reply_to is None and self.correlation_id is None

    @property
    def is_mandatory(self) -> bool:
        """Public events, hints and replies may find nobody listening; work and requests may not."""
        is_reply = self.correlation_id is not None and self.reply_to is None
        return self.exchange not in {Exchange.EVENTS, Exchange.HINTS} and not is_reply


def outgoing(envelope: Envelope) -> Outgoing:
    """The envelope on its own exchange, under its own routing key."""
    return Outgoing(
        message_id=envelope.id,
        exchange=exchange_of(type(envelope.data)),
        routing_key=envelope.data.routing_key(),
        body=envelope.encode(),
    )


class Publisher(Protocol):
    """Hands messages to the broker. Returns when the broker has confirmed (and routed, where that is mandatory).

    Errors: BrokerUnavailable, Unroutable (Transient); PublishUnconfirmed (UnknownOutcome).
    """

    async def send(self, message: Outgoing) -> None: ...


# Well above a confirm on a busy disk (measured below 0.1 s), well below the time a delivery may be held.
DEADLINE_SECONDS: Final = 10.0


class RabbitPublisher:
    """Publishes through a connection of its own: persistent, mandatory with returns raised, confirmed, with a deadline.

    The deadline is ours: the client's own does not fire while the broker blocks the connection (a memory alarm).
    """

    def __init__(self, broker: RabbitBroker, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._broker = broker
        self._deadline_seconds = deadline_seconds
        # FastStream caches the channel's exchange by this object.
        self._exchanges: dict[str, RabbitExchange] = {"": RabbitExchange("")}
        # Weak: a lock lives as long as its message is on its way.
        self._on_their_way: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        name, unit, description = semconv.PUBLISHED
        self._published = metrics.get_meter(__name__).create_counter(name, unit, description)

    async def send(self, message: Outgoing) -> None:
        exchange = self._exchanges.setdefault(message.exchange, RabbitExchange(message.exchange, declare=False))
        try:
            async with asyncio.timeout(self._deadline_seconds), self._alone(message.message_id):
                await self._broker.publish(
                    message.body,
                    exchange=exchange,
                    routing_key=message.routing_key,
                    mandatory=message.is_mandatory,
                    persist=message.must_arrive,
                    content_type=CONTENT_TYPE,
                    message_id=message.message_id,
                    reply_to=message.reply_to,
                    correlation_id=message.correlation_id,
                )
        except TimeoutError as error:
            seconds = self._deadline_seconds
            raise PublishUnconfirmed(f"message {message.message_id} was not confirmed within {seconds:g} s") from error
        except PublishError as error:
            to = f"{message.exchange or 'the default exchange'} with key {message.routing_key}"
            raise Unroutable(f"no queue takes message {message.message_id} sent to {to}") from error
        except DeliveryError as error:
            raise BrokerUnavailable(f"the broker refused message {message.message_id} (queue full?)") from error
        except (AMQPError, ChannelInvalidStateError, IncorrectState, ConnectionError, OSError, RuntimeError) as error:
            raise BrokerUnavailable(f"the broker is away; message {message.message_id} was not sent") from error
        self._published.add(1, {semconv.QUEUE: message.exchange})

    def _alone(self, message_id: str) -> asyncio.Lock:
        """One copy at a time: aiormq looks up a returned message by its id, and of two copies would miss one return."""
        return self._on_their_way.setdefault(message_id, asyncio.Lock())
