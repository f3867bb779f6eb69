"""RabbitMQ is killed in the middle of the work and started again: callers are served all the while, and nothing is lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import httpx
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

# A quorum queue declared a second before the broker is killed can stay stuck for good: that would test the broker.
OLD_ENOUGH_SECONDS = 10
# What the product promises, counted from the moment at which the broker speaks AMQP again.
BACK_WITHIN_SECONDS = 15


pytestmark = pytest.mark.timeout(180)


@dataclass
class Outage:
    """What callers saw before, during and after."""

    unfinished_when_killed: int = 0
    answers: list[httpx.Response] = field(default_factory=list)
    answer_seconds: list[float] = field(default_factory=list)
    ended_meanwhile: int = 0
    readiness: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds_to_publish: float = 0
    seconds_to_consume: float = 0
    results: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


@pytest.fixture(scope="module")
def outage(stack: ChaosStack) -> Outage:
    """One outage for all questions about it: killing and starting a node takes its time."""
    seen, ready = Outage(), time.monotonic()
    eventually_sync(lambda: time.monotonic() - ready > OLD_ENOUGH_SECONDS, within_seconds=OLD_ENOUGH_SECONDS + 5)
    before = submit_many(stack.url, how_many(12), "outage-before")
    stack.kill("rabbitmq")
    seen.unfinished_when_killed = under_way(stack.url, before)

    for number in range(how_many(12)):
        answer, seconds = post(stack.url, a_small_job(f"outage-during-{number}", seed=number))
        seen.answers.append(answer)
        seen.answer_seconds.append(seconds)
    during = [answer.json()["id"] for answer in seen.answers]
    eventually_sync(lambda: not stack.readiness("deriver")["ready"])
    seen.readiness = {"gateway": stack.patient_readiness("gateway"), "deriver": stack.readiness("deriver")}
    seen.ended_meanwhile = len(during) - under_way(stack.url, during)

    published, consumed = stack.counted("messages_published_total"), stack.counted("deliveries_total")
    stack.start("rabbitmq")
    back = time.monotonic()
    eventually_sync(lambda: stack.counted("messages_published_total") > published, within_seconds=60)
    seen.seconds_to_publish = time.monotonic() - back
    eventually_sync(lambda: stack.counted("deliveries_total") > consumed, within_seconds=60)
    seen.seconds_to_consume = time.monotonic() - back
    seen.results = all_ended(stack.url, [*before, *during], within_seconds=110)
    tell(
        f"broker outage: submissions during it at most {max(seen.answer_seconds):.3f} s; after the port was up: "
        f"first confirmed publish {seen.seconds_to_publish:.1f} s, first consume {seen.seconds_to_consume:.1f} s, "
        f"all {len(seen.results)} jobs ended {time.monotonic() - back:.1f} s"
    )
    return seen


def test_submissions_are_accepted_all_the_while_the_broker_is_away(outage: Outage):
    assert {answer.status_code for answer in outage.answers} == {202}


def test_nobody_waits_for_the_broker_to_have_a_job_accepted(outage: Outage):
    assert median(outage.answer_seconds) < 5


def test_jobs_accepted_during_the_outage_are_shown_as_unfinished_meanwhile(outage: Outage):
    assert outage.ended_meanwhile == 0


def test_workers_without_a_broker_say_that_they_are_not_ready(outage: Outage):
    assert not outage.readiness["deriver"]["ready"]
    assert outage.readiness["deriver"]["checks"]["broker"] != "ok"


def test_the_gateway_stays_ready_because_it_still_takes_jobs(outage: Outage):
    assert outage.readiness["gateway"]["ready"], outage.readiness["gateway"]


def test_every_job_accepted_before_and_during_the_outage_completes_after_it(outage: Outage):
    assert outage.unfinished_when_killed > 0
    assert statuses(outage.results) == {"complete": len(outage.results)}


def test_publishing_and_consuming_work_again_within_fifteen_seconds_of_the_brokers_return(outage: Outage):
    assert outage.seconds_to_publish < BACK_WITHIN_SECONDS
    assert outage.seconds_to_consume < BACK_WITHIN_SECONDS


def test_all_services_are_ready_again_after_the_outage(stack: ChaosStack, outage: Outage):
    eventually_sync(stack.are_ready, within_seconds=30)
