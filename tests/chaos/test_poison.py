"""One message that cannot be handled lies among those of many jobs: it is put aside, alone, and everybody else is served."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chaos.stacks import (
    ChaosStack,
    all_ended,
    chaos_stack,
    consumers_of,
    how_many,
    put,
    read,
    statuses,
    submit_many,
    waiting_in,
)
from imagetron_cli.embedded.process import StartFailed
from imagetron_contracts.topology import (
    DELIVERY_LIMIT,
    DERIVER_RENDERS,
    GATEWAY_STARTED,
    GENERATOR_INTERACTIVE,
    PUBLISHER_DERIVATIVES,
    QUEUES,
)
from support.eventually import eventually_sync

ENVELOPE = {
    "specversion": "1.0",
    "id": "poison",
    "source": "imagetron/test",
    "time": "2026-01-01T00:00:00Z",
    "data": {},
}
POISON = {
    GENERATOR_INTERACTIVE: b"\xff\x00{not json",
    DERIVER_RENDERS: json.dumps(
        ENVELOPE | {"type": "RENDERS_GENERATED", "dataschema": "urn:imagetron:schema:renders-generated.v99"}
    ).encode(),
    PUBLISHER_DERIVATIVES: json.dumps(
        ENVELOPE | {"type": "NEVER_HEARD_OF", "dataschema": "urn:imagetron:schema:never-heard-of.v1"}
    ).encode(),
    GATEWAY_STARTED: json.dumps(
        ENVELOPE | {"type": "FAMILY_STARTED", "dataschema": "urn:imagetron:schema:family-started.v1"}
    ).encode(),
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


def dead_letters(stack: ChaosStack) -> dict[str, int]:
    """How many each queue has that has any."""
    found = {queue.name: waiting_in(stack.amqp_url, queue.dead_letters) or 0 for queue in QUEUES}
    return {name: count for name, count in found.items() if count}


def test_an_unreadable_message_in_any_queue_is_kept_for_an_operator_and_every_job_around_it_completes(
    stack: ChaosStack,
):
    already = dead_letters(stack)
    before = submit_many(stack.url, how_many(8) // 2, "poison-before")
    for queue, body in POISON.items():
        put(stack.amqp_url, queue.name, body)
    after = submit_many(stack.url, how_many(8) // 2, "poison-after")

    results = all_ended(stack.url, [*before, *after], within_seconds=90)

    assert statuses(results) == {"complete": len(results)}
    # The broker moves dead letters on its own time.
    expected = already | {queue.name: already.get(queue.name, 0) + 1 for queue in POISON}
    eventually_sync(lambda: dead_letters(stack) == expected, within_seconds=30)


def test_a_message_that_kills_its_worker_each_time_is_put_aside_alone_and_those_behind_it_are_served(
    stack: ChaosStack,
):
    already = dead_letters(stack)
    stack.kill("deriver")
    eventually_sync(lambda: consumers_of(stack.amqp_url, DERIVER_RENDERS.name) == 0, within_seconds=30)
    [killer] = submit_many(stack.url, 1, "poison-killer")
    eventually_sync(lambda: is_deriving(stack, killer), within_seconds=30)
    neighbours = submit_many(stack.url, how_many(4), "poison-neighbour")
    eventually_sync(lambda: waiting_in(stack.amqp_url, DERIVER_RENDERS.name) == 1 + len(neighbours), within_seconds=60)
    lying = lying_at_the_deriver(stack)

    deaths = 0
    while dead_letters(stack) == already:
        die_of_the_first_message(stack)
        eventually_sync(lambda: lying_at_the_deriver(stack) == lying, within_seconds=30)
        deaths += 1
        assert deaths <= DELIVERY_LIMIT + 1
    stack.start("deriver")
    results = all_ended(stack.url, neighbours, within_seconds=60)

    assert deaths == DELIVERY_LIMIT + 1
    assert statuses(results) == {"complete": len(neighbours)}
    assert dead_letters(stack) == already | {DERIVER_RENDERS.name: already.get(DERIVER_RENDERS.name, 0) + 1}


def lying_at_the_deriver(stack: ChaosStack) -> int:
    """What waits for it, and its dead letters: a message that the broker is just moving from one to the other is in neither."""
    return sum(waiting_in(stack.amqp_url, name) or 0 for name in (DERIVER_RENDERS.name, DERIVER_RENDERS.dead_letters))


def is_deriving(stack: ChaosStack, job: str) -> bool:
    return bool(read(stack.url, job)["families"]["square"]["status"] == "deriving")


def die_of_the_first_message(stack: ChaosStack) -> None:
    """A deriver that is given messages one by one and does not survive any."""
    with (
        suppress(StartFailed),
        stack.one_more("deriver", DERIVER_PROCESSES="1", FAULT_PLAN="delivery.received=1") as worker,
    ):
        eventually_sync(lambda: not worker.is_alive(), within_seconds=30)
    eventually_sync(lambda: consumers_of(stack.amqp_url, DERIVER_RENDERS.name) == 0, within_seconds=30)
