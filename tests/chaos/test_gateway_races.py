"""Two gateways on one store and one broker, and everybody at once: each request, and each end of a job, happens once.

CHAOS_ROUNDS and CHAOS_RACES make it longer.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aio_pika
import httpx
import pytest

from chaos.gateway_desk import until_it_consumes
from e2e.calls import a_request
from imagetron_contracts.envelope import decode
from imagetron_contracts.events import EVENTS, VariationCancelled, VariationCompleted
from imagetron_contracts.topology import Exchange
from integration.chassis.workbench import Bench, a_bench
from support.builders import a_job, family_published
from support.eventually import eventually
from support.rabbitmq import FreshBroker
from support.service_process import StartService, start_service

__all__ = ["start_service"]

ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "20"))
RACES: Final = int(os.environ.get("CHAOS_RACES", "200"))
CLIENTS: Final = 50
_AT_ONCE: Final = 50


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench


@pytest.fixture
def gateways(bench: Bench, start_service: StartService, tmp_path: Path) -> list[str]:
    """Addresses of two gateways that share everything. No worker listens: what they ask for stays in the queues."""
    shared = {
        "AMQP_URL": bench.url,
        "STORAGE_PATH": str(tmp_path / "objects"),
        "GATEWAY_DOCUMENTS_URL": f"sqlite:///{tmp_path}/gateway.sqlite3",
        "GATEWAY_STAND_IN_MODEL": "preview",
        "GATEWAY_ADMISSION_INTERACTIVE": "1000",
        "LOG_LEVEL": "warning",
    }
    started = [start_service("gateway", **shared) for _ in range(2)]
    return [until_it_consumes(service.until_ready()).url for service in started]


@asynccontextmanager
async def clients(count: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    # Each request on its own connection: one that the server closes as idle just then would break a request.
    limits = httpx.Limits(max_connections=count, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        yield [client] * count


async def test_fifty_clients_racing_on_one_idempotency_key_through_two_gateways_make_one_job(gateways):
    async with clients(CLIENTS) as crowd:
        for number in range(ROUNDS):
            body = a_request(f"round-{number}", families=["square"])
            headers = {"Idempotency-Key": f"key-{number}"}
            answers = await asyncio.gather(
                *(
                    client.post(f"{gateways[index % 2]}/api/images/variations", json=body, headers=headers)
                    for index, client in enumerate(crowd)
                )
            )
            assert Counter(answer.status_code for answer in answers) == {202: CLIENTS}
            assert len({answer.json()["id"] for answer in answers}) == 1
            assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
        listed = await all_variations(crowd[0], gateways[0])
    assert sorted(variation["name"] for variation in listed) == sorted(f"round-{number}" for number in range(ROUNDS))


async def test_of_a_cancellation_and_a_completion_that_race_exactly_one_is_told_and_kept(gateways, bench: Bench):
    chance = random.Random(7)
    await bench.facts()  # connects, before the race begins
    async with clients(_AT_ONCE) as (client, *_), told(bench) as ends:
        outcomes: dict[str, str] = {}
        for start in range(0, RACES, _AT_ONCE):
            jobs = await admitted_jobs(client, gateways, range(start, min(RACES, start + _AT_ONCE)))

            async def race(index: int, job_id: str) -> None:
                async def complete() -> None:
                    await asyncio.sleep(chance.random() * 0.02)
                    await bench.publish(family_published(a_job(id=job_id)))

                async def cancel() -> httpx.Response:
                    await asyncio.sleep(chance.random() * 0.06)
                    return await client.post(f"{gateways[index % 2]}/api/jobs/{job_id}/cancel")

                _, answer = await asyncio.gather(complete(), cancel())
                assert answer.status_code in {200, 409}, answer.text
                outcomes[job_id] = "cancelled" if answer.status_code == 200 else "completed"

            await asyncio.gather(*(race(index, job_id) for index, job_id in enumerate(jobs)))

        await eventually(lambda: len(ends) >= RACES, within_seconds=60)
        statuses = {job_id: (await read(client, gateways[0], job_id))["status"] for job_id in outcomes}

    assert statuses == outcomes
    assert {job_id: kinds for job_id, kinds in ends.items() if len(kinds) != 1} == {}
    assert {job_id: kinds.copy().pop() for job_id, kinds in ends.items()} == outcomes
    print(f"\n{RACES} races: {dict(Counter(outcomes.values()))}")
    assert set(outcomes.values()) == {"cancelled", "completed"}, "the race was decided before it began"


async def admitted_jobs(client: httpx.AsyncClient, gateways: list[str], numbers: range) -> list[str]:
    async def submit(number: int) -> str:
        body = a_request(f"race-{number}", families=["square"])
        answer = await client.post(f"{gateways[number % 2]}/api/images/variations", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    jobs = await asyncio.gather(*(submit(number) for number in numbers))

    async def all_admitted() -> bool:
        shown = await asyncio.gather(*(read(client, gateways[0], job_id) for job_id in jobs))
        return all(job["families"]["square"]["status"] == "admitted" for job in shown)

    await eventually(all_admitted, within_seconds=60)
    return list(jobs)


async def read(client: httpx.AsyncClient, url: str, job_id: str) -> dict[str, Any]:
    answer = await client.get(f"{url}/api/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def all_variations(client: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        query = {"limit": "200"} | ({"after": after} if after else {})
        page = (await client.get(f"{url}/api/images/variations", params=query)).json()
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


@asynccontextmanager
async def told(bench: Bench) -> AsyncIterator[dict[str, set[str]]]:
    """The ends that an outside subscriber hears of, by job."""
    ends: dict[str, set[str]] = {}
    words = {VariationCancelled: "cancelled", VariationCompleted: "completed"}
    connection = await aio_pika.connect(bench.url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(Exchange.EVENTS, routing_key="#")

        async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            event = decode(message.body, accept=EVENTS).data
            if isinstance(event, VariationCancelled | VariationCompleted):
                ends.setdefault(event.variation_id, set()).add(words[type(event)])

        await queue.consume(hear, no_ack=True)
        yield ends
