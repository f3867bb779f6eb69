"""The broker loses its queues, or everything it had: jobs are late, and every one of them ends well."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import pytest

from chaos.stacks import (
    ChaosStack,
    all_ended,
    chaos_stack,
    consumers_of,
    how_many,
    statuses,
    submit_many,
    tell,
    under_way,
    waiting_in,
)
from imagetron_contracts import topology
from imagetron_contracts.topology import GENERATOR_INTERACTIVE, QUEUES, RETRY_DELAYS_SECONDS, delay_queue
from support.eventually import eventually_sync

# The product's goal for 200 jobs on an idle machine.
ALL_END_WITHIN_SECONDS = 180
# A crowd of jobs waits where the machine is slowest, which need not be the model.
UNDER_WAY = (GENERATOR_INTERACTIVE, topology.DERIVER_RENDERS, topology.PUBLISHER_DERIVATIVES)
# No outside provider is configured here.
UNCONSUMED = {topology.GENERATOR_CALLBACKS, topology.GENERATOR_EXTERNAL}

pytestmark = pytest.mark.timeout(ALL_END_WITHIN_SECONDS + 120)


@dataclass
class Losses:
    """What became of the jobs that were under way at each loss."""

    unfinished: dict[str, int] = field(default_factory=dict)
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


@pytest.fixture(scope="module")
def losses(stack: ChaosStack) -> Losses:
    """One loss soon after the other: each is noticed by the time that its jobs should have taken, so they are waited for
    together.
    """
    seen, ids = Losses(), {}
    for name, lose in LOSSES.items():
        ids[name] = submit_many(stack.url, how_many(15), f"lost-by-{name}")
        eventually_sync(lambda: any(waiting_in(stack.amqp_url, queue.name) for queue in UNDER_WAY))
        lose(stack)
        seen.unfinished[name] = under_way(stack.url, ids[name])
    lost = time.monotonic()
    for name in LOSSES:
        left = ALL_END_WITHIN_SECONDS - (time.monotonic() - lost)
        seen.results[name] = all_ended(stack.url, ids[name], within_seconds=left)
        tell(f"{name}: {seen.unfinished[name]} jobs were unfinished, all ended {time.monotonic() - lost:.1f} s later")
    return seen


def delete_every_queue(stack: ChaosStack) -> None:
    """Work, delays and dead letters, with all that is in them, under the feet of their consumers."""
    names = [name for queue in QUEUES for name in (queue.name, queue.dead_letters)]
    names += [delay_queue(seconds) for seconds in RETRY_DELAYS_SECONDS]

    async def deleted() -> None:
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel()
            for name in names:
                await channel.queue_delete(name)

    asyncio.run(deleted())


def wipe_the_brokers_disk(stack: ChaosStack) -> None:
    """It comes back as if it had never been used."""
    stack.kill("rabbitmq")
    shutil.rmtree(stack.state / "rabbitmq" / "data")
    stack.start("rabbitmq")


LOSSES: dict[str, Callable[[ChaosStack], None]] = {
    "deleting-every-queue": delete_every_queue,
    "wiping-the-brokers-disk": wipe_the_brokers_disk,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_job_completes_although_the_broker_lost_all_it_had_in_the_middle_of_the_work(losses: Losses, loss: str):
    assert losses.unfinished[loss] > 0
    assert statuses(losses.results[loss]) == {"complete": len(losses.results[loss])}


def test_after_the_loss_every_queue_is_there_again_with_its_consumer_and_all_services_are_ready(
    stack: ChaosStack, losses: Losses
):
    def all_consumed() -> bool:
        return all(consumers_of(stack.amqp_url, queue.name) for queue in QUEUES if queue not in UNCONSUMED)

    eventually_sync(all_consumed, within_seconds=60)
    eventually_sync(stack.are_ready, within_seconds=30)
