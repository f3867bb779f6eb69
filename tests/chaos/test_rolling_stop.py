"""A new version is rolled out while jobs are under way: each service is asked to stop in turn, and nobody's job suffers."""

import time
from collections.abc import Iterator

import pytest

from chaos.stacks import (
    SERVICES,
    ChaosStack,
    all_ended,
    chaos_stack,
    how_many,
    statuses,
    submit_many,
    tell,
    under_way,
)

# Enough work for jobs to be under way at each stop.
FAMILIES = ["square", "landscape", "portrait"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


def test_every_job_completes_and_every_process_exits_cleanly_while_all_services_are_replaced_in_turn(
    stack: ChaosStack,
):
    ids: list[str] = []
    ends, busy, seconds = {}, {}, {}
    for service in SERVICES:
        ids += submit_many(stack.url, how_many(20) // len(SERVICES), f"rolling-{service}", families=FAMILIES)
        busy[service] = under_way(stack.url, ids)
        began = time.monotonic()
        ends[service] = stack.terminate(service)
        seconds[service] = round(time.monotonic() - began, 1)
        stack.start(service)
    tell(f"rolling stop: jobs under way at each SIGTERM {busy}, seconds to the exit {seconds}")

    results = all_ended(stack.url, ids, within_seconds=90)

    assert all(busy.values()), busy
    assert statuses(results) == {"complete": len(ids)}
    assert ends == dict.fromkeys(SERVICES, "ended with status 0")
