"""The operator's day on the whole stack, through the command: pause over a restart, resume, dead letters, the events."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import aio_pika
import httpx
import pytest

from e2e.calls import a_request, submit
from imagetron_contracts.topology import DERIVER_RENDERS
from support.eventually import eventually
from support.stack import RunningStack


@pytest.fixture
def desk(stack: RunningStack):
    def imagetron(*arguments: str, status: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "imagetron_cli", *arguments, "--json", "--url", stack.url],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout)

    return imagetron


def test_a_pause_outlives_the_gateway_and_a_resumed_lane_goes_on_at_once(stack: RunningStack, desk: Any):
    desk("queue", "pause", "--lane", "interactive", "--reason", "the test says so")
    job = submit(stack.url, a_request("operated", families=["square"]))
    stack.kill("gateway")
    stack.start("gateway")

    [lane] = [lane for lane in desk("queue", "status")["lanes"] if lane["lane"] == "interactive"]
    assert (lane["waitingJobs"], lane["paused"]["reason"]) == (1, "the test says so")
    [waiting] = desk("queue", "list")["items"]
    assert (waiting["id"], waiting["status"], waiting["familiesDone"]) == (job, "queued", 0)
    shown = httpx.get(f"{stack.url}/api/jobs/{job}").json()
    assert "the test says so" in shown["delayed"]

    with subprocess.Popen(
        [
            *(sys.executable, "-m", "imagetron_cli", "events", "tail", "--json", "--job", job),
            *("--type", "VARIATION_COMPLETED", "--count", "1", "--url", stack.url),
        ],
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stderr
        assert "Following the public events" in tail.stderr.readline()
        desk("queue", "resume", "--lane", "interactive")
        told, _ = tail.communicate(timeout=90)

    assert tail.returncode == 0
    assert json.loads(told)["data"]["variationId"] == job
    acts = [line["what"] for line in httpx.get(f"{stack.url}/api/admin/audit").json()["items"]]
    assert acts[:2] == ["lane.resume", "lane.pause"]


def test_a_reader_of_events_does_not_keep_the_gateway_from_stopping(stack: RunningStack):
    pid = stack.pids()["gateway"]

    with httpx.stream("GET", f"{stack.url}/api/admin/events", timeout=30) as answer:
        lines = answer.iter_lines()
        assert "from now on" in next(lines)
        os.kill(pid, signal.SIGTERM)
        rest = [line for line in lines if line]

    assert rest == [": ended: the gateway is stopping"]
    stack.kill("gateway")
    stack.start("gateway")


async def test_poison_is_seen_and_dropped(stack: RunningStack, desk: Any):
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        message = aio_pika.Message(b"poison \x1b", message_id="poison-1")
        await channel.default_exchange.publish(message, routing_key=DERIVER_RENDERS.name)

    async def buried() -> bool:
        queues = (await asyncio.to_thread(desk, "dlq", "list"))["items"]
        return any(item["queue"] == DERIVER_RENDERS.name and item["depth"] for item in queues)

    await eventually(buried, within_seconds=60, every_seconds=0.5)
    shown = desk("dlq", "show", DERIVER_RENDERS.name, "poison-1")
    assert (shown["reason"], shown["body"], shown["bodyIsJson"]) == ("rejected", r"poison \x1b", False)

    # Sent home it dies again: a replay is no cure for poison, and loses nothing.
    assert desk("dlq", "replay", DERIVER_RENDERS.name, "poison-1")["ids"] == ["poison-1"]
    await eventually(buried, within_seconds=60, every_seconds=0.5)
    assert desk("dlq", "drop", DERIVER_RENDERS.name, "--all", "--yes")["done"] == 1
    assert not await buried()
