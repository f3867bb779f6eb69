import asyncio
import time

from imagetron_chassis.delivery import Facts, GivenUp
from imagetron_chassis.testing import RecordingPublisher
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.stages import FamilyStarted, JobCancelled, StageFailed
from imagetron_contracts.topology import GENERATOR_BATCH, GENERATOR_INTERACTIVE
from imagetron_generator.handlers import Dependencies, on_job_cancelled, subscriptions
from imagetron_generator.usecases.slots import Slots
from support.eventually import eventually
from unit.generator.bench import JOB, a_request


def wired(bench):
    publisher = RecordingPublisher()
    facts = Facts(publisher, source="imagetron/generator", clock=bench.clock)
    deps = Dependencies(facts, bench.work, bench.model, bench.calls, Slots(1), bench.clock, time.monotonic)
    return publisher, subscriptions(deps, concurrency=1)


def an_envelope(bench, **changes):
    request = a_request(**changes)
    return Envelope.wrap(request, message_id="m-1", source="imagetron/gateway", time=bench.clock.now(), job_id=JOB)


async def test_both_lanes_are_consumed(bench):
    _, (interactive, batch) = wired(bench)

    assert (interactive.queue, batch.queue) == (GENERATOR_INTERACTIVE, GENERATOR_BATCH)


async def test_what_is_said_on_the_way_names_the_request_as_its_cause(bench):
    publisher, (interactive, _) = wired(bench)

    await interactive.handle(an_envelope(bench))

    started = next(said for said in publisher.envelopes() if isinstance(said.data, FamilyStarted))
    assert (started.causationid, started.subject) == ("m-1", JOB)


async def test_families_of_both_lanes_share_the_slots(bench):
    _, (interactive, batch) = wired(bench)
    bench.model.hold()
    first = asyncio.create_task(interactive.handle(an_envelope(bench)))
    await eventually(lambda: bench.model.requests)
    second = asyncio.create_task(batch.handle(an_envelope(bench, lane="batch", family="square", attempt=2)))
    for _ in range(50):  # more turns of the loop than the way to the model takes
        await asyncio.sleep(0)

    assert len(bench.model.requests) == 1

    bench.model.release()
    await asyncio.gather(first, second)
    assert len(bench.model.requests) == 2


async def test_the_owner_hears_of_every_image_that_was_given_up(bench):
    _, (interactive, _) = wired(bench)
    given_up = GivenUp(FailureCode.MODEL_UNAVAILABLE, "the model is away", "abc123")

    (fact,) = interactive.failure(a_request(0, 2), given_up)

    assert isinstance(fact, StageFailed)
    assert (fact.job_id, fact.stage, fact.image_indexes) == (JOB, Stage.GENERATING, (0, 2))
    assert (fact.code, fact.message, fact.support_id) == (
        FailureCode.MODEL_UNAVAILABLE,
        "the model is away",
        "abc123",
    )


async def test_a_cancellation_that_is_heard_stops_the_model_at_once(bench):
    _, (interactive, _) = wired(bench)
    bench.model.hold()
    rendering = asyncio.create_task(interactive.handle(an_envelope(bench)))
    await eventually(lambda: bench.model.requests)

    await on_job_cancelled(JobCancelled(job_id=JOB, revision=1), calls=bench.calls)

    assert await rendering == []
    assert bench.model.cancelled == 1


async def test_a_cancellation_of_somebody_elses_work_changes_nothing(bench):
    await on_job_cancelled(JobCancelled(job_id=JOB, revision=9), calls=bench.calls)
