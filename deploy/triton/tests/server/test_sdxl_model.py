"""The sdxl model as its clients see it: over gRPC, on a real Triton."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from support.eventually import eventually

from .conftest import Client, SdxlOrder

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def distance(one: np.ndarray, two: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - two.astype(int)).max())


async def test_progress_arrives_step_by_step_and_the_pictures_with_the_last_one(client):
    made = await client.make(SdxlOrder(seeds=(1, 2), steps=5))

    assert made.steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert made.images.shape == (2, 64, 96, 3)
    assert made.images.dtype == np.uint8
    assert made.model_seconds > 0


async def test_the_same_order_gives_the_same_bytes(client):
    first, second = [await client.make(SdxlOrder()) for _ in range(2)]

    assert first.images.tobytes() == second.images.tobytes()
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint.startswith("sdxl-1 one@sha256:")


async def test_equal_requests_run_as_one_batch_and_each_gets_what_it_gets_alone(client):
    orders = [SdxlOrder(seeds=(seed,)) for seed in range(4)]
    alone = [await client.make(order) for order in orders]
    before = await client.executions()

    together = await client.in_one_batch(orders)

    assert max(distance(a.images, b.images) for a, b in zip(alone, together, strict=True)) <= 1

    # Triton counts a little after it answers.
    await eventually(lambda: grew(client, before, 4))


async def test_orders_of_different_sizes_and_kinds_in_one_batch_do_not_disturb_each_other(client):
    orders = [
        SdxlOrder(),
        SdxlOrder(width=128),
        SdxlOrder(seeds=(7, 8, 9)),
        SdxlOrder(guidance=0.0),
        SdxlOrder(checkpoint="two"),
        SdxlOrder(scheduler="dpm++2m-karras", steps=6),
    ]
    alone = [await client.make(order) for order in orders]

    together = await client.in_one_batch(orders)

    assert [made.images.shape for made in together] == [made.images.shape for made in alone]
    assert max(distance(a.images, b.images) for a, b in zip(alone, together, strict=True)) <= 1


async def test_several_images_of_one_request_are_the_ones_that_their_seeds_give_alone(client):
    together = await client.make(SdxlOrder(seeds=(1, 2, 3)))
    alone = [await client.make(SdxlOrder(seeds=(seed,))) for seed in (1, 2, 3)]

    assert distance(together.images, np.concatenate([made.images for made in alone])) <= 1


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (SdxlOrder(width=63), "INVALID_ARGUMENT: WIDTH is 63; it must be a multiple of 8 from 64 to 4096."),
        (SdxlOrder(prompt=" "), "INVALID_ARGUMENT: PROMPT is empty; it must say what to paint."),
        (SdxlOrder(seeds=(-1,)), "INVALID_ARGUMENT: SEED is -1; it must be between 0 and 9223372036854775807."),
        (SdxlOrder(seeds=tuple(range(9))), "INVALID_ARGUMENT: SEED has 9 values; one for each image, 1 to 8."),
        (SdxlOrder(checkpoint="sd/../xl"), "INVALID_ARGUMENT: CHECKPOINT is 'sd/../xl'; a name has up to 64 letters"),
        (SdxlOrder(checkpoint="none"), "UNAVAILABLE: The checkpoint none is not on this server; there are: one, two."),
        (SdxlOrder(source=SOURCE, strength=2.0), "INVALID_ARGUMENT: STRENGTH is 2.0; it must be between 0 and 1."),
    ],
    ids=["width", "blank prompt", "seed", "too many images", "checkpoint's name", "unknown checkpoint", "strength"],
)
async def test_a_bad_order_is_refused_with_its_own_sentence(client, order, sentence):
    assert (await client.refusal(order)).startswith(sentence)


async def test_the_batch_mates_of_bad_orders_are_made(client):
    orders = [
        SdxlOrder(),
        SdxlOrder(checkpoint="none"),
        SdxlOrder(seeds=(8,)),
        SdxlOrder(width=63),
        SdxlOrder(prompt=" "),
        SdxlOrder(seeds=(9,)),
    ]

    answers = await client.in_one_batch(orders)

    assert [isinstance(answer, InferenceServerException) for answer in answers] == [
        False,
        True,
        False,
        True,
        True,
        False,
    ]


async def test_a_cancelled_request_leaves_the_batch_and_its_mate_gets_its_own_picture(client):
    long = SdxlOrder(width=256, height=256, steps=100)
    alone = await client.make(long)
    before = await client.executions()

    blocker = client.stream(long)
    await anext(aiter(blocker))
    mate = asyncio.ensure_future(client.make(long))
    gone = client.stream(replace(long, seeds=(8,)))
    for _ in range(3):
        await anext(aiter(blocker))
    blocker.cancel()
    # Both are under way, in one batch; then one of them goes.
    await anext(aiter(gone))
    gone.cancel()

    assert distance((await mate).images, alone.images) <= 1
    # Triton counts a little after it answers.
    await eventually(lambda: grew(client, before, 2))


async def test_cancelling_stops_the_model_within_a_step(client):
    order = SdxlOrder(width=256, height=256, steps=150)
    started = time.monotonic()
    await client.make(order)
    uncancelled_seconds = time.monotonic() - started

    # A step is less than a hundredth of the work. A busy machine may disturb one try, not each of them.
    shares = [await cancelled_seconds(client, order) / uncancelled_seconds for _ in range(3)]
    assert min(shares) < 0.5


async def cancelled_seconds(client: Client, order: SdxlOrder) -> float:
    """From an order that keeps the only instance busy, cancelled after its first step, to the next order's picture."""
    started = time.monotonic()
    stream = client.stream(order)
    await anext(aiter(stream))
    stream.cancel()
    await client.make(SdxlOrder(width=64, steps=1))
    return time.monotonic() - started


async def grew(client: Client, before: dict[int, int], size: int) -> bool:
    return (await client.executions()).get(size, 0) == before.get(size, 0) + 1


async def test_image_to_image_gives_the_source_back_without_strength_and_goes_further_with_more(client):
    made = [
        (await client.make(SdxlOrder(source=SOURCE, strength=strength, steps=10))).images[0]
        for strength in (0.01, 0.2, 1.0)
    ]

    far = [int(np.abs(SOURCE.astype(int) - picture).sum()) for picture in made]
    assert far[0] == 0
    assert far[1] > 0
    assert distance(made[1], made[2]) > 1


async def test_image_to_image_gives_the_same_bytes_for_the_same_inputs(client):
    order = SdxlOrder(source=SOURCE, strength=0.6, seeds=(3,))
    first, second = [await client.make(order) for _ in range(2)]

    assert first.images.tobytes() == second.images.tobytes()
    assert first.images.tobytes() != (await client.make(replace(order, seeds=(4,)))).images.tobytes()


async def test_sources_of_different_sizes_share_a_batch_with_pictures_that_have_none(client):
    orders = [SdxlOrder(), SdxlOrder(source=SOURCE), SdxlOrder(source=SOURCE[:, :64])]
    alone = [await client.make(order) for order in orders]

    together = await client.in_one_batch(orders)

    assert max(distance(a.images, b.images) for a, b in zip(alone, together, strict=True)) <= 1


async def test_an_order_without_a_checkpoint_is_answered_by_one_in_memory(client):
    """How health is asked for, without loading anything."""
    assert (await client.make(SdxlOrder(checkpoint=""))).images.shape == (1, 64, 96, 3)
