"""What the tests of the chassis work with: messages, processes on a broker, and a look into its queues from outside."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, GivenUp, Subscription
from imagetron_chassis.publishing import Outgoing, Publisher
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.failures import Stage
from imagetron_contracts.message import Message
from imagetron_contracts.spec import spec_key
from imagetron_contracts.stages import FamilyMessage, FamilyPublished, RendersGenerated, StageFailed
from support.eventually import eventually
from support.rabbitmq import FreshBroker, RunningRabbit

JOB_ID: Final = "019b7a6e-0c00-7000-8000-000000000001"


def renders(number: int = 1) -> RendersGenerated:
    """Work that two queues are bound to: the deriver's and the gateway's."""
    return RendersGenerated(
        job_id=JOB_ID,
        revision=1,
        family="square",
        attempt=number,
        spec_key=spec_key(JOB_ID, 1),
        images=(),
        model="photorealistic",
        served_by="preview",
        fingerprint="test",
        model_seconds=0.1,
    )


def published(number: int = 1) -> FamilyPublished:
    """A fact for a handler to return; it arrives in the gateway's queue."""
    return FamilyPublished(job_id=JOB_ID, revision=1, family="square", attempt=number, images=())


def number_of(envelope: Envelope) -> int:
    assert isinstance(envelope.data, FamilyMessage)
    return envelope.data.attempt


def stage_failed(message: Message, given_up: GivenUp) -> Sequence[Message]:
    assert isinstance(message, FamilyMessage)
    fact = StageFailed(
        job_id=message.job_id,
        revision=message.revision,
        family=message.family,
        attempt=message.attempt,
        stage=Stage.DERIVING,
        code=given_up.code,
        message=given_up.message,
        image_indexes=(0,),
        support_id=given_up.support_id,
    )
    return [fact]


class Handler:
    """Remembers what it was given; ends as laid out for each call, the last entry for all that follow."""

    def __init__(self, *outcomes: BaseException | Sequence[Message]) -> None:
        self.given: list[Envelope] = []
        self._outcomes = list(outcomes) or [()]

    async def __call__(self, envelope: Envelope) -> Sequence[Message]:
        self.given.append(envelope)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def numbers(self) -> list[int]:
        return [number_of(envelope) for envelope in self.given]


class GatedHandler:
    """Holds every message until the gate opens; knows how many it held at once."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.holding = 0
        self.most_held = 0
        self.done: list[int] = []

    async def __call__(self, envelope: Envelope) -> Sequence[Message]:
        self.holding += 1
        self.most_held = max(self.most_held, self.holding)
        try:
            await self.gate.wait()
        finally:
            self.holding -= 1
        self.done.append(number_of(envelope))
        return []


class FailingPublisher:
    """A real publisher that raises the errors laid out for its first sends."""

    def __init__(self, real: Publisher, *failures: BaseException | None) -> None:
        self._real = real
        self._failures = list(failures)
        self.refused = 0

    async def send(self, message: Outgoing) -> None:
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            self.refused += 1
            raise failure
        await self._real.send(message)


@dataclass
class Bench:
    """One virtual host: processes that publish and consume there, and a plain connection that looks in from outside."""

    url: str
    outside: AbstractChannel
    node: RunningRabbit
    _stack: AsyncExitStack
    _publishing: Broker | None = field(default=None)

    @property
    def vhost(self) -> str:
        return self.url.rsplit("/", 1)[1]

    async def broker(self, name: str = "test", *, is_connected: bool = True) -> Broker:
        """One service process' connections; closed when the test ends."""
        broker = Broker(self.url, name)
        self._stack.push_async_callback(broker.close)
        if is_connected:
            await broker.connect()
        return broker

    async def consume(
        self, *subscriptions: Subscription, publisher: Publisher | None = None, **options: Any
    ) -> tuple[Consumer, Broker]:
        """A started consumer with connections of its own; drained without grace when the test ends."""
        broker = await self.broker()
        facts = Facts(publisher or broker.publisher, source="imagetron/test", clock=SystemClock())
        consumer = Consumer(broker, facts, subscriptions, **options)
        await consumer.start()
        self._stack.push_async_callback(consumer.drain, 0)
        return consumer, broker

    async def facts(self) -> Facts:
        if self._publishing is None:
            self._publishing = await self.broker()
        return Facts(self._publishing.publisher, source="imagetron/bench", clock=SystemClock())

    async def publish(self, *messages: Message) -> None:
        await (await self.facts()).publish(*messages)

    async def hand_over(self, message: Message, *, queue: topology.Queue, tries: int) -> Envelope:
        """Put the message straight into one queue, as if it had been tried before."""
        facts = await self.facts()
        envelope = facts.wrap(message).model_copy(update={"try_count": tries})
        await facts.send(Outgoing(envelope.id, "", queue.name, envelope.encode()))
        return envelope

    async def put(self, body: bytes, *, queue: str) -> None:
        """Put bytes into a queue that no publisher of ours would send."""
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self.outside.default_exchange.publish(message, routing_key=queue)

    async def ready(self, queue: str) -> int:
        """How many messages wait in the queue, those in hand not counted."""
        declared = await self.outside.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def has_no_consumer(self, queue: str) -> bool:
        """Whether nobody listens to the queue just now."""
        declared = await self.outside.declare_queue(queue, passive=True)
        return declared.declaration_result.consumer_count == 0

    async def is_empty(self, *queues: str) -> bool:
        return not any([await self.ready(queue) for queue in queues])

    async def take(self, queue: str, *, within_seconds: float = 5) -> AbstractIncomingMessage:
        """The next message of the queue, taken out of it."""
        opened = await self.outside.get_queue(queue, ensure=False)

        async def message() -> Any:
            return await opened.get(no_ack=True, fail=False)

        taken: AbstractIncomingMessage = await eventually(message, within_seconds=within_seconds)
        return taken

    async def take_envelope(self, queue: str, *, within_seconds: float = 5) -> Envelope:
        return decode((await self.take(queue, within_seconds=within_seconds)).body)


@asynccontextmanager
async def a_bench(broker: FreshBroker) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        connection = await aio_pika.connect(broker.url)
        stack.push_async_callback(connection.close)
        yield Bench(broker.url, await connection.channel(), broker.node, stack)


def start_python(script: str, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A process of its own that runs the script; its output is one pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
