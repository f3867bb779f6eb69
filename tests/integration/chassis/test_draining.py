"""Stopping: nothing new is taken, what is in hand is finished or handed back, nothing is lost and no try is spent."""

import asyncio
from collections.abc import Sequence

import pytest

from imagetron_chassis.delivery import Consumer, Subscription
from imagetron_chassis.errors import Transient
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.message import Message
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_PUBLISHED, GATEWAY_RENDERS
from integration.chassis.workbench import (
    Bench,
    GatedHandler,
    Handler,
    number_of,
    published,
    renders,
    stage_failed,
)
from support.eventually import eventually

WORK = DERIVER_RENDERS


async def test_draining_waits_for_what_is_in_hand_and_publishes_its_facts(bench: Bench):
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def slow(_: Envelope) -> Sequence[Message]:
        begun.set()
        await gate.wait()
        return [published()]

    consumer, broker = await bench.consume(Subscription(WORK, slow))
    await bench.publish(renders())
    await begun.wait()

    draining = asyncio.create_task(consumer.drain(20))
    await eventually(lambda: has_stopped_taking(consumer))
    assert not draining.done()
    gate.set()
    await draining
    await broker.close()

    assert (await bench.take_envelope(GATEWAY_PUBLISHED.name)).data == published()
    assert await bench.is_empty(WORK.name, WORK.dead_letters)


def has_stopped_taking(consumer: Consumer) -> bool:
    # The broker counts a cancelled consumer of a quorum queue for as long as it holds a message.
    return not any(subscriber.running for subscriber in consumer._subscribers)


async def test_a_draining_consumer_takes_nothing_new(bench: Bench):
    handler = GatedHandler()
    consumer, _ = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders(1), renders(2))
    await eventually(lambda: handler.holding == 1)

    draining = asyncio.create_task(consumer.drain(20))
    await eventually(lambda: has_stopped_taking(consumer))
    await bench.publish(renders(3))
    handler.gate.set()
    await draining

    assert handler.done == [1]
    assert await bench.ready(WORK.name) == 2


async def test_what_is_not_finished_in_time_goes_back_to_its_own_queue_as_new_and_has_spent_no_try(bench: Bench):
    handler = GatedHandler()
    consumer, _ = await bench.consume(Subscription(WORK, handler, concurrency=2))
    await bench.publish(*(renders(number) for number in (1, 2)))
    await eventually(lambda: handler.holding == 2)
    in_the_other_queue = await bench.ready(GATEWAY_RENDERS.name)

    await consumer.drain(0.05)

    back = [await bench.take(WORK.name), await bench.take(WORK.name)]
    assert sorted(number_of(decode(message.body)) for message in back) == [1, 2]
    assert [decode(message.body).try_count for message in back] == [1, 1]
    assert [message.redelivered for message in back] == [False, False]
    assert not any(message.headers.get("x-delivery-count") for message in back)
    assert await bench.ready(GATEWAY_RENDERS.name) == in_the_other_queue


async def test_the_acks_of_handed_back_messages_reach_the_broker(bench: Bench):
    handler = GatedHandler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders())
    await eventually(lambda: handler.holding == 1)

    await consumer.drain(0)
    await broker.close()
    await bench.take(WORK.name)

    assert await bench.is_empty(WORK.name, WORK.dead_letters)


async def test_a_message_that_waits_to_be_tried_again_in_place_is_handed_back_too(bench: Bench):
    handler = Handler(Transient("busy"))
    consumer, _ = await bench.consume(Subscription(WORK, handler, failure=stage_failed))
    await bench.publish(renders())
    await eventually(lambda: handler.given)

    await consumer.drain(0)

    assert (await bench.take_envelope(WORK.name)).try_count == 1


async def test_draining_with_empty_hands_returns_at_once(bench: Bench):
    consumer, _ = await bench.consume(Subscription(WORK, Handler()))

    async with asyncio.timeout(2):
        await consumer.drain(20)


async def test_draining_under_load_loses_no_message(bench: Bench):
    done: list[int] = []

    async def quick(envelope: Envelope) -> Sequence[Message]:
        await asyncio.sleep(0)
        done.append(number_of(envelope))
        return []

    numbers = range(1, 101)
    consumer, broker = await bench.consume(Subscription(WORK, quick, concurrency=10))
    publishing = asyncio.create_task(bench.publish(*(renders(number) for number in numbers)))
    await eventually(lambda: len(done) > 10)

    await consumer.drain(5)
    await broker.close()
    await publishing
    handled = set(done)
    await bench.consume(Subscription(WORK, quick, concurrency=10))

    await eventually(lambda: set(done) == set(numbers))
    assert handled
    assert handled != set(numbers)
    assert await bench.is_empty(WORK.dead_letters)


@pytest.mark.parametrize("grace_seconds", [0, 0.2])
async def test_draining_ends_although_the_connection_has_gone(bench: Bench, grace_seconds: float):
    handler = GatedHandler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders())
    await eventually(lambda: handler.holding == 1)

    await broker.close()
    async with asyncio.timeout(5):
        await consumer.drain(grace_seconds)

    assert (await bench.take_envelope(WORK.name)).try_count == 1


async def test_a_handler_that_is_cancelled_with_the_whole_process_leaves_its_message_to_the_broker(bench: Bench):
    handler = GatedHandler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders())
    await eventually(lambda: handler.holding == 1)

    [task] = consumer._in_hand
    task.cancel()
    await asyncio.wait([task])
    await broker.close()

    assert task.cancelled()
    assert (await bench.take(WORK.name)).redelivered
