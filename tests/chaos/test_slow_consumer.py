"""RabbitMQ closes the channel of a consumer that does not answer for too long. Ours answers before that, however slow its
work is.

The node's patience is cut from 30 minutes to seconds; the worker's stays a smaller part of it than in the product.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aio_pika
import pytest

from imagetron_chassis.delivery import HOLD_SECONDS, Subscription
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.message import Message
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_PUBLISHED
from integration.chassis.workbench import Bench, a_bench, published, renders
from support.eventually import eventually
from support.rabbitmq import FreshBroker, RunningRabbit, running_rabbit

PRODUCTION = Path(__file__).parents[2] / "deploy" / "rabbitmq" / "rabbitmq.conf"
PATIENCE_SECONDS = 4
# The node looks for late consumers once a minute by default; that would be the longer part of the wait.
LOOKS_EVERY_SECONDS = 0.5
HELD_AT_MOST_SECONDS = 1.0


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningRabbit]:
    """A node whose patience is over within seconds, for channels that are opened from now on."""
    with running_rabbit() as node:
        node.ctl(
            "eval",
            f"application:set_env(rabbit, consumer_timeout, {PATIENCE_SECONDS * 1000}), "
            f"application:set_env(rabbit, channel_tick_interval, {int(LOOKS_EVERY_SECONDS * 1000)}).",
        )
        yield node


@pytest.fixture
async def bench(impatient: RunningRabbit) -> AsyncIterator[Bench]:
    async with a_bench(FreshBroker(impatient.new_vhost(), impatient)) as working:
        yield working


def channels_closed_for_lateness(node: RunningRabbit) -> int:
    """As the node's own log tells it."""
    return (node.node.folder / "logs" / "rabbitmq.log").read_text().count("Timeout value used")


async def test_the_broker_does_close_the_channel_of_a_consumer_that_holds_a_message_for_too_long(
    bench: Bench, impatient: RunningRabbit
):
    closed = asyncio.Event()
    before = channels_closed_for_lateness(impatient)
    await bench.broker()  # declares the topology
    async with await aio_pika.connect(bench.url) as connection:
        channel = await connection.channel()
        channel.close_callbacks.add(lambda *_: closed.set())
        held = asyncio.Event()

        async def hold(_: aio_pika.abc.AbstractIncomingMessage) -> None:
            held.set()

        await (await channel.get_queue(DERIVER_RENDERS.name)).consume(hold)
        await bench.publish(renders())
        await held.wait()
        async with asyncio.timeout(PATIENCE_SECONDS * 5):
            await closed.wait()

    await eventually(lambda: channels_closed_for_lateness(impatient) > before)


class SlowOnce:
    """Takes far longer than the broker's patience the first time, and no time at all afterwards."""

    def __init__(self) -> None:
        self.tries: list[int] = []
        self.at_once = self.at_most = 0

    async def __call__(self, envelope: Envelope) -> Sequence[Message]:
        self.tries.append(envelope.try_count)
        self.at_once += 1
        self.at_most = max(self.at_most, self.at_once)
        try:
            if len(self.tries) == 1:
                await asyncio.sleep(PATIENCE_SECONDS * 100)
        finally:
            self.at_once -= 1
        return [published()]


async def test_a_message_whose_work_takes_too_long_ends_in_one_result_and_costs_no_channel(
    bench: Bench, impatient: RunningRabbit
):
    handler, before = SlowOnce(), channels_closed_for_lateness(impatient)
    await bench.consume(Subscription(DERIVER_RENDERS, handler, deadline_seconds=HELD_AT_MOST_SECONDS))
    began = time.monotonic()

    await bench.publish(renders())
    result = await bench.take_envelope(GATEWAY_PUBLISHED.name, within_seconds=60)
    # Whoever was closed for lateness would have been by now, and the message would have come again.
    await eventually(lambda: time.monotonic() - began > PATIENCE_SECONDS * 2, within_seconds=PATIENCE_SECONDS * 3)

    assert result.data == published()
    assert handler.tries == [1, 2]
    assert handler.at_most == 1
    assert await bench.is_empty(GATEWAY_PUBLISHED.name, DERIVER_RENDERS.name, DERIVER_RENDERS.dead_letters)
    assert channels_closed_for_lateness(impatient) == before


async def test_a_message_whose_work_is_always_too_long_never_meets_the_brokers_patience(
    bench: Bench, impatient: RunningRabbit
):
    before = channels_closed_for_lateness(impatient)
    tries: list[int] = []

    async def endless(envelope: Envelope) -> Sequence[Message]:
        tries.append(envelope.try_count)
        await asyncio.Event().wait()
        return []

    await bench.consume(Subscription(DERIVER_RENDERS, endless, deadline_seconds=HELD_AT_MOST_SECONDS))
    await bench.publish(renders())

    await eventually(lambda: len(tries) == 2, within_seconds=60)

    assert tries == [1, 2]
    assert channels_closed_for_lateness(impatient) == before


def test_the_products_workers_end_before_the_brokers_patience_does_and_before_it_has_looked_once_more():
    patience = re.search(r"^consumer_timeout = (\d+)$", PRODUCTION.read_text(), re.MULTILINE)
    assert patience
    looks_every_seconds = 60

    assert HOLD_SECONDS + looks_every_seconds < int(patience[1]) / 1000
