"""A whole service as a process: signals, exit statuses, configuration, and what it leaves to the broker when it dies."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetron_contracts.topology import DELIVERY_LIMIT, DERIVER_RENDERS, GATEWAY_PUBLISHED
from integration.chassis.workbench import Bench, published, renders
from support.eventually import eventually
from support.ports import free_port

TESTS = Path(__file__).parents[2]
_NUMBERS = itertools.count()
CANARY = "canary-c5aa-a-password"


class Tiny:
    """A running tiny service and what it wrote."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.port = int(environ["PROBES_PORT"])
        self._output = folder / f"{next(_NUMBERS)}.out"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "integration.chassis.tiny_service"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines()]

    def said(self, event: str) -> bool:
        return f'"event": "{event}"' in self.output

    async def until_it_says(self, event: str) -> None:
        await eventually(lambda: self.said(event) or self.process.poll() is not None, within_seconds=30)
        assert self.said(event), self.output

    async def exit_status(self) -> int:
        return await asyncio.to_thread(self.process.wait, 30)

    async def ended_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await self.exit_status()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Tiny]]:
    started: list[Tiny] = []

    def start(**environ: str) -> Tiny:
        started.append(Tiny(tmp_path, {"PROBES_PORT": str(free_port()), **environ}))
        return started[-1]

    yield start
    for tiny in started:
        tiny.process.kill()
        tiny.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_service_that_is_told_to_stop_finishes_what_it_has_in_hand_and_exits_0(
    bench: Bench, start: Callable[..., Tiny], number: signal.Signals
):
    tiny = start(AMQP_URL=bench.url, TINY_WORK_SECONDS="0.3")
    await tiny.until_it_says("service_ready")
    await bench.publish(renders())
    await tiny.until_it_says("work_begun")

    assert await tiny.ended_by(number) == 0

    assert (await bench.take_envelope(GATEWAY_PUBLISHED.name)).data == published()
    assert await bench.is_empty(DERIVER_RENDERS.name)
    assert tiny.said("service_stopped")


async def test_work_that_outlasts_the_grace_is_handed_back_before_the_service_exits_0(
    bench: Bench, start: Callable[..., Tiny]
):
    tiny = start(AMQP_URL=bench.url, TINY_WORK_SECONDS="60", SHUTDOWN_GRACE_SECONDS="0.1")
    await tiny.until_it_says("service_ready")
    await bench.publish(renders())
    await tiny.until_it_says("work_begun")

    assert await tiny.ended_by(signal.SIGTERM) == 0

    back = await bench.take(DERIVER_RENDERS.name)
    assert not back.redelivered
    assert not back.headers.get("x-delivery-count")


async def test_the_message_of_a_service_that_is_killed_is_redelivered(bench: Bench, start: Callable[..., Tiny]):
    tiny = start(AMQP_URL=bench.url, TINY_WORK_SECONDS="60")
    await tiny.until_it_says("service_ready")
    await bench.publish(renders())
    await tiny.until_it_says("work_begun")

    await tiny.ended_by(signal.SIGKILL)

    assert (await bench.take(DERIVER_RENDERS.name)).redelivered
    assert await bench.is_empty(GATEWAY_PUBLISHED.name)


async def test_a_service_that_waits_for_its_broker_is_alive_and_unready_and_exits_0_when_told_to(
    start: Callable[..., Tiny],
):
    tiny = start(AMQP_URL=f"amqp://guest:{CANARY}@127.0.0.1:{free_port()}/")
    await tiny.until_it_says("broker_not_reachable")

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{tiny.port}") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
    assert await tiny.ended_by(signal.SIGTERM) == 0

    assert CANARY not in tiny.output
    assert not tiny.said("service_ready")
    assert {event["service"] for event in tiny.events()} == {"tiny"}


async def test_a_service_is_ready_once_it_consumes_and_writes_its_spans(
    bench: Bench, start: Callable[..., Tiny], tmp_path: Path
):
    spans = tmp_path / "spans.jsonl"
    tiny = start(AMQP_URL=bench.url, SPANS_FILE=str(spans))
    await tiny.until_it_says("service_ready")

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{tiny.port}") as client:
        ready = await client.get("/readyz")
        await bench.publish(renders())
        fact = await bench.take_envelope(GATEWAY_PUBLISHED.name)

        async def is_counted() -> bool:
            return "messages_published" in (await client.get("/metrics")).text

        # The fact is there before its confirm is.
        await eventually(is_counted, within_seconds=10)
    await tiny.ended_by(signal.SIGTERM)

    assert ready.json() == {"ready": True, "checks": {"broker": "ok"}}
    [span] = [json.loads(line) for line in spans.read_text().splitlines()]
    assert span["name"] == f"process {DERIVER_RENDERS.name}"
    assert span["attributes"]["imagetron.outcome"] == "done"
    assert (fact.traceparent or "").split("-")[1:3] == [span["trace"], span["span"]]
    [begun] = [event for event in tiny.events() if event["event"] == "work_begun"]
    assert (begun["trace_id"], begun["job_id"]) == (span["trace"], fact.correlationid)


async def test_a_wrong_configuration_exits_78_with_every_problem_and_no_secret(start: Callable[..., Tiny]):
    tiny = start(TINY_WORK_SECONDS=CANARY, TINY_DIES_OFF="1", LOG_LEVEL="loud", S3_SECRET_ACCESS_KEY=CANARY)

    assert await tiny.exit_status() == 78

    for variable in ("AMQP_URL", "TINY_WORK_SECONDS", "TINY_DIES_OFF", "LOG_LEVEL"):
        assert f"  - {variable}: " in tiny.output
    assert "did you mean TINY_DIES_OF?" in tiny.output
    assert CANARY not in tiny.output
    assert "Traceback" not in tiny.output


async def test_a_service_whose_port_is_taken_says_which_and_exits_1(start: Callable[..., Tiny]):
    first = start(AMQP_URL=f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    await first.until_it_says("broker_not_reachable")

    second = start(AMQP_URL="amqp://guest:guest@127.0.0.1:1/", PROBES_PORT=str(first.port))

    assert await second.exit_status() == 1
    [event] = second.events()
    assert event["event"] == "service_cannot_start"
    assert f"127.0.0.1:{first.port}" in event["reason"]


async def test_a_message_that_kills_its_worker_is_put_aside_after_six_lives_and_its_neighbours_are_done(
    bench: Bench, start: Callable[..., Tiny]
):
    await bench.publish(renders(1), renders(2), renders(3))
    deaths = 0

    while not await neighbours_are_done(bench):
        tiny = start(AMQP_URL=bench.url, TINY_DIES_OF="1")
        await eventually(partial(has_died_or_worked, tiny, bench), within_seconds=30)
        deaths += tiny.process.poll() == 9

    done = [(await bench.take_envelope(GATEWAY_PUBLISHED.name)).data for _ in range(2)]
    assert sorted(done, key=str) == sorted([published(2), published(3)], key=str)
    assert (await bench.take_envelope(DERIVER_RENDERS.dead_letters)).data == renders(1)
    assert deaths == DELIVERY_LIMIT + 1


async def neighbours_are_done(bench: Bench) -> bool:
    return await bench.ready(GATEWAY_PUBLISHED.name) == 2


async def has_died_or_worked(tiny: Tiny, bench: Bench) -> bool:
    return tiny.process.poll() is not None or await neighbours_are_done(bench)
