"""The gateway's API while its MongoDB is gone, hangs, or takes seconds for everything.

A stand-in for MongoDB behind a proxy, so that the network is at fault and not the server.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from contract.api.counter import VARIATIONS, Counter, opened, the_problem
from imagetron_chassis.documents.mongo import MongoDocuments
from support.builders import JOB_ID, a_variation_request
from support.eventually import eventually
from support.mongo import MongoServer, running_nx
from support.ports import free_port
from support.service_process import StartService, start_service
from support.toxics import Direction, Latency, Timeout, ToxicProxy, toxic_proxy

__all__ = ["start_service"]

BACK_WITHIN_SECONDS = 10.0
# The driver gives up on a server that is gone after two seconds, and on an answer after five; the rest is slack.
GONE_WITHIN_SECONDS = 6.0
HANGS_WITHIN_SECONDS = 12.0


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[MongoServer]:
    with running_nx(tmp_path, free_port()) as server:
        yield server


@pytest.fixture
def proxy(mongo: MongoServer) -> Iterator[ToxicProxy]:
    with toxic_proxy("127.0.0.1", int(mongo.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def counter(mongo: MongoServer, proxy: ToxicProxy) -> AsyncIterator[Counter]:
    async with an_api_on(MongoDocuments(proxy.redirect(mongo.url), "imagetron", is_trial=True)) as counter:
        yield counter


@asynccontextmanager
async def an_api_on(documents: MongoDocuments) -> AsyncIterator[Counter]:
    async with opened(Counter(documents=documents)) as counter:
        yield counter
    await documents.close()


async def submit(counter: Counter, name: str) -> httpx.Response:
    """The name is the key as well, so a repeated call is a retry."""
    return await counter.submit(a_variation_request(name=name), Idempotency_Key=name)


async def is_accepted(counter: Counter, name: str) -> bool:
    return (await submit(counter, name)).status_code == httpx.codes.ACCEPTED


async def names(counter: Counter) -> list[str]:
    return sorted(item["name"] for item in (await counter.get(VARIATIONS)).json()["items"])


async def all_calls_are_refused(counter: Counter, *, within_seconds: float) -> None:
    for path in (None, f"{VARIATIONS}/{JOB_ID}", VARIATIONS):
        began = time.monotonic()
        answer = await (counter.get(path) if path else submit(counter, "during"))
        assert time.monotonic() - began < within_seconds
        assert the_problem(answer, 503, "unavailable")["retryable"] is True
        assert int(answer.headers["Retry-After"]) >= 1


async def test_a_database_that_is_gone_is_told_at_once_and_used_again_when_it_is_back(
    counter: Counter, proxy: ToxicProxy
):
    assert await is_accepted(counter, "before")

    proxy.down()
    await all_calls_are_refused(counter, within_seconds=GONE_WITHIN_SECONDS)
    proxy.up()
    back_at = time.monotonic()
    await eventually(lambda: is_accepted(counter, "during"), within_seconds=30)

    assert time.monotonic() - back_at < BACK_WITHIN_SECONDS
    assert await names(counter) == ["before", "during"]


async def test_a_database_that_hangs_keeps_no_caller_waiting_and_is_used_again_when_it_answers(
    counter: Counter, proxy: ToxicProxy
):
    assert await is_accepted(counter, "before")

    with proxy.toxic(Timeout()):
        await all_calls_are_refused(counter, within_seconds=HANGS_WITHIN_SECONDS)
    back_at = time.monotonic()
    await eventually(lambda: is_accepted(counter, "during"), within_seconds=30)

    assert time.monotonic() - back_at < BACK_WITHIN_SECONDS
    # What hung on the way may have arrived meanwhile: the key makes it the same job.
    assert await names(counter) == ["before", "during"]


async def test_a_database_that_takes_two_seconds_for_everything_is_slow_and_right(counter: Counter, proxy: ToxicProxy):
    assert await is_accepted(counter, "before")

    with proxy.toxic(Latency(2.0), Direction.DOWNSTREAM):
        began = time.monotonic()
        answer = await submit(counter, "during")
        assert time.monotonic() - began >= 2.0
        again = await submit(counter, "during")

    assert (answer.status_code, again.status_code) == (httpx.codes.ACCEPTED, httpx.codes.ACCEPTED)
    assert answer.json()["id"] == again.json()["id"]
    assert await names(counter) == ["before", "during"]


def test_a_gateway_does_not_start_on_a_database_that_could_lose_what_it_acknowledges(
    mongo: MongoServer, start_service: StartService, tmp_path: Path
):
    gateway = start_service(
        "gateway",
        AMQP_URL=f"amqp://guest:guest@127.0.0.1:{free_port()}/",
        STORAGE_PATH=str(tmp_path / "objects"),
        GATEWAY_DOCUMENTS_URL=f"{mongo.url}/imagetron?w=1",
    )

    assert gateway.process.wait(60) == 1
    assert gateway.said("service_cannot_start") == 1
    assert "its URL asks for w=1" in gateway.output
    assert "it is a standalone server" in gateway.output
    assert "Traceback" not in gateway.output
