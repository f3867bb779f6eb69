"""Hints on a real broker: heard by every process, handled one by one, lost without harm."""

import asyncio
from datetime import UTC, datetime

from aio_pika import Message

from imagetron_chassis.hints import listen
from imagetron_contracts.stages import JobChanged, ModelHealth
from imagetron_contracts.topology import HINTS_JOB_CHANGED, HINTS_MODEL_HEALTH, Exchange
from integration.chassis.workbench import JOB_ID, Bench
from support.eventually import eventually


def changed(version: int) -> JobChanged:
    return JobChanged(job_id=JOB_ID, version=version)


async def a_listener(bench: Bench, *, fails_at: int | None = None) -> list[int]:
    """A process that listens; the versions that it hears of."""
    heard: list[int] = []

    async def hear(hint: JobChanged) -> None:
        heard.append(hint.version)
        if hint.version == fails_at:
            raise LookupError("a bug in whoever listens")

    broker = await bench.broker()
    listen(broker, HINTS_JOB_CHANGED, JobChanged, hear)
    await broker.consuming.start()
    return heard


async def test_every_process_hears_every_hint_in_order(bench: Bench):
    one, two = await a_listener(bench), await a_listener(bench)

    await bench.publish(*(changed(version) for version in range(1, 6)))

    await eventually(lambda: one == two == [1, 2, 3, 4, 5])


async def test_two_listeners_in_one_process_hear_the_same_hint_each(bench: Bench):
    broker = await bench.broker()
    heard: list[str] = []

    async def first(_: JobChanged) -> None:
        heard.append("first")

    async def second(_: JobChanged) -> None:
        heard.append("second")

    listen(broker, HINTS_JOB_CHANGED, JobChanged, first)
    listen(broker, HINTS_JOB_CHANGED, JobChanged, second)
    await broker.consuming.start()
    await bench.publish(changed(1))

    await eventually(lambda: sorted(heard) == ["first", "second"])


async def test_a_listener_hears_only_the_kind_that_it_asked_for(bench: Bench):
    heard = await a_listener(bench)
    broker = await bench.broker()
    healths: list[ModelHealth] = []

    async def hear(hint: ModelHealth) -> None:
        healths.append(hint)

    listen(broker, HINTS_MODEL_HEALTH, ModelHealth, hear)
    await broker.consuming.start()
    health = ModelHealth(reporter="g", model="preview", is_available=True, checked_at=datetime(2026, 1, 1, tzinfo=UTC))
    await bench.publish(health, changed(1))

    await eventually(lambda: healths == [health] and heard == [1])


async def test_hints_from_before_a_process_listened_are_lost_without_harm(bench: Bench):
    await bench.publish(changed(1))
    heard = await a_listener(bench)

    await bench.publish(changed(2))

    await eventually(lambda: heard == [2])


async def test_a_listener_that_fails_and_a_hint_that_cannot_be_read_do_not_keep_the_next_from_being_heard(bench: Bench):
    heard = await a_listener(bench, fails_at=1)

    await bench.publish(changed(1))
    exchange = await bench.outside.get_exchange(Exchange.HINTS.value, ensure=False)
    await exchange.publish(Message(b"not an envelope"), routing_key=HINTS_JOB_CHANGED.routing_key)
    await bench.publish(changed(2))

    await eventually(lambda: heard == [1, 2])


async def test_a_process_leaves_no_queue_of_hints_behind(bench: Bench):
    broker = await bench.broker()

    async def hear(_: JobChanged) -> None:
        await asyncio.Event().wait()

    listen(broker, HINTS_JOB_CHANGED, JobChanged, hear)
    await broker.consuming.start()
    await bench.publish(changed(1))
    await broker.close()

    assert "hints." not in bench.node.ctl("list_queues", "-p", bench.vhost, "name", "--silent")
