"""Outside providers' families and callbacks come in by their own queues."""

import time
from dataclasses import replace

from imagetron_chassis.delivery import Facts
from imagetron_chassis.testing import RecordingPublisher
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.spec import callback_key
from imagetron_contracts.stages import JobCancelled, ProviderCallback, RendersGenerated
from imagetron_contracts.topology import (
    GENERATOR_BATCH,
    GENERATOR_CALLBACKS,
    GENERATOR_EXTERNAL,
    GENERATOR_INTERACTIVE,
)
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.provider_tasks import TaskState
from imagetron_generator.handlers import Dependencies, on_job_cancelled, subscriptions
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.slots import Slots
from unit.generator.bench import JOB
from unit.generator.tasks.task_bench import PROVIDER, a_task_spec, an_external_request


def wired(bench, *, with_desk=True):
    facts = Facts(RecordingPublisher(), source="imagetron/generator", clock=bench.clock)
    model = InMemoryImageModel()
    deps = Dependencies(facts, bench.work, model, ModelCalls(), Slots(1), bench.clock, time.monotonic)
    deps = replace(deps, desk=bench.worker if with_desk else None)
    queues = {one.queue: one for one in subscriptions(deps, concurrency=1, external_concurrency=4)}
    return model, queues


def enveloped(bench, message):
    return Envelope.wrap(message, message_id="m-1", source="imagetron/gateway", time=bench.clock.now(), job_id=JOB)


async def test_outside_providers_have_queues_of_their_own(bench):
    _, queues = wired(bench)

    assert list(queues) == [GENERATOR_INTERACTIVE, GENERATOR_BATCH, GENERATOR_EXTERNAL, GENERATOR_CALLBACKS]
    assert queues[GENERATOR_EXTERNAL].failure is not None
    assert queues[GENERATOR_CALLBACKS].failure is None
    assert GENERATOR_CALLBACKS not in wired(bench, with_desk=False)[1]


async def test_a_family_of_a_provider_that_answers_later_is_ordered(bench):
    model, queues = wired(bench)

    told = await queues[GENERATOR_EXTERNAL].handle(enveloped(bench, an_external_request(0)))

    assert told == []
    assert len(bench.provider.submissions) == 1
    assert model.requests == []


async def test_a_family_of_a_provider_that_answers_in_the_call_is_rendered(bench):
    await bench.has_spec(a_task_spec(provider="openai", revision=2))
    request = an_external_request(0, revision=2, spec_key=f"jobs/{JOB}/2/spec.json")

    for with_desk in (True, False):
        model, queues = wired(bench, with_desk=with_desk)
        (told,) = await queues[GENERATOR_EXTERNAL].handle(enveloped(bench, request))
        assert isinstance(told, RendersGenerated)
        assert len(model.requests) == (1 if with_desk else 0)  # The second time the render is there.
    assert bench.provider.submissions == []


async def test_a_callback_moves_its_task_on(quiet):
    _, queues = wired(quiet)
    await queues[GENERATOR_EXTERNAL].handle(enveloped(quiet, an_external_request(0)))
    body = quiet.provider.finish("task-1")
    await quiet.work.put_if_absent(callback_key(PROVIDER, "i"), body, content_type="application/json")
    task = await quiet.task()
    callback = ProviderCallback(provider=PROVIDER, inbox_id="i", task_reference=task.reference, is_signed=True)

    assert list(await queues[GENERATOR_CALLBACKS].handle(enveloped(quiet, callback))) == []

    assert len(quiet.heard(RendersGenerated)) == 1


async def test_a_cancellation_that_is_heard_has_the_provider_asked_to_stop_soon(quiet):
    await quiet.ask(0)
    await quiet.is_cancelled()

    await on_job_cancelled(JobCancelled(job_id=JOB, revision=1), calls=ModelCalls(), desk=quiet.worker)
    await quiet.sweep()

    assert quiet.provider.cancelled == ["task-1"]
    assert (await quiet.task()).state is TaskState.CANCELLED
