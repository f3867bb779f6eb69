"""Image-to-image of the preview model, over gRPC: what makes variations work on a machine without weights."""

import asyncio

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from support.triton import PreviewOrder, painted, running_triton

SOURCE = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


@pytest.fixture
async def client(tmp_path):
    async with running_triton(tmp_path) as server, InferenceServerClient(server.address) as connection:
        yield connection


async def test_a_variation_lies_between_its_source_and_the_painting(client):
    painting = (await painted(client, PreviewOrder())).image
    none, some, full = [
        (await painted(client, PreviewOrder(source=SOURCE, strength=strength))).image for strength in (0.0, 0.5, 1.0)
    ]

    assert none.tobytes() == SOURCE.tobytes()
    assert full.tobytes() == painting.tobytes()
    assert np.abs(2 * some.astype(int) - SOURCE - painting).max() <= 1


async def test_variations_of_sources_of_any_size_and_pictures_without_are_painted_at_once(client):
    orders = [
        PreviewOrder(),
        PreviewOrder(source=SOURCE),
        PreviewOrder(source=SOURCE[:100]),
        PreviewOrder(source=SOURCE[:, :30], width=512),
    ]
    alone = [await painted(client, order) for order in orders]

    together = await asyncio.gather(*(painted(client, order) for order in orders * 3))

    assert [made.image.tobytes() for made in together] == [made.image.tobytes() for made in alone] * 3
    assert {made.fingerprint for made in together} == {alone[0].fingerprint}


async def test_a_source_of_no_use_is_refused(client):
    with pytest.raises(InferenceServerException, match=r"INVALID_ARGUMENT: STRENGTH is 1\.5"):
        await painted(client, PreviewOrder(source=SOURCE, strength=1.5))
