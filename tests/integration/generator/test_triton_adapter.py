"""The adapter against a real Triton server with the preview model."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.ports import ModelRefused, ModelTimedOut, ModelUnavailable, QueueFull
from integration.generator.relay import relay
from support.eventually import eventually
from support.ports import free_port

CANARY = "CANARY-beach-at-dawn"
INSTANCES = 2
# Takes an instance many seconds, each step a small part of one.
LONG = {"size": Dimensions(width=4096, height=4096), "steps": 150}
SOON_SECONDS = 2


def a_render(**changes: object) -> RenderRequest:
    values = {
        "model": "preview",
        "prompt": CANARY,
        "negative_prompt": f"{CANARY} blurred",
        "seed": 7,
        "size": Dimensions(width=256, height=192),
        "steps": 6,
        "guidance_scale": 7.0,
    }
    return RenderRequest(**{**values, **changes})  # type: ignore[arg-type]


class Steps(list[tuple[int, int]]):
    def __call__(self, step: int, steps: int) -> None:
        self.append((step, steps))


@pytest.fixture
async def model(triton) -> AsyncIterator[TritonImageModel]:
    adapter = TritonImageModel(triton.address)
    yield adapter
    await adapter.close()


async def test_a_variation_begins_with_its_source_and_goes_as_far_as_its_strength(model: TritonImageModel):
    size = Dimensions(width=256, height=192)
    source = SourcePicture(bytes((10, 200, 30)) * (256 * 192), size)

    async def varied(strength: float) -> Rendered:
        return await model.render(a_render(source=source, strength=strength), Steps(), deadline_seconds=20)

    nothing, half, all_of_it = [await varied(strength) for strength in (0.0, 0.5, 1.0)]
    painted = await model.render(a_render(), Steps(), deadline_seconds=20)

    assert nothing.pixels == source.pixels
    assert half.pixels not in {nothing.pixels, painted.pixels}
    assert all_of_it.pixels == painted.pixels


async def keep_busy(model: TritonImageModel, *, deadline_seconds: float) -> list[asyncio.Task[Rendered]]:
    """Long calls, one in each instance. One after the other: two that come at once may share a batch."""
    return [await begun(model, deadline_seconds=deadline_seconds) for _ in range(INSTANCES)]


async def begun(model: TritonImageModel, *, deadline_seconds: float) -> asyncio.Task[Rendered]:
    """A long call whose first step is done."""
    steps = Steps()
    call = asyncio.create_task(model.render(a_render(**LONG), steps, deadline_seconds=deadline_seconds))
    await eventually(lambda: steps)
    return call


async def test_the_model_gives_a_picture_of_the_size_asked_for_and_says_what_made_it(model):
    rendered = await model.render(a_render(), Steps(), deadline_seconds=20)

    assert (rendered.size.width, rendered.size.height) == (256, 192)
    assert len(rendered.pixels) == 256 * 192 * 3
    assert rendered.fingerprint.startswith("preview-")


async def test_every_step_is_told_in_order(model):
    steps = Steps()

    await model.render(a_render(steps=5), steps, deadline_seconds=20)

    assert steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


async def test_equal_requests_give_equal_bytes_and_another_seed_gives_others(model):
    first, again, other = [
        (await model.render(a_render(seed=seed), Steps(), deadline_seconds=20)).pixels for seed in (7, 7, 8)
    ]

    assert first == again
    assert first != other


async def test_several_calls_at_once_are_answered_each_with_its_own_picture(model):
    alone = [await model.render(a_render(seed=seed), Steps(), deadline_seconds=20) for seed in range(4)]

    together = await asyncio.gather(
        *(model.render(a_render(seed=seed), Steps(), deadline_seconds=20) for seed in range(4))
    )

    assert [rendered.pixels for rendered in together] == [rendered.pixels for rendered in alone]


async def test_cancelling_the_calls_stops_the_model(model):
    # A busy machine may disturb one try, not each of them.
    answered = [await _answers_soon_after_cancelling(model) for _ in range(3)]

    assert any(answered)


async def _answers_soon_after_cancelling(model: TritonImageModel) -> bool:
    calls = await keep_busy(model, deadline_seconds=60)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls)
    try:
        await model.render(a_render(), Steps(), deadline_seconds=SOON_SECONDS)
    except ModelTimedOut:
        return False
    return True


async def test_a_call_ends_at_its_deadline_without_a_word_of_the_prompt(model):
    calls = [model.render(a_render(**LONG, seed=seed), Steps(), deadline_seconds=1) for seed in range(INSTANCES)]

    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in errors] == [ModelTimedOut] * INSTANCES
    assert CANARY not in str(errors)
    await model.render(a_render(), Steps(), deadline_seconds=20)


async def test_what_the_model_does_not_take_is_refused_without_a_word_of_the_prompt(model):
    with pytest.raises(ModelRefused, match="3x3") as caught:
        await model.render(a_render(size=Dimensions(width=3, height=3)), Steps(), deadline_seconds=20)

    assert CANARY not in str(caught.value)


async def test_a_model_that_is_not_loaded_may_come(model):
    with pytest.raises(ModelUnavailable, match="sdxl-of-tomorrow"):
        await model.render(a_render(model="sdxl-of-tomorrow"), Steps(), deadline_seconds=20)


async def test_a_full_queue_is_told_apart_from_a_failure(model):
    # 64 may wait: config.pbtxt.
    calls = [
        asyncio.create_task(model.render(a_render(**LONG, seed=seed), Steps(), deadline_seconds=10))
        for seed in range(90)
    ]
    await eventually(lambda: sum(call.done() for call in calls) >= 5, within_seconds=30)
    ended = [call for call in calls if call.done()]
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    # Triton drops what was cancelled only as its instances come free.
    await eventually(lambda: _answers(model), within_seconds=30, every_seconds=0.2)

    assert {type(call.exception()) for call in ended} == {QueueFull}


async def test_a_server_that_is_not_there_is_noticed_at_once():
    model = TritonImageModel(f"127.0.0.1:{free_port()}")
    began_at = time.monotonic()

    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await model.render(a_render(), Steps(), deadline_seconds=20)

    assert time.monotonic() - began_at < 15
    await model.close()


async def test_a_server_that_goes_in_the_middle_is_noticed_and_used_again_when_it_is_back(triton):
    async with relay(triton.address) as between:
        await between.open()
        model = TritonImageModel(between.address)
        rendering = await begun(model, deadline_seconds=30)

        await between.close()
        with pytest.raises(ModelUnavailable):
            await rendering

        await between.open()
        await eventually(lambda: _answers(model), within_seconds=30, every_seconds=0.2)
        await model.close()


async def _answers(model: TritonImageModel) -> bool:
    try:
        await model.render(a_render(), Steps(), deadline_seconds=5)
    except (ModelUnavailable, QueueFull):
        return False
    return True
