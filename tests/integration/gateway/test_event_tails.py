"""Tails of the public events on a real broker: everything from now on, bounded, and gone with its reader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aio_pika
import pytest

from imagetron_chassis.broker import Broker
from imagetron_chassis.errors import Transient
from imagetron_chassis.publishing import outgoing
from imagetron_contracts import Envelope, VariationStarted
from imagetron_contracts.topology import Exchange
from imagetron_gateway.adapters.event_tails import RabbitEventTails
from imagetron_gateway.ports import Tail, TailEnded, TooManyTails
from support.builders import a_job_id
from support.eventually import eventually
from support.rabbitmq import FreshBroker


def an_event(number: int) -> Envelope:
    data = VariationStarted(variation_id=a_job_id(number), name=f"name-{number}", family_count=1)
    return Envelope.wrap(
        data, message_id=f"event-{number}", source="test", time=datetime.now(UTC), job_id=a_job_id(number)
    )


@pytest.fixture
async def broker(fresh_broker: FreshBroker) -> AsyncIterator[Broker]:
    broker = Broker(fresh_broker.url, "gateway")
    await broker.connect()
    yield broker
    await broker.close()


async def say(broker: Broker, *numbers: int) -> None:
    for number in numbers:
        await broker.publisher.send(outgoing(an_event(number)))


async def heard(tail: Tail) -> str:
    event = await tail.next(within_seconds=10)
    assert event is not None
    return event.id


async def test_every_tail_hears_every_event_from_its_opening_on_in_order(broker: Broker):
    tails = RabbitEventTails(broker)
    await say(broker, 1)

    async with tails.open() as first, tails.open() as second:
        await say(broker, 2, 3)
        assert [await heard(first), await heard(first)] == ["event-2", "event-3"]
        assert [await heard(second), await heard(second)] == ["event-2", "event-3"]
        assert await first.next(within_seconds=0.05) is None


async def test_what_is_no_event_of_ours_is_passed_over(broker: Broker, fresh_broker: FreshBroker):
    async with AsyncExitStack() as stack:
        tail = await stack.enter_async_context(RabbitEventTails(broker).open())
        connection = await stack.enter_async_context(await aio_pika.connect(fresh_broker.url))
        exchange = await (await connection.channel()).get_exchange(Exchange.EVENTS.value)
        await exchange.publish(aio_pika.Message(b"\xff not ours"), routing_key="image.variation.started.v1")
        await say(broker, 1)

        assert await heard(tail) == "event-1"


async def test_a_reader_who_falls_behind_is_dropped_and_the_others_are_not(broker: Broker):
    tails = RabbitEventTails(broker, buffered=5)

    async with tails.open() as slow, tails.open() as quick:
        for number in range(8):
            await say(broker, number)
            assert await heard(quick) == f"event-{number}"

        async def is_over() -> bool:
            try:
                await slow.next(within_seconds=0.01)
            except TailEnded as end:
                return "too slow" in str(end)
            return False

        await eventually(is_over)


async def test_no_more_tails_are_open_than_allowed_and_closed_ones_do_not_count(broker: Broker):
    tails = RabbitEventTails(broker, max_tails=1)

    async with tails.open():
        with pytest.raises(TooManyTails):
            await tails.open().__aenter__()
    async with tails.open() as again:
        await say(broker, 1)
        assert await heard(again) == "event-1"


async def test_a_closed_tail_leaves_no_queue_behind(broker: Broker, fresh_broker: FreshBroker):
    vhost = fresh_broker.url.rsplit("/", 1)[1]

    def queues() -> list[str]:
        return [
            name
            for name in fresh_broker.node.ctl("list_queues", "-p", vhost, "name", "--silent").split()
            if name.startswith("tails.")
        ]

    async with RabbitEventTails(broker).open():
        assert len(await asyncio.to_thread(queues)) == 1

    async def none_left() -> bool:
        return await asyncio.to_thread(queues) == []

    await eventually(none_left, within_seconds=30)


async def test_stopping_ends_every_tail_and_opens_no_new_one(broker: Broker):
    tails = RabbitEventTails(broker)

    async with tails.open() as tail:
        waiting = asyncio.create_task(tail.next(within_seconds=60))
        await asyncio.sleep(0)
        await tails.close()
        with pytest.raises(TailEnded, match="stopping"):
            await waiting
        with pytest.raises(TailEnded, match="stopping"):
            await tail.next(within_seconds=60)
    with pytest.raises(Transient):
        await tails.open().__aenter__()


async def test_a_lost_connection_ends_the_tail(fresh_broker: FreshBroker):
    broker = Broker(fresh_broker.url, "gateway")
    await broker.connect()

    async with RabbitEventTails(broker).open() as tail:
        waiting: asyncio.Task[Any] = asyncio.create_task(tail.next(within_seconds=60))
        await asyncio.sleep(0)
        await broker.close()
        with pytest.raises(TailEnded, match="lost"):
            await waiting


async def test_without_a_broker_no_tail_opens():
    tails = RabbitEventTails(Broker("amqp://guest:guest@127.0.0.1:1/", "gateway"))

    with pytest.raises(Transient):
        await tails.open().__aenter__()
