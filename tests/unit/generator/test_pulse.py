"""A model that is busy with real work is reported as available; one that hangs is not, and delays nobody's report."""

import asyncio

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import ModelFailed, ModelTimedOut, OnStep, QueueFull
from imagetron_generator.usecases.model_health import DEADLINE_SECONDS, report_model_health
from imagetron_generator.usecases.pulse import Pulse
from support.eventually import eventually
from unit.generator.bench import Bench

STEP = RenderRequest(
    model="sdxl",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    steps=1,
    guidance_scale=1,
)


async def reported(bench: Bench, pulse: Pulse, *models: str) -> None:
    await report_model_health(
        models,
        reporter="here-1",
        model=pulse,
        stepped_at=pulse.stepped_at,
        announce=bench.announce,
        clock=bench.clock,
        timer=bench.timer,
    )


@pytest.mark.parametrize(
    ("error", "seconds_ago", "is_available"),
    [
        (ModelTimedOut("late"), DEADLINE_SECONDS - 1, True),
        (QueueFull("full"), DEADLINE_SECONDS - 1, True),
        (ModelTimedOut("late"), DEADLINE_SECONDS, False),
        (ModelFailed("broken"), 1, False),
    ],
)
async def test_a_probe_that_waits_behind_work_that_goes_on_says_nothing_against_the_model(
    error: ChassisError, seconds_ago: float, *, is_available: bool
):
    class Refuses(InMemoryImageModel):
        async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
            if request == STEP:
                return await super().render(request, on_step, deadline_seconds=deadline_seconds)
            raise error

    bench = Bench()
    pulse = Pulse(Refuses(), bench.timer)
    await pulse.render(STEP, lambda _step, _steps: None, deadline_seconds=1)
    bench.seconds += seconds_ago

    await reported(bench, pulse, "sdxl")

    [health] = bench.heard(ModelHealth)
    assert (health.is_available, health.error) == (is_available, None if is_available else str(error))


async def test_a_model_that_hangs_does_not_delay_the_reports_of_the_others():
    class HangsForOne(InMemoryImageModel):
        async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
            if request.model == "sdxl":
                await asyncio.Event().wait()
            return await super().render(request, on_step, deadline_seconds=deadline_seconds)

    bench = Bench()
    reporting = asyncio.create_task(reported(bench, Pulse(HangsForOne(), bench.timer), "sdxl", "preview"))

    await eventually(lambda: [health.model for health in bench.heard(ModelHealth)] == ["preview"])
    reporting.cancel()
    await asyncio.wait([reporting])


async def test_closing_closes_the_model():
    model = InMemoryImageModel()
    pulse = Pulse(model, Bench().timer)
    model.hold()
    call = asyncio.create_task(pulse.render(STEP, lambda _step, _steps: None, deadline_seconds=1))
    await eventually(lambda: model.requests)

    await pulse.close()

    assert (await call).size == STEP.size
