from imagetron_contracts.stages import ModelHealth
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.ports import ModelUnavailable
from imagetron_generator.usecases.model_health import report_model_health
from imagetron_generator.usecases.pulse import Pulse
from unit.generator.bench import Bench


async def report(bench: Bench, *models: str) -> None:
    pulse = Pulse(bench.model, bench.timer)
    await report_model_health(
        models,
        reporter="here-1",
        model=pulse,
        stepped_at=pulse.stepped_at,
        announce=bench.announce,
        clock=bench.clock,
        timer=bench.timer,
    )


async def test_each_model_is_tried_with_a_small_picture():
    bench = Bench()

    await report(bench, "preview", "sdxl")

    assert [(request.model, str(request.size), request.steps) for request in bench.model.requests] == [
        ("preview", "128x128", 2),
        ("sdxl", "128x128", 2),
    ]


async def test_a_model_that_answers_is_reported_with_its_time():
    class TakesTwoSeconds(InMemoryImageModel):
        async def render(self, *args, **options):
            bench.seconds += 2
            return await super().render(*args, **options)

    bench = Bench(model=TakesTwoSeconds())

    await report(bench, "preview")

    assert bench.said == [
        ModelHealth(
            reporter="here-1",
            model="preview",
            is_available=True,
            response_seconds=2,
            checked_at=bench.clock.now(),
        )
    ]


async def test_a_model_that_fails_is_reported_with_the_reason_and_the_others_are_not_touched():
    bench = Bench(model=InMemoryImageModel(ModelUnavailable("the model sdxl cannot be called now")))

    await report(bench, "sdxl", "preview")

    assert [(health.model, health.is_available, health.error) for health in bench.heard(ModelHealth)] == [
        ("sdxl", False, "the model sdxl cannot be called now"),
        ("preview", True, None),
    ]
