"""Builds the broker: two connections, the whole topology, and proof that our consumers exist. No handlers, no decisions."""

import asyncio
from collections.abc import Sequence

from aio_pika import Channel as PlainChannel
from aio_pika import IncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream.message import StreamMessage
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue

from imagetron_chassis.errors import Transient
from imagetron_chassis.logs import log
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.publishing import RabbitPublisher
from imagetron_contracts import topology
from imagetron_contracts.topology import Exchange, Queue

_EXCHANGE_TYPES = {
    Exchange.EVENTS: ExchangeType.TOPIC,
    Exchange.STAGES: ExchangeType.TOPIC,
    Exchange.HINTS: ExchangeType.TOPIC,
    Exchange.PROMPTS: ExchangeType.DIRECT,
    Exchange.DEAD: ExchangeType.DIRECT,
}
RECONNECT_SECONDS = 1.0
RESTORE_TOPOLOGY_SECONDS = 30.0
HEARTBEAT_SECONDS = 15
_NEVER_REACHED = 1_000_000_000


class Broker:
    """Two connections: one consumes, one publishes.

    A broker short of memory or disk blocks connections that publish, and with them the acks of messages consumed there.
    """

    def __init__(self, url: str, service: str) -> None:
        self.consuming = _connection(url, service, Channel(prefetch_count=1))
        self.publishing = _connection(url, service, Channel(on_return_raises=True))
        self.publisher = RabbitPublisher(self.publishing)
        self._consumed: dict[str, bool] = {}
        self._exchanges: list[RabbitExchange] = []
        self._bindings: list[tuple[RabbitQueue, str, str]] = []
        self._restoring = Periodic("topology", RESTORE_TOPOLOGY_SECONDS, self.restore_topology, begins_at_once=False)

    async def connect(self) -> None:
        """Wait until the broker answers, however long that takes, then declare the topology."""
        attempts = 0
        while True:
            try:
                await self.publishing.start()
                await self.declare_topology()
                await self.consuming.connect()
            except (AMQPError, OSError, ChannelInvalidStateError) as error:
                attempts += 1
                if attempts % 5 == 1:
                    log().warning("broker_not_reachable", reason=str(error) or type(error).__name__, attempts=attempts)
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                await self._restoring.start()
                return

    async def declare_topology(self) -> None:
        """Declare everything of the contracts' topology: from its first moment a service can publish without a return."""
        self._exchanges.clear()
        self._bindings.clear()
        for name, kind in _EXCHANGE_TYPES.items():
            await self._declare_exchange(RabbitExchange(name.value, type=kind, durable=True))
        for queue in topology.QUEUES:
            await self._declare_with_dead_letters(queue)
        for seconds in topology.RETRY_DELAYS_SECONDS:
            await self._declare_delay(seconds)

    async def restore_topology(self) -> None:
        """Declare again what was deleted under us: a queue without a consumer (delays, dead letters) has nobody who sees it go.

        Without its delay queues a consumer could not put off a message, and would hold it instead.
        """
        try:
            # A queue that cannot be made closes the channel that asked. The one that publishes would stay closed: it opens
            # itself again together with everything that was declared on it, or not at all.
            async with PlainChannel(await self.publishing.connect(), publisher_confirms=False) as channel:
                for exchange in self._exchanges:
                    await channel.declare_exchange(exchange.name, exchange.type.value, durable=exchange.durable)
                for queue, source, routing_key in self._bindings:
                    declared = await channel.declare_queue(queue.name, durable=queue.durable, arguments=queue.arguments)
                    await declared.bind(source, routing_key=routing_key)
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            raise TopologyUnknown(f"the topology cannot be declared again: {type(error).__name__}") from error

    async def consumers_exist(self) -> None:
        """Raise unless every queue we consume exists and, where it is not paused, has a consumer. TCP being up says nothing.

        Asks on the consuming connection: the other one does not answer while the broker is short of memory or disk,
        and a gateway that only cannot publish can still take jobs.
        """
        try:
            # The connection's own channels are robust: one that a missing queue closes would open itself again, for ever.
            async with PlainChannel(await self.consuming.connect(), publisher_confirms=False) as channel:
                for name in tuple(self._consumed):
                    declared = await channel.declare_queue(name, passive=True)
                    # Looked up only now: a pause that begins while we ask must not read as a lost consumer.
                    if self._consumed[name] and not declared.declaration_result.consumer_count:
                        raise ConsumerMissing(f"nobody consumes {name}")
        # aio-pika answers with RuntimeError while it has no connection.
        except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as error:
            raise ConsumerMissing(f"our queues cannot be seen: {type(error).__name__}") from error

    def watch(self, queues: Sequence[str], *, are_consumed: bool = True) -> None:
        """Look at these queues in `consumers_exist`; at their consumers too, unless they are paused on purpose."""
        self._consumed.update(dict.fromkeys(queues, are_consumed))

    async def close(self) -> None:
        await self._restoring.stop()
        await self.consuming.stop()
        await self.publishing.stop()

    async def _declare_with_dead_letters(self, queue: Queue) -> None:
        dead = RabbitQueue(
            queue.dead_letters,
            queue_type=QueueType.QUORUM,
            # Every look at a letter counts as a delivery, and RabbitMQ 4 drops a message after 20 of them. "No limit"
            # is -1 there, which 3.10 refuses; a billion looks are out of reach on both.
            arguments={"x-delivery-limit": _NEVER_REACHED},
        )
        await self._declare_bound(dead, Exchange.DEAD.value, queue.name)
        await self._declare_bound(work_queue(queue), queue.exchange.value, queue.routing_key)

    async def _declare_delay(self, seconds: int) -> None:
        name = topology.delay_queue(seconds)
        await self._declare_exchange(RabbitExchange(name, type=ExchangeType.FANOUT, durable=True))
        delay = RabbitQueue(
            name,
            queue_type=QueueType.QUORUM,
            arguments={
                "x-message-ttl": seconds * 1000,
                # The default exchange: the message goes home under its routing key, its work queue's name.
                "x-dead-letter-exchange": "",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        await self._declare_bound(delay, name, name)

    async def _declare_exchange(self, exchange: RabbitExchange) -> None:
        await self.publishing.declare_exchange(exchange)
        self._exchanges.append(exchange)

    async def _declare_bound(self, queue: RabbitQueue, source: str, routing_key: str) -> None:
        declared = await self.publishing.declare_queue(queue)
        await declared.bind(source, routing_key=routing_key)
        self._bindings.append((queue, source, routing_key))


class TopologyUnknown(Transient):
    """The broker did not let us declare our queues again; the next round tries."""


class ConsumerMissing(Transient):
    """A queue that this service should consume has no consumer."""


def work_queue(queue: Queue) -> RabbitQueue:
    """A quorum queue whose rejected messages go to its own dead-letter queue, at least once."""
    return RabbitQueue(
        queue.name,
        queue_type=QueueType.QUORUM,
        routing_key=queue.routing_key,
        arguments={
            "x-delivery-limit": topology.DELIVERY_LIMIT,
            "x-dead-letter-exchange": Exchange.DEAD.value,
            "x-dead-letter-routing-key": queue.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )


def _connection(url: str, service: str, channel: Channel) -> RabbitBroker:
    return RabbitBroker(
        url,
        app_id=f"imagetron-{service}",
        client_properties={"heartbeat": HEARTBEAT_SECONDS},
        default_channel=channel,
        # Draining is ours (delivery.py): FastStream must not wait on its own clock.
        graceful_timeout=None,
        reconnect_interval=RECONNECT_SECONDS,
        logger=None,
        apply_types=False,
        decoder=_whole_message,
    )


async def _whole_message(message: StreamMessage[IncomingMessage]) -> StreamMessage[IncomingMessage]:
    """Handlers of the chassis decode the envelope themselves, and answer the broker: they need the message, not its body."""
    return message
