"""A broker that dies in the very moment in which a service begins or ceases to consume: it is waited for, or let go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from structlog.testing import capture_logs

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Consumer, Facts, Subscription
from imagetron_contracts.topology import DERIVER_RENDERS
from integration.chassis.workbench import Bench, Handler, renders
from support.eventually import eventually
from support.toxics import ToxicProxy, toxic_proxy


@asynccontextmanager
async def connected(bench: Bench, proxy: ToxicProxy) -> AsyncIterator[Broker]:
    broker = Broker(proxy.redirect(bench.url), "test")
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


def consumer_of(broker: Broker, handler: Handler) -> Consumer:
    facts = Facts(broker.publisher, source="imagetron/test", clock=SystemClock())
    return Consumer(broker, facts, [Subscription(DERIVER_RENDERS, handler)])


async def test_a_broker_that_is_away_when_consuming_begins_is_waited_for(bench: Bench):
    handler = Handler()
    with toxic_proxy("127.0.0.1", urlsplit(bench.url).port or 0) as proxy:
        async with connected(bench, proxy) as broker:
            consumer = consumer_of(broker, handler)
            with capture_logs() as lines:
                proxy.down()
                starting = asyncio.create_task(consumer.start())
                await eventually(
                    lambda: any(line["event"] == "consuming_not_begun" for line in lines), within_seconds=20
                )
                proxy.up()
            async with asyncio.timeout(60):
                await starting
            await bench.publish(renders(1))
            await eventually(lambda: handler.numbers == [1], within_seconds=20)
            await consumer.drain(5)


async def test_a_broker_that_dies_while_a_service_stops_does_not_keep_it_from_stopping(bench: Bench):
    with toxic_proxy("127.0.0.1", urlsplit(bench.url).port or 0) as proxy:
        async with connected(bench, proxy) as broker:
            consumer = consumer_of(broker, Handler())
            await consumer.start()
            proxy.down()
            async with asyncio.timeout(30):
                await consumer.drain(1)
