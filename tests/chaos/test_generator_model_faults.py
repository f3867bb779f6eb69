"""A model's server that hangs, is full or has no memory: a real Triton whose model misbehaves on demand, and a generator."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.breaker import BreakerRules
from imagetron_chassis.lifecycle import Service
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import Lane, StageFailed
from imagetron_generator.bootstrap import build
from imagetron_generator.settings import Settings
from integration.generator.unruly import NARROW, UNRULY, Client, UnrulyTriton, a_client, unruly, unruly_session
from support.eventually import eventually
from support.ports import free_port
from support.rabbitmq import FreshBroker

__all__ = ["unruly", "unruly_session"]

# Short rests; all else as in production.
RULES = BreakerRules(open_seconds=3, silent_seconds=3)


@pytest.fixture
async def client(fresh_broker: FreshBroker) -> AsyncIterator[Client]:
    async with a_client(fresh_broker.url, InMemoryBlobs()) as client:
        yield client


@pytest.fixture
def probes_port() -> int:
    return free_port()


@pytest.fixture
def generator(client: Client, unruly: UnrulyTriton, probes_port: int) -> Callable[..., Service]:
    def generator(**changes: object) -> Service:
        values = {
            "amqp_url": SecretStr(client.url),
            "triton_url": unruly.address,
            "probes_port": probes_port,
            "max_concurrent_jobs": 4,
            "health_models": (UNRULY,),
            "health_deadline_seconds": 2,
            "health_interval_seconds": 600,
            "shutdown_grace_seconds": 1,
        }
        return build(Settings.model_validate({**values, **changes}), work=client.work, breaker=RULES)

    return generator


async def is_ready(probes_port: int) -> bool:
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.get(f"http://127.0.0.1:{probes_port}/readyz")
    return answer.status_code == 200


def facts_in(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


async def test_a_server_that_hangs_while_it_says_ready_gets_no_more_work_until_it_paints_again(
    client: Client, unruly: UnrulyTriton, generator: Callable[..., Service], probes_port: int
):
    with capture_logs() as lines:
        async with generator(max_concurrent_jobs=12).running():
            await eventually(unruly.canaries)
            unruly.hang()
            early = [await client.ask(budget_seconds=3) for _ in range(10)]
            assert unruly.says_that_it_is_ready()

            # Each call ends by its deadline, and ten that failed open the circuit.
            await eventually(lambda: "circuit_opened" in facts_in(lines), within_seconds=20)
            await eventually(client.nobody_listens)
            later = [await client.ask(lane=lane) for lane in Lane]
            canaries = unruly.canaries()
            # What had failed already comes home, and is not taken either: no message goes round in circles.
            await eventually(lambda: len(client.put_off) == 10)
            await eventually(lambda: facts_in(lines).count("circuit_opened") == 2, within_seconds=30)
            assert [envelope.try_count for envelope in client.put_off] == [2] * 10
            assert [unruly.calls(request.job_id) for request in later] == [[], []]
            # A probe that is slow for once is asked again.
            await eventually(lambda: is_ready(probes_port))

            unruly.recover()
            results = await client.results([*early, *later], within_seconds=60)

    assert facts_in(lines).count("circuit_closed") == 1
    assert {len(result.images) for result in results.values()} == {1}
    assert await client.failures() == []
    # One for each time that it was half open, and perhaps a round of reports after it closed.
    assert unruly.canaries() - canaries <= facts_in(lines).count("circuit_half_open") + 1
    for request in later:
        assert len(unruly.calls(request.job_id)) == 1
        assert request.job_id not in {envelope.correlationid for envelope in client.put_off}


async def test_a_server_that_hangs_with_hardly_any_work_is_found_out_by_its_health_inference(
    client: Client, unruly: UnrulyTriton, generator: Callable[..., Service]
):
    rules_of_thumb = {"health_interval_seconds": 0.5, "max_concurrent_jobs": 1}
    with capture_logs() as lines:
        async with generator(**rules_of_thumb).running():
            await eventually(unruly.canaries)
            unruly.hang()
            await eventually(lambda: "circuit_opened" in facts_in(lines), within_seconds=30)
            await eventually(client.nobody_listens)

            waiting = await client.ask()
            await eventually(lambda: "circuit_half_open" in facts_in(lines), within_seconds=20)
            assert (await client.waiting(), unruly.calls(waiting.job_id)) == (1, [])

            unruly.recover()
            await client.results([waiting], within_seconds=30)

    assert client.put_off == []


async def test_work_that_waits_at_hand_when_the_server_hangs_goes_back_and_has_spent_no_try(
    client: Client, unruly: UnrulyTriton, generator: Callable[..., Service]
):
    with capture_logs() as lines:
        async with generator(max_concurrent_jobs=1, health_interval_seconds=0.5).running():
            await eventually(unruly.canaries)
            unruly.hang()
            at_work = await client.ask(budget_seconds=300, lane=Lane.INTERACTIVE)
            await eventually(client.nothing_waits)
            at_hand = await client.ask(lane=Lane.BATCH)
            await eventually(client.nothing_waits)

            await eventually(lambda: "circuit_opened" in facts_in(lines), within_seconds=30)
            await eventually(lambda: client.put_off, within_seconds=10)
            assert [(envelope.correlationid, envelope.try_count) for envelope in client.put_off] == [
                (at_hand.job_id, 1)
            ]

            unruly.recover()
            await client.results([at_work, at_hand], within_seconds=40)


async def test_a_full_queue_is_waited_for_without_spending_a_try_and_slows_the_generator_down(
    client: Client, unruly: UnrulyTriton, generator: Callable[..., Service]
):
    with capture_logs() as lines:
        async with generator().running():
            await eventually(unruly.canaries)
            unruly.hang()
            jobs = [await client.ask(model=NARROW) for _ in range(5)]
            # One in work, one in the queue, and no room for the others.
            await eventually(lambda: client.put_off, within_seconds=20)
            unruly.recover()

            results = await client.results(jobs, within_seconds=60)

    limits = [(line["before"], line["now"]) for line in lines if line["event"] == "model_concurrency_changed"]
    assert limits[0] == (4, 2)
    assert {len(result.images) for result in results.values()} == {1}
    assert {envelope.try_count for envelope in client.put_off} == {1}
    assert await client.failures() == []
    assert "circuit_opened" not in facts_in(lines)


async def test_a_picture_too_big_for_the_memory_is_tried_once_more_and_fails_with_a_reason_and_its_neighbour_is_made(
    client: Client, unruly: UnrulyTriton, generator: Callable[..., Service]
):
    async with generator(max_concurrent_jobs=1).running():
        huge = await client.ask(words="huge")
        neighbour = await client.ask()

        await client.results([neighbour], within_seconds=30)
        assert await client.failures() == []
        failures: list[StageFailed] = []

        async def is_told() -> bool:
            failures.extend(await client.failures())
            return bool(failures)

        await eventually(is_told, within_seconds=30)

    [failed] = failures
    assert (failed.job_id, failed.code, failed.image_indexes) == (huge.job_id, FailureCode.OUT_OF_MEMORY, (0,))
    assert "out of memory" in failed.message
    assert len(unruly.calls(huge.job_id)) == 2
    assert [envelope.try_count for envelope in client.put_off] == [2]
