"""The upscaler as its clients see it: over gRPC, on a real Triton."""

import asyncio

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.triton import TritonImageModel
from imagetron_generator.domain.renders import RenderRequest, SourcePicture
from support.eventually import eventually

from .conftest import LOADS_WITHIN_SECONDS, serving

# More than one tile each way, and no multiple of any.
PICTURE = np.random.default_rng(3).integers(0, 256, (261, 402, 3), dtype=np.uint8)
PIECE = 104
"""So much fits into one tile. Its last two enlarged pixels miss their surroundings."""
ROUNDING = 1


def distance(one: np.ndarray, two: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - two.astype(int)).max())


async def test_a_picture_comes_back_larger_with_what_made_it(client):
    answer = await client.answer(PICTURE, 2)

    image = answer.as_numpy("IMAGE")
    assert (image.shape, image.dtype) == ((1, 522, 804, 3), np.uint8)
    assert image.std() > 10
    assert answer.as_numpy("FINGERPRINT")[0, 0].startswith(b"upscaler-1 twice@sha256:")
    assert answer.as_numpy("MODEL_SECONDS")[0, 0] > 0


async def test_the_same_picture_gives_the_same_bytes(client):
    first, second = [await client.enlarge(PICTURE) for _ in range(2)]

    assert first.tobytes() == second.tobytes()


async def test_no_tile_is_larger_than_the_network_takes_and_none_leaves_a_seam(client):
    # The network itself fails for views of more than 128 pixels, so what is larger came in tiles.
    whole = await client.enlarge(PICTURE)

    # Any piece of the picture, enlarged in one view, is in the whole what it is alone.
    for top, left in [(0, 0), (60, 80), (120, 240), (157, 298)]:
        alone = await client.enlarge(PICTURE[top : top + PIECE, left : left + PIECE])
        kept = slice(4, 2 * PIECE - 4)
        there = whole[2 * top : 2 * (top + PIECE), 2 * left : 2 * (left + PIECE)]
        assert distance(alone[kept, kept], there[kept, kept]) <= ROUNDING


@pytest.mark.parametrize("scale", [3, 4])
async def test_other_factors_than_the_networks_are_served(client, scale):
    assert (await client.enlarge(PICTURE, scale)).shape == (261 * scale, 402 * scale, 3)


@pytest.mark.parametrize(
    ("image", "scale", "says"),
    [
        (PICTURE, 0, "SCALE is 0"),
        (PICTURE, 1, "SCALE is 1"),
        (PICTURE, 9, "SCALE is 9"),
        (np.zeros((1, 4097, 3), np.uint8), 2, "IMAGE is 4097x1"),
    ],
)
async def test_a_wrong_request_is_refused_by_name_and_the_next_one_is_served(client, image, scale, says):
    text = await client.refusal(image, scale)

    assert text.startswith("INVALID_ARGUMENT: ")
    assert says in text
    assert (await client.enlarge(PICTURE[:8, :8])).shape == (16, 16, 3)


async def test_what_is_no_picture_is_refused(client):
    with pytest.raises(InferenceServerException, match="IMAGE"):
        await client.enlarge(np.zeros((8, 8, 4), np.uint8))


async def test_a_caller_who_leaves_ends_the_work(client, upscaler):
    before = await client.compute_seconds()
    await client.enlarge(np.zeros((1024, 1024, 3), np.uint8))
    sixteenth = await client.compute_seconds() - before
    leaving = client.stream(np.zeros((4096, 4096, 3), np.uint8))
    reading = asyncio.ensure_future(anext(aiter(leaving)))
    behind = [asyncio.ensure_future(client.enlarge(PICTURE[:8, :8]))]

    async def is_at_work() -> bool:
        # The large picture takes longer to arrive than a small one.
        if behind[-1].done():
            behind.append(asyncio.ensure_future(client.enlarge(PICTURE[:8, :8])))
        return await client.waiting(upscaler) > 0

    await eventually(is_at_work, within_seconds=30, every_seconds=0.02)
    leaving.cancel()

    assert {image.shape for image in await asyncio.gather(*behind)} == {(16, 16, 3)}
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await client.compute_seconds() - before - sixteenth < 8 * sixteenth


async def test_the_products_own_adapter_speaks_to_it(upscaler):
    height, width, _ = PICTURE.shape
    request = RenderRequest(
        model="upscaler",
        prompt="",
        negative_prompt="",
        seed=0,
        size=Dimensions(width=2 * width, height=2 * height),
        steps=1,
        guidance_scale=0,
        verb=Verb.UPSCALE,
        source=SourcePicture(PICTURE.tobytes(), Dimensions(width=width, height=height)),
    )
    model = TritonImageModel(upscaler.address)

    try:
        rendered = await model.render(request, lambda _step, _steps: None, deadline_seconds=30)
    finally:
        await model.close()

    assert (rendered.size, len(rendered.pixels)) == (request.size, 4 * PICTURE.size)
    assert rendered.gpu_seconds is not None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "UPSCALER_WEIGHTS is not set"),
        ({"UPSCALER_WEIGHTS": "/nowhere/x4.safetensors"}, "there is no such file"),
    ],
)
async def test_without_weights_it_does_not_load_and_says_why(settings, says):
    with serving(settings) as server:
        await eventually(
            lambda: server.process.poll() is not None, within_seconds=LOADS_WITHIN_SECONDS, every_seconds=0.2
        )

        assert says in server.log.read_text()
