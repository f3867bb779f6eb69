"""A consumer that is paused on purpose: nothing is sent to it, nothing in hand is lost, and it comes back exactly once."""

import asyncio

import pytest

from imagetron_chassis.broker import Broker, ConsumerMissing
from imagetron_chassis.delivery import Consumer, Subscription
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_RENDERS
from integration.chassis.workbench import Bench, GatedHandler, Handler, renders
from support.eventually import eventually

WORK = DERIVER_RENDERS


async def consumers(bench: Bench, queue: str = WORK.name) -> int:
    declared = await bench.outside.declare_queue(queue, passive=True)
    return declared.declaration_result.consumer_count or 0


async def until_nobody_consumes(bench: Bench) -> None:
    async def nobody() -> bool:
        return await consumers(bench) == 0

    await eventually(nobody)


async def until_one_consumes(bench: Bench, queue: str = WORK.name) -> None:
    async def one() -> bool:
        return await consumers(bench, queue) == 1

    await eventually(one, within_seconds=20)


async def is_well(broker: Broker) -> bool:
    try:
        await broker.consumers_exist()
    except ConsumerMissing:
        return False
    return True


async def lose_the_connection(broker: Broker) -> None:
    """From under the client, as a broken network does; back when the client has made a new one."""
    connection = await broker.consuming.connect()
    transport = connection.transport
    assert transport is not None
    await transport.connection.close(ConnectionError("cut by the test"))

    async def is_back() -> bool:
        return connection.transport is not transport and connection.connected.is_set() and await is_reachable(broker)

    await eventually(is_back, within_seconds=20)


async def is_reachable(broker: Broker) -> bool:
    try:
        await broker.consumers_exist()
    except ConsumerMissing as error:
        return "nobody consumes" in str(error)
    return True


async def test_a_paused_consumer_leaves_new_messages_in_the_queue_and_takes_them_when_it_resumes(bench: Bench):
    handler = Handler()
    consumer, _ = await bench.consume(Subscription(WORK, handler))

    consumer.pause()
    await until_nobody_consumes(bench)
    await bench.publish(renders(1), renders(2))
    assert await bench.ready(WORK.name) == 2
    assert handler.numbers == []

    consumer.resume()
    await eventually(lambda: handler.numbers == [1, 2])
    assert [envelope.try_count for envelope in handler.given] == [1, 1]


async def test_while_one_process_is_paused_another_takes_its_messages(bench: Bench):
    paused, other = Handler(), Handler()
    consumer, _ = await bench.consume(Subscription(WORK, paused))
    consumer.pause()
    await until_nobody_consumes(bench)

    await bench.consume(Subscription(WORK, other))
    await bench.publish(renders(1))

    await eventually(lambda: other.numbers == [1])
    assert paused.numbers == []


async def test_what_is_in_hand_when_it_pauses_is_finished_once_also_when_it_resumes_meanwhile(bench: Bench):
    handler = GatedHandler()
    consumer, _ = await bench.consume(Subscription(WORK, handler, concurrency=2))
    await bench.publish(renders(1), renders(2), renders(3))
    await eventually(lambda: handler.holding == 2)

    consumer.pause()
    await eventually(lambda: not has_a_consumer(consumer))
    consumer.resume()
    await eventually(lambda: has_a_consumer(consumer))
    # The new consumer has a window of its own: the third message, and nothing that is in hand already.
    await eventually(lambda: handler.holding == 3)
    handler.gate.set()

    await eventually(lambda: len(handler.done) == 3)
    assert sorted(handler.done) == [1, 2, 3]
    await bench.publish(renders(4))
    await eventually(lambda: 4 in handler.done)
    assert sorted(handler.done) == [1, 2, 3, 4]
    assert await bench.is_empty(WORK.name, WORK.dead_letters)


def has_a_consumer(consumer: Consumer) -> bool:
    # The broker counts a cancelled consumer of a quorum queue for as long as it holds a message.
    return all(subscriber._queue_obj._consumers for subscriber in consumer._subscribers if subscriber._queue_obj)


async def test_a_reconnect_does_not_bring_a_paused_consumer_back(bench: Bench):
    handler = Handler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    consumer.pause()
    await until_nobody_consumes(bench)

    await lose_the_connection(broker)
    await bench.publish(renders(1))

    assert (await bench.take_envelope(WORK.name)).data == renders(1)
    assert (await consumers(bench), handler.numbers) == (0, [])


@pytest.mark.parametrize("round_", range(3))
async def test_after_pauses_and_reconnects_in_any_order_there_is_exactly_one_consumer(bench: Bench, round_: int):
    handler = Handler()
    consumer, broker = await bench.consume(Subscription(WORK, handler), Subscription(GATEWAY_RENDERS, Handler()))

    losing = asyncio.create_task(lose_the_connection(broker))
    for turn in range(40):  # pausing and resuming all through the reconnect
        (consumer.pause, consumer.resume)[turn % 2]()
        await asyncio.wait([losing], timeout=0.01 * round_)
    consumer.resume()
    await losing

    await until_one_consumes(bench)
    await lose_the_connection(broker)
    await until_one_consumes(bench)
    await until_one_consumes(bench, GATEWAY_RENDERS.name)
    await bench.publish(renders(1))
    await eventually(lambda: handler.numbers == [1])


async def test_a_service_that_is_paused_on_purpose_is_ready_and_one_that_lost_its_consumer_is_not(bench: Bench):
    consumer, broker = await bench.consume(Subscription(WORK, Handler()))
    assert await is_well(broker)

    consumer.pause()
    await until_nobody_consumes(bench)
    assert await is_well(broker)

    await bench.outside.queue_delete(WORK.name)
    assert not await is_well(broker)


async def test_a_lost_consumer_is_noticed_again_after_a_pause(bench: Bench):
    consumer, broker = await bench.consume(Subscription(WORK, Handler()))
    consumer.pause()
    await until_nobody_consumes(bench)
    consumer.resume()
    await until_one_consumes(bench)
    assert await is_well(broker)

    [subscriber] = consumer._subscribers
    assert subscriber._queue_obj is not None
    channel = await subscriber._queue_obj.channel.get_underlay_channel()
    await channel.basic_cancel(str(subscriber._consumer_tag))  # unknown to aio-pika, as a consumer that the broker lost

    assert not await is_well(broker)


async def test_a_queue_that_was_deleted_during_the_pause_is_consumed_again(bench: Bench):
    handler = Handler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    consumer.pause()
    await until_nobody_consumes(bench)
    await bench.outside.queue_delete(WORK.name)

    consumer.resume()

    await eventually(lambda: is_well(broker))
    await bench.publish(renders(1))
    await eventually(lambda: handler.numbers == [1])


async def test_draining_a_paused_consumer_hands_back_what_is_in_hand_and_takes_nothing(bench: Bench):
    handler = GatedHandler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders(1))
    await eventually(lambda: handler.holding == 1)
    consumer.pause()
    await eventually(lambda: not has_a_consumer(consumer))

    await consumer.drain(0)
    await broker.close()

    back = await bench.take_envelope(WORK.name)
    assert (back.data, back.try_count) == (renders(1), 1)
    assert await bench.is_empty(WORK.name, WORK.dead_letters)


async def test_draining_in_the_moment_of_a_pause_or_a_resumption_ends_and_loses_nothing(bench: Bench):
    handler = GatedHandler()
    consumer, broker = await bench.consume(Subscription(WORK, handler))
    await bench.publish(renders(1))
    await eventually(lambda: handler.holding == 1)

    consumer.pause()
    consumer.resume()
    async with asyncio.timeout(10):
        await consumer.drain(0)
    await broker.close()

    assert not (await bench.take(WORK.name)).redelivered
    assert await bench.is_empty(WORK.name, WORK.dead_letters)
