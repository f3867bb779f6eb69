"""A virtual host for every test on the private RabbitMQ node, a caller in the gateway's place, a double of the OpenAI API."""

from collections.abc import AsyncIterator, Iterator

import pytest

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.rpc import RpcClient
from support.openai_double import OpenAIDouble, an_openai_double
from support.service_process import start_service

__all__ = ["start_service"]


@pytest.fixture
async def caller(vhost_url: str) -> AsyncIterator[RpcClient]:
    broker = Broker(vhost_url, "caller")
    client = RpcClient(broker, Facts(broker.publisher, source="imagetron/gateway", clock=SystemClock()))
    await broker.connect()
    await broker.consuming.start()
    yield client
    await broker.close()


@pytest.fixture
def language_model() -> Iterator[OpenAIDouble]:
    with an_openai_double() as double:
        yield double
