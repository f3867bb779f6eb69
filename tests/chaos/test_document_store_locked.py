"""A gateway whose document store cannot be written, for a while or again and again."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from chaos.gateway_desk import Answer, GatewayDesk, a_desk, done, requests_of, until_it_consumes
from imagetron_contracts import topology
from integration.chassis.workbench import Bench, a_bench
from support.eventually import eventually
from support.rabbitmq import FreshBroker
from support.service_process import ServiceProcess, StartService, start_service

__all__ = ["start_service"]

# The store itself gives up after two seconds; the rest is for a busy machine, and is far from a hang.
REFUSED_WITHIN_SECONDS = 7.0
BACK_WITHIN_SECONDS = 10.0


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "documents" / "gateway.sqlite3"


@pytest.fixture
def gateway(bench: Bench, database: Path, tmp_path: Path, start_service: StartService) -> ServiceProcess:
    service = start_service(
        "gateway",
        AMQP_URL=bench.url,
        STORAGE_PATH=str(tmp_path / "objects"),
        GATEWAY_DOCUMENTS_URL=f"sqlite:///{database}",
    )
    return until_it_consumes(service.until_ready())


@pytest.fixture
async def desk(gateway: ServiceProcess) -> AsyncIterator[GatewayDesk]:
    async with a_desk(gateway) as desk:
        yield desk


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process' hand on the file, as far as SQLite can tell."""
    holder = sqlite3.connect(database, isolation_level=None, timeout=30)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


@contextmanager
def locked_again_and_again(database: Path, *, held_seconds: float, free_seconds: float) -> Iterator[None]:
    ending = threading.Event()

    def hold_and_release() -> None:
        while not ending.is_set():
            with locked(database):
                ending.wait(held_seconds)
            ending.wait(free_seconds)

    holding = threading.Thread(target=hold_and_release)
    holding.start()
    try:
        yield
    finally:
        ending.set()
        holding.join()


def is_a_passing_trouble(answer: Answer) -> bool:
    return (
        answer.status == httpx.codes.SERVICE_UNAVAILABLE
        and answer.response.headers["Content-Type"] == "application/problem+json"
        and int(answer.response.headers["Retry-After"]) >= 1
        and answer.body["retryable"] is True
    )


async def accepted(desk: GatewayDesk, name: str) -> Answer | None:
    answer = await desk.submit(name)
    return answer if answer.status == httpx.codes.ACCEPTED else None


async def test_while_the_store_is_locked_callers_hear_so_at_once_and_afterwards_nothing_is_lost(
    bench: Bench, database: Path, desk: GatewayDesk
):
    first = await desk.submit("first")
    assert first.status == httpx.codes.ACCEPTED
    [request] = (await requests_of(bench, [first.body["id"]])).values()

    with locked(database):
        refused = await asyncio.gather(*(desk.submit("second") for _ in range(5)))
        read = await desk.read(first.body["id"])
        await bench.publish(done(request))
        still_refused = await desk.submit("second")
        dead = [queue.dead_letters for queue in topology.QUEUES if queue.name.startswith("gateway.")]
        assert await bench.is_empty(*dead)
    unlocked_at = time.monotonic()

    assert all(is_a_passing_trouble(answer) for answer in (*refused, still_refused))
    assert max(answer.seconds for answer in refused) < REFUSED_WITHIN_SECONDS
    # What is read needs no lock of its own, so the pictures that are there can still be shown.
    assert (read.status, read.seconds < REFUSED_WITHIN_SECONDS) == (httpx.codes.OK, True)
    assert read.body["status"] != "complete"

    second: Answer = await eventually(lambda: accepted(desk, "second"), within_seconds=30)
    assert time.monotonic() - unlocked_at < BACK_WITHIN_SECONDS

    async def first_is_complete() -> bool:
        return bool((await desk.read(first.body["id"])).body["status"] == "complete")

    await eventually(first_is_complete, within_seconds=60)
    # The lock may have come before the gateway had noted that the first request was sent: then it is sent once more.
    asked = await requests_of(bench, [second.body["id"]])
    assert asked.pop(request.job_id, request) == request
    assert asked.keys() == {second.body["id"]}
    assert await desk.names() == ["first", "second"]


async def test_a_store_that_is_locked_again_and_again_makes_work_slow_and_never_wrong(
    bench: Bench, database: Path, desk: GatewayDesk
):
    names = [f"job-{number:02}" for number in range(12)]

    async def submit_until_accepted(name: str) -> str:
        answer: Answer = await eventually(lambda: accepted(desk, name), within_seconds=60)
        return str(answer.body["id"])

    with locked_again_and_again(database, held_seconds=0.8, free_seconds=0.2):
        ids = await asyncio.gather(*(submit_until_accepted(name) for name in names))
        requests = await requests_of(bench, ids, within_seconds=60)
        await bench.publish(*(done(request) for request in requests.values()))

        async def all_are_complete() -> bool:
            answers = [await desk.read(job_id) for job_id in ids]
            return all(answer.status == httpx.codes.OK and answer.body["status"] == "complete" for answer in answers)

        await eventually(all_are_complete, within_seconds=90, every_seconds=0.3)

    assert sorted(requests) == sorted(ids)
    assert await desk.names() == names
