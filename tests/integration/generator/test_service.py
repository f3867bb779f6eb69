"""The whole service over a real broker; the model and the store are twins."""

import httpx
import pytest

from imagetron_contracts import topology
from imagetron_contracts.stages import JobCancelled, Lane, ModelHealth, Progress
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.ports import ModelRefused
from support.eventually import eventually


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_requested_family_is_started_and_rendered_and_leads_back_to_its_request(neighbours, lane):
    async with neighbours.service().running():
        request = await neighbours.ask(lane)

        started = await neighbours.next_in(topology.GATEWAY_STARTED)
        rendered = await neighbours.next_in(topology.DERIVER_RENDERS)

    assert started.data.job_id == rendered.data.job_id == request.job_id
    assert started.causationid == rendered.causationid == request.message_id()
    assert [image.index for image in rendered.data.images] == [0, 1]
    assert any(isinstance(hint, Progress) and hint.job_id == request.job_id for hint in neighbours.hints)


async def test_the_owner_hears_when_the_model_refuses_every_image(neighbours):
    neighbours.model = InMemoryImageModel(ModelRefused("no"), ModelRefused("no"), ModelRefused("no"))

    async with neighbours.service().running():
        request = await neighbours.ask()

        failed = await neighbours.next_in(topology.GATEWAY_FAILED)

    assert (failed.data.job_id, failed.data.code, failed.data.image_indexes) == (
        request.job_id,
        "model_refused",
        (0, 1),
    )


async def test_a_cancelled_job_frees_the_model_and_leaves_nothing_behind(neighbours):
    neighbours.model.hold()
    async with neighbours.service(health_interval_seconds=600).running():
        request = await neighbours.ask()
        await eventually(neighbours.renders_asked_of_the_model)

        await neighbours.facts.publish(JobCancelled(job_id=request.job_id, revision=1))

        await eventually(lambda: neighbours.model.cancelled)

    assert await neighbours.depth(topology.GENERATOR_INTERACTIVE) == 0
    assert await neighbours.depth(topology.GATEWAY_RENDERS) == 0


async def test_a_stopping_service_gives_back_what_works_and_what_waits_without_counting_a_try(neighbours):
    neighbours.model.hold()
    async with neighbours.service().running():
        await neighbours.ask(Lane.INTERACTIVE)
        await eventually(neighbours.renders_asked_of_the_model)
        await neighbours.ask(Lane.BATCH)

    for queue in (topology.GENERATOR_INTERACTIVE, topology.GENERATOR_BATCH):
        assert (await neighbours.next_in(queue)).try_count == 1
    assert neighbours.renders_asked_of_the_model() == 1


async def test_the_models_health_is_told_as_soon_as_the_service_runs(neighbours):
    async with neighbours.service().running():
        await eventually(
            lambda: [hint for hint in neighbours.hints if isinstance(hint, ModelHealth)], within_seconds=30
        )

    (report, *_) = [hint for hint in neighbours.hints if isinstance(hint, ModelHealth)]
    assert (report.model, report.is_available) == ("watched", True)


async def test_the_service_is_ready_whatever_its_model_does(neighbours):
    neighbours.model.hold()
    async with neighbours.service().running(), httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{neighbours.probes_port}/readyz")

    assert answer.json() == {"ready": True, "checks": {"broker": "ok", "work store": "ok"}}
