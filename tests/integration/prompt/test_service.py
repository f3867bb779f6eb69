"""The whole prompt service over a real broker."""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version

import httpx
import pytest
from pydantic import SecretStr

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.rpc import NoReply, RpcClient
from imagetron_contracts.rpc import DescribePrompts, PromptsDescribed
from imagetron_contracts.topology import PROMPT_DESCRIBE
from imagetron_prompt.bootstrap import build
from imagetron_prompt.settings import Settings
from support.ports import free_port


@pytest.fixture
async def caller(rabbitmq) -> AsyncIterator[RpcClient]:
    broker = Broker(rabbitmq.url, "caller")
    client = RpcClient(broker, Facts(broker.publisher, source="imagetron/gateway", clock=SystemClock()))
    await broker.connect()
    await broker.consuming.start()
    yield client
    await broker.close()


async def describe(caller: RpcClient, deadline_seconds: float = 5) -> PromptsDescribed:
    return await caller.call(DescribePrompts(), PROMPT_DESCRIBE, PromptsDescribed, deadline_seconds=deadline_seconds)


def settings(rabbitmq, port: int) -> Settings:
    return Settings(amqp_url=SecretStr(rabbitmq.url), probes_port=port)


async def test_the_service_describes_itself_to_many_callers_at_once(rabbitmq, caller):
    async with build(settings(rabbitmq, free_port())).running():
        answers = await asyncio.gather(*(describe(caller) for _ in range(50)))

    assert set(answers) == {PromptsDescribed(service_version=version("imagetron-prompt"), source="offline")}


async def test_the_service_is_ready_when_its_queue_has_a_consumer(rabbitmq):
    port = free_port()

    async with build(settings(rabbitmq, port)).running(), httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/readyz")

    assert (answer.status_code, answer.json()["checks"]) == (200, {"broker": "ok"})


async def test_a_service_that_has_stopped_answers_nobody(rabbitmq, caller):
    async with build(settings(rabbitmq, free_port())).running():
        await describe(caller)

    with pytest.raises(NoReply):
        await describe(caller, deadline_seconds=0.5)
