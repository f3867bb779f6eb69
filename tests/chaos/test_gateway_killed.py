"""A gateway that dies at any line: a caller who asks again with the same key gets its one job, and everything the store
holds is told, at least once.

CHAOS_DEATHS makes each test die more often.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from aio_pika.abc import AbstractQueue

from chaos.gateway_desk import readiness, until_it_consumes
from e2e.calls import a_request
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.envelope import decode
from imagetron_contracts.events import VariationStarted
from imagetron_contracts.spec import cancelled_key
from imagetron_contracts.topology import GENERATOR_INTERACTIVE, Exchange
from integration.chassis.workbench import Bench, a_bench
from support.builders import a_job, family_published
from support.eventually import eventually
from support.rabbitmq import FreshBroker
from support.service_process import ServiceProcess, StartService, start_service
from support.toxics import Direction, Timeout, toxic_proxy

__all__ = ["start_service"]

DEATHS: Final = int(os.environ.get("CHAOS_DEATHS", "2"))
KEY: Final = {"Idempotency-Key": "order-1"}
WAS_CANCELLED: Final = "the job is cancelled; only queued and running jobs can be cancelled"
BODY: Final = a_request("survivor", families=["square"])


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench


class House:
    """One store and one broker, and the gateways that live there one after the other."""

    def __init__(self, bench: Bench, start: StartService, folder: Path) -> None:
        self.ledger = folder / "deaths.jsonl"
        self.objects = folder / "objects"
        self._start = start
        self._environ = {
            "AMQP_URL": bench.url,
            "STORAGE_PATH": str(self.objects),
            "GATEWAY_DOCUMENTS_URL": f"sqlite:///{folder}/gateway.sqlite3",
            "GATEWAY_STAND_IN_MODEL": "preview",
            "FAULT_LEDGER": str(self.ledger),
        }

    def begin(self, plan: str | None = None, **environ: str) -> ServiceProcess:
        armed = {"FAULT_PLAN": plan} if plan else {}
        return self._start("gateway", **(self._environ | armed | environ))

    def gateway(self, plan: str | None = None, **environ: str) -> ServiceProcess:
        return self.begin(plan, **environ).until_ready()

    @property
    def deaths(self) -> list[str]:
        return [json.loads(line)["point"] for line in self.ledger.read_text().splitlines()]


@pytest.fixture
def house(bench: Bench, start_service: StartService, tmp_path: Path) -> House:
    return House(bench, start_service, tmp_path)


@dataclass
class Listening:
    """A queue of the test's own on the public events, and how often each VARIATION_STARTED was heard, by its id."""

    queue: AbstractQueue
    heard: Counter[str] = field(default_factory=Counter)


async def listening(bench: Bench) -> Listening:
    exchange = await bench.outside.declare_exchange(Exchange.EVENTS, "topic", durable=True)
    queue = await bench.outside.declare_queue(exclusive=True)
    await queue.bind(exchange, routing_key=VariationStarted.ROUTING_KEY)
    return Listening(queue)


async def hear(starts: Listening) -> None:
    """Take in everything that has come."""
    while (message := await starts.queue.get(no_ack=True, fail=False)) is not None:
        starts.heard[decode(message.body).id] += 1


def submit(gateway: ServiceProcess, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}/api/images/variations", json=body, headers=headers, timeout=30)


def cancel(gateway: ServiceProcess, job_id: str) -> httpx.Response:
    return httpx.post(f"{gateway.url}/api/jobs/{job_id}/cancel", timeout=30)


def names(gateway: ServiceProcess) -> list[str]:
    return [item["name"] for item in httpx.get(f"{gateway.url}/api/images/variations", timeout=30).json()["items"]]


@pytest.mark.parametrize("point", ["gateway.before_insert", "gateway.after_insert"])
async def test_who_asks_again_after_the_gateway_died_under_a_submission_gets_exactly_one_job(house: House, point):
    doomed = house.gateway(f"{point}=1")
    with pytest.raises(httpx.TransportError):
        submit(doomed, BODY, **KEY)
    assert doomed.killed_itself()

    successor = house.gateway()
    answers = [submit(successor, BODY, **KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    was_stored = point == "gateway.after_insert"
    assert ("Idempotency-Replayed" in answers[0].headers) is was_stored
    assert names(successor) == ["survivor"]
    assert house.deaths == [point]


@pytest.mark.parametrize(
    ("point", "deaths"),
    [
        ("gateway.before_commit", DEATHS),
        ("gateway.after_commit", 1),  # the successor finds the admission done and passes this point no more
        ("relay.before_publish", DEATHS),
        ("relay.after_confirm", DEATHS),
    ],
)
async def test_what_gateways_had_in_hand_when_they_died_is_sent_by_the_next_one(
    house: House, bench: Bench, point, deaths
):
    starts = await listening(bench)
    doomed = house.gateway(f"{point}=1")
    assert submit(doomed, BODY, **KEY).status_code == 202
    assert doomed.killed_itself()
    for _ in range(deaths - 1):
        # It finds what its predecessor left, and dies over it in turn.
        assert house.begin(f"{point}=1").killed_itself()
    successor = until_it_consumes(house.gateway())

    async def it_was_asked_for() -> bool:
        return await bench.ready(GENERATOR_INTERACTIVE.name) == 1

    async def it_was_told() -> bool:
        await hear(starts)
        return bool(starts.heard)

    await eventually(it_was_asked_for, within_seconds=60)
    await eventually(it_was_told, within_seconds=60)
    assert names(successor) == ["survivor"]
    assert house.deaths == [point] * deaths
    # When it has stopped it has sent everything. What was sent but not yet crossed out is sent again, under the same id;
    # nothing else is.
    assert successor.stop() == 0
    await hear(starts)
    assert list(starts.heard.values()) == [deaths + 1 if point == "relay.after_confirm" else 1]


async def test_a_message_that_was_published_but_never_confirmed_is_sent_again_under_the_same_id(
    house: House, bench: Bench, fresh_broker: FreshBroker
):
    starts = await listening(bench)

    async def told(times: int) -> bool:
        await hear(starts)
        return list(starts.heard.values()) == [times]

    with toxic_proxy("127.0.0.1", urlsplit(fresh_broker.url).port or 0) as proxy:
        deaf = house.gateway(AMQP_URL=proxy.redirect(bench.url))
        until_it_consumes(deaf)
        proxy.add(Timeout(), Direction.DOWNSTREAM)
        assert submit(deaf, BODY, **KEY).status_code == 202
        await eventually(lambda: told(1), within_seconds=30)
        deaf.end()
    successor = house.gateway()

    await eventually(lambda: told(2), within_seconds=60)
    assert names(successor) == ["survivor"]


async def test_a_cancellation_that_the_gateway_did_not_survive_reaches_the_workers_all_the_same(
    house: House, bench: Bench
):
    doomed = until_it_consumes(house.gateway("gateway.cancel_before_marker=1"))
    job_id = submit(doomed, BODY, **KEY).json()["id"]
    await bench.take(GENERATOR_INTERACTIVE.name, within_seconds=30)
    with pytest.raises(httpx.TransportError):
        cancel(doomed, job_id)
    assert doomed.killed_itself()

    successor = house.gateway()
    work = FilesystemBlobs(house.objects / "work")
    await eventually(lambda: work.head(cancelled_key(job_id, 1)), within_seconds=30)
    await bench.publish(family_published(a_job(id=job_id)))
    answer = cancel(successor, job_id)
    assert (answer.status_code, answer.json()["detail"]) == (409, WAS_CANCELLED)
    await work.close()


async def test_a_gateway_that_starts_without_a_broker_takes_jobs_and_tells_of_them_once_it_is_there(
    house: House, bench: Bench, fresh_broker: FreshBroker
):
    starts = await listening(bench)

    async def told() -> bool:
        await hear(starts)
        return bool(starts.heard)

    with toxic_proxy("127.0.0.1", urlsplit(fresh_broker.url).port or 0) as proxy:
        proxy.down()
        alone = house.gateway(AMQP_URL=proxy.redirect(bench.url))
        assert submit(alone, BODY, **KEY).status_code == 202
        checks = readiness(alone)
        assert checks["ready"]
        assert checks["checks"]["broker"] != "ok"

        proxy.up()
        await eventually(told, within_seconds=60)
        until_it_consumes(alone)
        assert alone.stop() == 0


async def test_a_gateway_that_never_saw_its_broker_stops_when_it_is_told_to(house: House, fresh_broker: FreshBroker):
    alone = house.gateway(AMQP_URL="amqp://guest:guest@127.0.0.1:1/")
    assert submit(alone, BODY, **KEY).status_code == 202
    assert alone.stop() == 0
