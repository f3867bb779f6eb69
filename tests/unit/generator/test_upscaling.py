"""Pictures that are enlarged without a model, or in place of one that is not loaded."""

from dataclasses import replace
from importlib.metadata import version

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.adapters.triton import ModelNotLoaded
from imagetron_generator.adapters.upscaling import LanczosUpscaler, UpscalerOrLanczos
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.ports import ImageModel, ModelRefused, ModelTimedOut, ModelUnavailable
from unit.generator.pictures import PlainPictures

SMALL = SourcePicture(bytes([9, 8, 7]) * 6, Dimensions(width=3, height=2))
UPSCALING = RenderRequest(
    model="upscaler",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=12, height=8),
    steps=1,
    guidance_scale=0,
    verb=Verb.UPSCALE,
    source=SMALL,
)


async def rendered(model: ImageModel, request: RenderRequest = UPSCALING, *, seconds: float = 9) -> Rendered:
    return await model.render(request, lambda _step, _steps: None, deadline_seconds=seconds)


async def test_the_filter_says_that_it_was_the_filter_and_used_no_gpu():
    steps = []

    made = await LanczosUpscaler(PlainPictures()).render(
        UPSCALING, lambda step, of: steps.append((step, of)), deadline_seconds=9
    )

    assert (made.served_by, made.fingerprint) == ("lanczos", f"lanczos pillow-{version('pillow')}")
    assert (made.size, made.gpu_seconds, steps) == (UPSCALING.size, 0, [(1, 1)])


@pytest.mark.parametrize(
    "changes",
    [{"size": Dimensions(width=10, height=8)}, {"source": None}, {"verb": Verb.VARY}],
)
async def test_the_filter_does_nothing_but_enlarge_by_whole_factors(changes):
    with pytest.raises(ModelRefused):
        await rendered(LanczosUpscaler(PlainPictures()), replace(UPSCALING, **changes))


async def test_the_filter_has_a_deadline():
    pictures = PlainPictures()
    pictures.is_held = True

    with pytest.raises(ModelTimedOut):
        await rendered(LanczosUpscaler(pictures), seconds=0.01)


async def test_a_loaded_model_enlarges_and_one_that_is_not_loaded_leaves_it_to_the_filter():
    model = InMemoryImageModel(None, ModelNotLoaded("upscaler is not found"))
    either = UpscalerOrLanczos(model, LanczosUpscaler(PlainPictures()))

    made = [await rendered(either) for _ in range(2)]

    assert [picture.served_by for picture in made] == [None, "lanczos"]


@pytest.mark.parametrize(
    ("error", "verb"), [(ModelNotLoaded("not found"), Verb.IMAGINE), (ModelUnavailable("away"), Verb.UPSCALE)]
)
async def test_other_work_and_a_server_that_is_away_are_not_left_to_the_filter(error, verb):
    either = UpscalerOrLanczos(InMemoryImageModel(error), LanczosUpscaler(PlainPictures()))

    with pytest.raises(type(error)):
        await rendered(either, replace(UPSCALING, verb=verb))


async def test_closing_closes_the_model():
    model = InMemoryImageModel()
    model.hold()
    either = UpscalerOrLanczos(model, LanczosUpscaler(PlainPictures()))

    await either.close()

    await rendered(either)
