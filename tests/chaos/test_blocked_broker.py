"""The broker runs short of memory or of disk and lets nobody publish: jobs are accepted, wait, and complete afterwards."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest

from chaos.stacks import (
    ChaosStack,
    a_small_job,
    all_ended,
    chaos_stack,
    how_many,
    post,
    statuses,
    submit_many,
    tell,
    under_way,
)
from support.eventually import eventually_sync

# rabbitmqctl: what raises the alarm, and what takes it back.
ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "0.0000001"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
}

pytestmark = pytest.mark.timeout(180)


@dataclass
class Alarm:
    """What callers saw while nobody could publish, and after."""

    codes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ended_meanwhile: int = 0
    gateway: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


@contextmanager
def nobody_may_publish(stack: ChaosStack, shortage: str) -> Iterator[None]:
    raised, taken_back = ALARMS[shortage]
    stack.ctl(*raised)
    try:
        yield
    finally:
        stack.ctl(*taken_back)


@pytest.fixture(scope="module", params=list(ALARMS))
def alarm(stack: ChaosStack, request: pytest.FixtureRequest) -> Alarm:
    """One alarm for all questions about it."""
    seen, shortage = Alarm(), request.param
    running = submit_many(stack.url, how_many(6), f"{shortage}-running")
    with nobody_may_publish(stack, shortage):
        left_behind = stack.log("gateway").count("was not confirmed within")
        ids = []
        for number in range(how_many(6)):
            answer, seconds = post(stack.url, a_small_job(f"{shortage}-new-{number}", seed=number))
            ids.append(answer.json().get("id", ""))
            seen.codes.append(answer.status_code)
            seen.seconds.append(seconds)
        eventually_sync(lambda: stack.log("gateway").count("was not confirmed within") > left_behind, within_seconds=30)
        seen.ended_meanwhile = len(ids) - under_way(stack.url, ids)
        seen.gateway = stack.patient_readiness("gateway")
    cleared = time.monotonic()
    seen.results = all_ended(stack.url, [*running, *ids], within_seconds=100)
    tell(
        f"{shortage} alarm: submissions during it at most {max(seen.seconds):.3f} s; "
        f"all {len(seen.results)} jobs ended {time.monotonic() - cleared:.1f} s after it was over"
    )
    return seen


def test_submissions_are_accepted_at_once_while_the_broker_lets_nobody_publish(alarm: Alarm):
    assert set(alarm.codes) == {202}
    assert median(alarm.seconds) < 5


def test_the_gateway_stays_ready_because_it_still_takes_jobs(alarm: Alarm):
    assert alarm.gateway["ready"], alarm.gateway


def test_all_jobs_complete_once_the_alarm_is_over(alarm: Alarm):
    assert alarm.ended_meanwhile == 0
    assert statuses(alarm.results) == {"complete": len(alarm.results)}
