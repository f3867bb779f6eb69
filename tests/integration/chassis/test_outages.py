"""The broker goes away, comes back, or runs short of memory: what is lost (nothing), what goes on, and who says what."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from imagetron_chassis.broker import Broker, ConsumerMissing
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.hints import listen
from imagetron_chassis.publishing import BrokerUnavailable, Outgoing, PublishUnconfirmed, RabbitPublisher
from imagetron_chassis.rpc import RpcClient, RpcServer
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import DescribePrompts, PromptsDescribed
from imagetron_contracts.stages import JobChanged
from imagetron_contracts.topology import (
    DERIVER_RENDERS,
    GATEWAY_PUBLISHED,
    GATEWAY_RENDERS,
    HINTS_JOB_CHANGED,
    PROMPT_DESCRIBE,
)
from integration.chassis.workbench import JOB_ID, Bench, GatedHandler, Handler, a_bench, published, renders
from support.eventually import eventually
from support.rabbitmq import FreshBroker, RunningRabbit

# A quorum queue declared a second before the broker is killed can stay stuck for good: that would test the broker.
OLD_ENOUGH_SECONDS = 10


async def is_well(broker: Broker) -> bool:
    try:
        await broker.consumers_exist()
    except ConsumerMissing:
        return False
    return True


@dataclass
class Outage:
    """What was seen before, during and after the broker was killed and started again on its data."""

    survived: list[int] = field(default_factory=list)
    redelivered: list[int] = field(default_factory=list)
    refusal: ChassisError | None = None
    refused_after_seconds: float = 0
    was_well: list[bool] = field(default_factory=list)
    publishes_again: bool = False
    consumes_again: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    answered: PromptsDescribed | None = None
    drained_in_seconds: float = 0
    back_after_seconds: float = 0


@pytest.fixture(scope="module")
def outage(rabbitmq: RunningRabbit) -> Outage:
    """One outage for all questions about it: killing and starting a node takes its time."""
    return asyncio.run(an_outage(rabbitmq))


async def an_outage(node: RunningRabbit) -> Outage:
    seen = Outage()
    async with a_bench(FreshBroker(node.new_vhost(), node)) as bench:
        at_work = GatedHandler()
        fresh = Handler()
        service = await bench.broker("service")
        facts = Facts(service.publisher, source="imagetron/service", clock=SystemClock())
        consumer = Consumer(
            service, facts, [Subscription(DERIVER_RENDERS, at_work), Subscription(GATEWAY_PUBLISHED, fresh)]
        )
        call = speaks(service, facts, seen.heard)
        await consumer.start()
        other, other_broker = await bench.consume(Subscription(GATEWAY_PUBLISHED, fresh))
        declared = time.monotonic()
        await bench.publish(*(renders(number) for number in range(1, 101)))
        await eventually(lambda: at_work.holding == 1)
        seen.was_well.append(await is_well(service))
        await eventually(lambda: time.monotonic() - declared > OLD_ENOUGH_SECONDS, within_seconds=15)

        await asyncio.to_thread(node.kill)
        await eventually(lambda: is_unwell(service))
        seen.was_well.append(await is_well(service))
        started = time.monotonic()
        try:
            await bench.publish(renders(999))
        except ChassisError as error:
            seen.refusal = error
        seen.refused_after_seconds = time.monotonic() - started
        started = time.monotonic()
        await other.drain(1)
        await other_broker.close()
        seen.drained_in_seconds = time.monotonic() - started
        at_work.gate.set()
        await asyncio.to_thread(node.restart)
        back = time.monotonic()

        await eventually(lambda: sends(bench, published(7)), within_seconds=30)
        seen.publishes_again = True
        await eventually(lambda: 7 in fresh.numbers, within_seconds=30)
        seen.consumes_again = fresh.numbers
        await eventually(lambda: is_well(service), within_seconds=30)
        seen.back_after_seconds = time.monotonic() - back
        seen.was_well.append(await is_well(service))
        await eventually(lambda: len(set(at_work.done)) == 100, within_seconds=30)
        seen.redelivered = at_work.done
        await bench.publish(JobChanged(job_id=JOB_ID, version=2))
        await eventually(lambda: 2 in seen.heard)
        seen.answered = await call()
        await consumer.drain(1)
        seen.survived = sorted(set(await drained_numbers(bench.url)))
    return seen


def speaks(broker: Broker, facts: Facts, heard: list[int]) -> Callable[[], Awaitable[PromptsDescribed]]:
    """Let the process listen to hints, answer requests and ask some itself."""

    async def hear(hint: JobChanged) -> None:
        heard.append(hint.version)

    async def answer(_: Message) -> Message:
        return PromptsDescribed(service_version="1", source="offline")

    listen(broker, HINTS_JOB_CHANGED, JobChanged, hear)
    RpcServer(broker, facts).answer(PROMPT_DESCRIBE, answer)
    client = RpcClient(broker, facts)
    return lambda: client.call(DescribePrompts(), PromptsDescribed, deadline_seconds=5)


async def is_unwell(broker: Broker) -> bool:
    return not await is_well(broker)


async def sends(bench: Bench, message: Message) -> bool:
    try:
        await bench.publish(message)
    except ChassisError:
        return False
    return True


async def drained_numbers(url: str) -> list[int]:
    """What is in the gateway's queue, which nobody consumed: a copy of everything that was published."""
    broker, handler = Broker(url, "reader"), Handler()
    await broker.connect()
    facts = Facts(broker.publisher, source="imagetron/reader", clock=SystemClock())
    consumer = Consumer(broker, facts, [Subscription(GATEWAY_RENDERS, handler, concurrency=50)])
    await consumer.start()
    await eventually(lambda: len(set(handler.numbers) - {999}) == 100)
    await consumer.drain(1)
    await broker.close()
    return handler.numbers


def test_every_confirmed_message_survives_a_killed_broker(outage: Outage):
    assert set(outage.survived) >= set(range(1, 101))


def test_publishing_without_a_broker_fails_at_once_or_by_its_deadline(outage: Outage):
    assert isinstance(outage.refusal, BrokerUnavailable | PublishUnconfirmed)
    assert outage.refused_after_seconds < 11


def test_publishing_works_again_after_the_restart(outage: Outage):
    assert outage.publishes_again


def test_consumers_take_up_their_work_again_after_the_restart(outage: Outage):
    assert 7 in outage.consumes_again


def test_a_message_in_hand_when_the_broker_died_is_delivered_again_and_none_is_left_out(outage: Outage):
    assert set(outage.redelivered) == set(range(1, 101))
    assert outage.redelivered.count(1) == 2


def test_readiness_tells_the_truth_before_during_and_after(outage: Outage):
    assert outage.was_well == [True, False, True]


def test_hints_are_heard_again_and_calls_are_answered_again_on_their_exclusive_queues(outage: Outage):
    assert 2 in outage.heard
    assert outage.answered == PromptsDescribed(service_version="1", source="offline")


def test_everything_is_back_within_fifteen_seconds_of_the_brokers_return(outage: Outage):
    assert outage.back_after_seconds < 15


def test_a_process_can_stop_while_the_broker_is_away(outage: Outage):
    assert outage.drained_in_seconds < 5


@pytest.mark.parametrize("whose", ["consuming", "publishing"])
async def test_a_connection_that_the_broker_closes_comes_back_with_its_consumers_and_publishes_again(
    bench: Bench, whose: str
):
    handler = Handler([published()])
    _, broker = await bench.consume(Subscription(DERIVER_RENDERS, handler))
    connection = await getattr(broker, whose).connect()
    assert connection.transport

    await connection.transport.connection.close(ConnectionResetError("the line was cut"))
    await eventually(lambda: is_well(broker))
    await bench.publish(renders())

    await bench.take(GATEWAY_PUBLISHED.name, within_seconds=15)


@asynccontextmanager
async def short_of_memory(bench: Bench) -> AsyncIterator[None]:
    """The broker blocks every connection that publishes."""
    await asyncio.to_thread(bench.node.ctl, "set_vm_memory_high_watermark", "0.0000001")
    try:
        yield
    finally:
        await asyncio.to_thread(bench.node.ctl, "set_vm_memory_high_watermark", "0.4")


async def test_while_the_broker_is_short_of_memory_publishing_ends_by_its_deadline_and_consuming_goes_on(bench: Bench):
    handler = Handler()
    _, broker = await bench.consume(Subscription(DERIVER_RENDERS, handler, concurrency=1))
    hasty = RabbitPublisher(broker.publishing, deadline_seconds=0.5)
    message = Outgoing("late", "", GATEWAY_PUBLISHED.name, b"late")
    await hasty.send(Outgoing("early", "", GATEWAY_PUBLISHED.name, b"early"))
    gate = GatedHandler()
    await bench.consume(Subscription(GATEWAY_RENDERS, gate, concurrency=20))
    await bench.publish(*(renders(number) for number in range(1, 6)))
    await eventually(lambda: gate.holding == 5)

    async with short_of_memory(bench):
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(PublishUnconfirmed, match=r"late was not confirmed within 0\.5 s"):
                await hasty.send(message)
        elapsed = time.monotonic() - started
        gate.gate.set()
        await eventually(lambda: len(gate.done) == 5)
        await eventually(lambda: bench.is_empty(GATEWAY_RENDERS.name, DERIVER_RENDERS.name))
        well = await is_well(broker)

    assert 0.9 < elapsed < 8
    assert well
    await eventually(lambda: arrives(broker.publisher))
    bodies = [(await bench.take(GATEWAY_PUBLISHED.name)).body for _ in range(3)]
    assert bodies[0] == b"early"
    assert b"late" in bodies


async def arrives(publisher: RabbitPublisher) -> bool:
    try:
        await publisher.send(Outgoing("after", "", GATEWAY_PUBLISHED.name, b"after"))
    except ChassisError:
        return False
    return True
