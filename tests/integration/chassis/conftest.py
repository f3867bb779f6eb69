"""A virtual host of its own for every test, on the one private node."""

from collections.abc import AsyncIterator

import pytest

from integration.chassis.workbench import Bench, a_bench
from support.rabbitmq import FreshBroker


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench
