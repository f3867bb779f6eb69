"""The network between one worker and the broker goes dead without a word, while the worker has a job in hand."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaos.stacks import ChaosStack, Worker, a_small_job, all_ended, chaos_stack, post, read, tell
from support.eventually import eventually
from support.listening import Listener
from support.toxics import Timeout, ToxicProxy, toxic_proxy

# The broker looks every 15 s whether it heard anything, and gives a connection up at the second look in vain: 30 to 45 s.
GIVEN_UP_WITHIN_SECONDS = 75
# Its model takes at most 94 s for one image of so many steps by the catalogue, so its worker waits longer than the partition.
MANY_STEPS = 60
# What the worker publishes when it is heard again, and what follows from it.
STORY = ("RENDERS_GENERATED", "DERIVATIVES_RENDERED", "FAMILY_PUBLISHED")

pytestmark = pytest.mark.timeout(240)


@dataclass
class Partition:
    """What was seen while the worker was cut off and after it came back."""

    was_in_hand: str = ""
    cut_off_worker_was_ready: bool = True
    neighbour: dict[str, Any] = field(default_factory=dict)
    finished: dict[str, Any] = field(default_factory=dict)
    seconds_until_finished: float = 0
    told_late: list[str] = field(default_factory=list)
    afterwards: dict[str, Any] = field(default_factory=dict)
    worker_is_ready_again: bool = False
    through_the_worker: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    with chaos_stack() as running:
        yield running


@pytest.fixture(scope="module")
def partition(stack: ChaosStack) -> Iterator[Partition]:
    """One partition for all questions about it: it lasts some heartbeats."""
    with (
        toxic_proxy("127.0.0.1", stack.ports.rabbitmq) as broker,
        toxic_proxy("127.0.0.1", stack.ports.triton_grpc) as model,
    ):
        amqp_url = broker.redirect(stack.amqp_url)
        with stack.one_more("generator", amqp_url=amqp_url, triton_port=model.port) as worker:
            yield asyncio.run(_partition(stack, worker, broker, model))


async def _partition(stack: ChaosStack, worker: Worker, broker: ToxicProxy, model: ToxicProxy) -> Partition:
    seen = Partition()
    async with Listener(stack.amqp_url, "imagetron.stages") as stages:
        await asyncio.to_thread(stack.kill, "generator")
        silent_model = model.add(Timeout())
        job = submit(stack, "partition-job", inferenceSteps=MANY_STEPS)
        await eventually(lambda: status_of(stack, job) == "generating", within_seconds=60)
        seen.was_in_hand = status_of(stack, job)

        partition = broker.add(Timeout())
        cut_off = time.monotonic()
        await asyncio.to_thread(stack.start, "generator")
        seen.neighbour = await ended(stack, submit(stack, "partition-neighbour"))
        seen.cut_off_worker_was_ready = await asyncio.to_thread(worker.is_ready)
        seen.finished = await ended(stack, job)
        seen.seconds_until_finished = time.monotonic() - cut_off

        told = len(stages.messages(job))
        broker.remove(partition)
        await eventually(lambda: asyncio.to_thread(worker.is_ready), within_seconds=60)
        seen.worker_is_ready_again = True
        model.remove(silent_model)

        def has_all_been_told() -> bool:
            seen.told_late = [message["type"] for message in stages.messages(job)[told:]]
            return set(STORY) <= set(seen.told_late)

        await eventually(has_all_been_told, within_seconds=60)
        # The gateway takes its messages in turn: when a later job is through, so are they.
        await asyncio.to_thread(stack.kill, "generator")
        seen.through_the_worker = await ended(stack, submit(stack, "partition-through-the-worker"))
        seen.afterwards = read(stack.url, job)
        await asyncio.to_thread(stack.start, "generator")
    tell(f"partition: the job in hand ended {seen.seconds_until_finished:.1f} s after the line went dead")
    return seen


def submit(stack: ChaosStack, name: str, **changes: Any) -> str:
    return str(post(stack.url, a_small_job(name, **changes))[0].json()["id"])


def status_of(stack: ChaosStack, job: str) -> str:
    return str(read(stack.url, job)["families"]["square"]["status"])


async def ended(stack: ChaosStack, job: str) -> dict[str, Any]:
    [variation] = await asyncio.to_thread(all_ended, stack.url, [job], within_seconds=90)
    return variation


def test_a_job_in_hand_of_a_worker_that_is_cut_off_completes_through_another_after_its_missed_heartbeats(
    partition: Partition,
):
    assert partition.was_in_hand == "generating"
    assert partition.finished["status"] == "complete"
    assert partition.seconds_until_finished < GIVEN_UP_WITHIN_SECONDS


def test_jobs_of_the_other_workers_go_on_during_the_partition(partition: Partition):
    assert partition.neighbour["status"] == "complete"


def test_a_worker_that_is_cut_off_says_that_it_is_not_ready(partition: Partition):
    assert not partition.cut_off_worker_was_ready


def test_what_the_cut_off_worker_tells_when_it_is_heard_again_changes_nothing(partition: Partition):
    assert set(STORY) <= set(partition.told_late)
    assert partition.afterwards == partition.finished


def test_the_worker_takes_work_again_after_the_partition(partition: Partition):
    assert partition.worker_is_ready_again
    assert partition.through_the_worker["status"] == "complete"
