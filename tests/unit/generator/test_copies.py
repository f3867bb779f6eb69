"""Copies of one request (asked for again, or redelivered after an outage) take no second slot and make nothing twice."""

import asyncio
import time

import pytest

from imagetron_chassis.delivery import Facts
from imagetron_chassis.testing import RecordingPublisher
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.stages import RendersGenerated
from imagetron_generator.handlers import Dependencies, WorkInHand, subscriptions
from imagetron_generator.ports import ModelUnavailable
from imagetron_generator.usecases.calls import CallEnded, ModelCalls
from imagetron_generator.usecases.slots import Slots
from support.eventually import eventually
from unit.generator.bench import JOB, Bench, a_request


def desk(bench: Bench):
    facts = Facts(RecordingPublisher(), source="imagetron/generator", clock=bench.clock)
    deps = Dependencies(facts, bench.work, bench.model, bench.calls, Slots(2), bench.clock, time.monotonic)
    interactive, _ = subscriptions(deps, concurrency=2)
    return interactive


def an_envelope(bench: Bench, **changes: object) -> Envelope:
    request = a_request(**changes)
    name = request.message_id()
    return Envelope.wrap(request, message_id=name, source="imagetron/gateway", time=bench.clock.now(), job_id=JOB)


async def test_a_copy_of_work_in_hand_is_put_off_without_a_call_and_answered_once_the_work_is_done(bench: Bench):
    interactive = desk(bench)
    bench.model.hold()
    first = asyncio.create_task(interactive.handle(an_envelope(bench)))
    await eventually(lambda: bench.model.requests)

    with pytest.raises(WorkInHand):
        await interactive.handle(an_envelope(bench))

    bench.model.release()
    made = await first
    again = await interactive.handle(an_envelope(bench))
    assert len(bench.model.requests) == 1
    assert [type(fact) for fact in again] == [RendersGenerated]
    assert again == made


async def test_another_attempt_is_other_work(bench: Bench):
    interactive = desk(bench)
    bench.model.hold()
    both = [asyncio.create_task(interactive.handle(an_envelope(bench, attempt=attempt))) for attempt in (1, 2)]
    await eventually(lambda: len(bench.model.requests) == 2)

    bench.model.release()
    await asyncio.gather(*both)


async def test_work_that_failed_is_not_in_hand_any_more(bench: Bench):
    bench.model = type(bench.model)(ModelUnavailable("away"), None)
    interactive = desk(bench)

    with pytest.raises(ModelUnavailable):
        await interactive.handle(an_envelope(bench))

    assert await interactive.handle(an_envelope(bench))


async def test_a_call_that_broke_off_by_itself_is_no_cancelled_job():
    async def breaks_off() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ModelUnavailable):
        await ModelCalls().run(JOB, 1, breaks_off())


async def test_a_call_that_was_ended_is_a_cancelled_job():
    calls = ModelCalls()
    call = asyncio.create_task(calls.run(JOB, 1, asyncio.Event().wait()))
    await eventually(lambda: calls.end(JOB, 1))

    with pytest.raises(CallEnded):
        await call
