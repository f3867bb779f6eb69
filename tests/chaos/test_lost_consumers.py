"""The line to the broker stands, or stands again, but nobody consumes: work is taken up again, and no service looks well
that is not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.stacks import (
    SERVICES,
    ChaosStack,
    all_ended,
    chaos_stack,
    consumers_of,
    statuses,
    submit_many,
    tell,
)
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_PUBLISHED, GENERATOR_INTERACTIVE, Queue
from support.eventually import eventually_sync

BACK_WITHIN_SECONDS = 60
CONSUMED = (GENERATOR_INTERACTIVE, DERIVER_RENDERS, GATEWAY_PUBLISHED)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


def completes(stack: ChaosStack, name: str) -> None:
    ids = submit_many(stack.url, 1, name)
    assert statuses(all_ended(stack.url, ids, within_seconds=BACK_WITHIN_SECONDS)) == {"complete": 1}


def test_after_the_broker_closed_every_connection_work_goes_on_within_a_minute(stack: ChaosStack):
    stack.ctl("close_all_connections", "maintenance")
    closed = time.monotonic()
    eventually_sync(stack.are_ready, within_seconds=BACK_WITHIN_SECONDS)
    tell(f"all connections closed: all services ready again {time.monotonic() - closed:.1f} s later")

    completes(stack, "connections-closed")


@pytest.mark.parametrize("queue", CONSUMED, ids=lambda queue: queue.name)
def test_after_a_queue_was_deleted_under_its_consumer_it_is_consumed_again_within_a_minute(
    stack: ChaosStack, queue: Queue
):
    stack.ctl("delete_queue", queue.name)
    deleted = time.monotonic()
    eventually_sync(lambda: consumers_of(stack.amqp_url, queue.name), within_seconds=BACK_WITHIN_SECONDS)
    tell(f"{queue.name} deleted: consumed again {time.monotonic() - deleted:.1f} s later")

    completes(stack, f"deleted-{queue.name.replace('.', '-')}")


@contextmanager
def no_new_queues(stack: ChaosStack) -> Iterator[None]:
    """Nobody can make a queue, so that one that was deleted stays away."""
    stack.ctl("set_vhost_limits", '{"max-queues": 0}')
    try:
        yield
    finally:
        stack.ctl("clear_vhost_limits")


def tried(stack: ChaosStack, service: str) -> bool:
    return "the topology cannot be declared again" in stack.log(service)


def test_a_worker_whose_queue_stays_away_says_so_and_takes_up_its_work_within_a_minute_of_its_return(
    stack: ChaosStack,
):
    with no_new_queues(stack):
        stack.ctl("delete_queue", DERIVER_RENDERS.name)
        eventually_sync(lambda: not stack.readiness("deriver")["ready"], within_seconds=20)
        checks = stack.readiness("deriver")["checks"]
        # Nobody can put the topology right now, and everybody tries twice a minute.
        eventually_sync(lambda: all(tried(stack, service) for service in SERVICES), within_seconds=60)
        # One slow probe of a busy machine is no verdict.
        eventually_sync(lambda: stack.are_ready([service for service in SERVICES if service != "deriver"]))
    cleared = time.monotonic()
    eventually_sync(lambda: stack.readiness("deriver")["ready"], within_seconds=BACK_WITHIN_SECONDS)
    tell(f"a queue that could not be made again: its worker ready {time.monotonic() - cleared:.1f} s after it could")

    assert checks["broker"] != "ok"
    completes(stack, "queue-stayed-away")
