"""The adapter against a real Triton server whose models have more inputs than the preview's: checkpoints, sources, factors."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.triton import ModelNotLoaded, TritonImageModel
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelOutOfMemory,
    ModelRefused,
    ModelUnavailable,
)
from support import triton as server
from support.eventually import eventually

MODELS = Path(__file__).parent / "mirror_models"
SIZE = Dimensions(width=8, height=4)
SOURCE = SourcePicture(bytes(range(96)), SIZE)
PICTURE = RenderRequest(
    model="mirror/photorealistic",
    prompt="a beach",
    negative_prompt="",
    seed=7,
    size=SIZE,
    steps=2,
    guidance_scale=7,
)
UPSCALING = replace(PICTURE, model="upscaler", verb=Verb.UPSCALE, source=SOURCE, size=Dimensions(width=24, height=12))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="imagetron-mirror-") as folder:
        running = server.start(Path(folder), MODELS, ("mirror", "upscaler"))
        try:
            asyncio.run(_until_it_answers(running.address))
            yield running.address
        finally:
            server.stop(running)


async def _until_it_answers(address: str) -> None:
    model = TritonImageModel(address)

    async def answers() -> bool:
        try:
            await rendered(model, UPSCALING)
        except ModelUnavailable:
            return False
        return True

    await eventually(answers, within_seconds=60, every_seconds=0.1)
    await model.close()


@pytest.fixture
async def model(address) -> AsyncIterator[TritonImageModel]:
    adapter = TritonImageModel(address)
    yield adapter
    await adapter.close()


async def rendered(model: TritonImageModel, request: RenderRequest) -> Rendered:
    return await model.render(request, lambda _step, _steps: None, deadline_seconds=20)


async def test_the_checkpoint_after_the_slash_is_sent_and_the_scheduler_is_left_to_it(model):
    told = json.loads((await rendered(model, PICTURE)).fingerprint)

    assert told == {"checkpoint": "photorealistic", "scheduler": "", "source": None, "strength": None}


async def test_a_source_is_sent_as_it_is_with_its_strength(model):
    made = await rendered(model, replace(PICTURE, verb=Verb.VARY, source=SOURCE, strength=0.25))

    told = json.loads(made.fingerprint)
    assert (told["source"], told["strength"]) == ([1, 4, 8, 3], 0.25)
    assert (made.pixels, made.size) == (SOURCE.pixels, SIZE)


async def test_the_seconds_that_the_device_worked_are_the_models_own(model):
    assert (await rendered(model, PICTURE)).gpu_seconds == 1.5


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("CONTENT_FILTERED: a classifier withholds it", ContentFiltered),
        ("UNAVAILABLE: the checkpoint is not on this server", ModelUnavailable),
        ("RESOURCE_EXHAUSTED: too big", ModelOutOfMemory),
        ("INVALID_ARGUMENT: CHECKPOINT is no name", ModelRefused),
        ("INTERNAL: a bug", ModelFailed),
        ("sunset: a beach", ModelFailed),
    ],
)
async def test_each_word_for_an_error_is_understood_and_its_sentence_goes_no_further(model, text, error):
    with pytest.raises(ChassisError) as caught:
        await rendered(model, replace(PICTURE, prompt=text))

    assert type(caught.value) is error
    assert text.partition(":")[2] not in str(caught.value)


async def test_an_upscaling_sends_the_picture_and_the_factor_and_tells_of_its_end(model):
    steps = []

    made = await model.render(UPSCALING, lambda step, of: steps.append((step, of)), deadline_seconds=20)

    assert (made.size, made.fingerprint, steps) == (UPSCALING.size, "repeats pixels", [(1, 1)])
    assert made.pixels[:9] == SOURCE.pixels[:3] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"size": Dimensions(width=20, height=10)},
        {"size": Dimensions(width=16, height=12)},
        {"size": Dimensions(width=4, height=2)},
        {"source": None},
    ],
)
async def test_what_is_no_whole_factor_of_a_picture_is_refused(model, changes):
    with pytest.raises(ModelRefused, match="upscaler"):
        await rendered(model, replace(UPSCALING, **changes))


async def test_an_upscaling_of_another_size_than_asked_for_is_no_upscaling(model):
    flat = SourcePicture(bytes(24), Dimensions(width=8, height=1))

    with pytest.raises(ModelFailed, match="16x2"):
        await rendered(model, replace(UPSCALING, source=flat, size=Dimensions(width=16, height=2)))


@pytest.mark.parametrize("request_", [replace(PICTURE, model="sdxl/anime"), replace(UPSCALING, model="enlarger")])
async def test_a_model_that_the_server_does_not_have_is_told_apart_from_a_server_that_is_away(model, request_):
    with pytest.raises(ModelNotLoaded, match=request_.model):
        await rendered(model, request_)
