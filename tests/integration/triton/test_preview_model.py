"""The preview model as its clients see it: over gRPC, on a real Triton."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from imagetron_cli.embedded.triton import is_ready
from support.eventually import eventually
from support.ports import free_port
from support.triton import PreviewOrder, RunningTriton, ask, painted, running_triton

BUCKETS = [(1024, 1024), (1344, 768), (768, 1344), (1536, 640)]

# Both instances work on such a picture for seconds: long enough to queue others behind it.
HUGE = PreviewOrder(width=4096, height=4096, steps=150)


@pytest.fixture
async def client(triton: RunningTriton):
    async with InferenceServerClient(triton.address) as connected:
        yield connected


@asynccontextmanager
async def occupied(client: InferenceServerClient):
    """Both instances at work, until the block ends or cancels the streams itself; then again a server that is free."""
    streams = []
    try:
        # One after the other: two that come at once may share a batch, and with it an instance.
        for _ in range(2):
            streams.append(ask(client, HUGE))
            await anext(aiter(streams[-1]))
        yield streams
    finally:
        cancel(streams)
        await eventually(lambda: paints(client))


def cancel(streams: list[Any]) -> None:
    for stream in streams:
        stream.cancel()


async def paints(client: InferenceServerClient) -> bool:
    """False while the cancelled still fill the queue: Triton drops them only as its instances come free."""
    try:
        await painted(client, PreviewOrder(width=64, height=64, steps=1))
    except InferenceServerException:
        return False
    return True


async def refusal(client: InferenceServerClient, order: PreviewOrder, **options) -> str:
    with pytest.raises(InferenceServerException) as refused:
        await painted(client, order, **options)
    return str(refused.value.message())


async def painted_in_one_batch(client: InferenceServerClient, orders: list[PreviewOrder]) -> list[Any]:
    """What each order got (an answer or its error), queued together while both instances were at work."""
    async with occupied(client) as blockers:
        waiting = [asyncio.ensure_future(painted(client, order)) for order in orders]
        # The blockers' next steps come only after the server has taken in what was sent before them.
        await asyncio.gather(*(anext(aiter(blocker)) for blocker in blockers))
        cancel(blockers)
        return await asyncio.gather(*waiting, return_exceptions=True)


async def executions(client: InferenceServerClient) -> tuple[int, int, dict[int, int]]:
    statistics = (await client.get_inference_statistics("preview", as_json=True))["model_stats"][0]
    sizes = {int(item["batch_size"]): int(item["compute_infer"]["count"]) for item in statistics.get("batch_stats", [])}
    return int(statistics.get("inference_count", 0)), int(statistics.get("execution_count", 0)), sizes


async def test_progress_arrives_step_by_step_before_the_picture(client):
    answer = await painted(client, PreviewOrder(steps=6))

    assert answer.steps == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6)]
    assert answer.image.shape == (256, 256, 3)
    assert answer.image.dtype == np.uint8


async def test_progress_arrives_while_the_picture_is_still_being_painted(client):
    stream = ask(client, PreviewOrder(width=2048, height=2048, steps=60))
    started = time.monotonic()
    arrivals = [time.monotonic() - started async for _ in stream]

    # A server that kept them until the end would send all at once.
    assert arrivals[0] < arrivals[-1] * 0.75
    assert len(arrivals) == 60


async def test_the_fingerprint_names_the_model_and_numpy(client):
    answer = await painted(client, PreviewOrder())

    assert answer.fingerprint.startswith("preview-")
    assert " numpy-1." in answer.fingerprint


async def test_the_same_order_gives_the_same_bytes(client):
    first, second = [await painted(client, PreviewOrder()) for _ in range(2)]

    assert first.image.tobytes() == second.image.tobytes()


async def test_a_batch_of_different_orders_gives_each_the_bytes_it_gets_alone(client):
    orders = [
        PreviewOrder(),
        PreviewOrder(seed=8, width=320),
        PreviewOrder(prompt="a cat", steps=9),
        PreviewOrder(guidance=12.0),
        PreviewOrder(negative_prompt="clouds"),
    ]
    alone = [await painted(client, order) for order in orders]
    _, _, sizes_before = await executions(client)

    together = await painted_in_one_batch(client, orders)

    assert [a.image.tobytes() for a in together] == [a.image.tobytes() for a in alone]

    async def shared_an_execution() -> bool:
        _, _, sizes_after = await executions(client)
        return any(sizes_after[size] > sizes_before.get(size, 0) for size in sizes_after if size > 1)

    await eventually(shared_an_execution)


async def test_the_same_order_gives_the_same_bytes_after_a_restart(client, tmp_path: Path):
    before = await painted(client, PreviewOrder())

    async with running_triton(tmp_path) as restarted, InferenceServerClient(restarted.address) as other:
        after = await painted(other, PreviewOrder())

    assert before.image.tobytes() == after.image.tobytes()


@pytest.mark.parametrize(
    "other",
    [PreviewOrder(seed=8), PreviewOrder(prompt="a cabin in a snowy forest at night"), PreviewOrder(seed=2**63 - 1)],
    ids=["seed", "prompt", "largest seed"],
)
async def test_another_seed_or_prompt_gives_a_clearly_different_picture(client, other):
    one, two = await painted(client, PreviewOrder()), await painted(client, other)

    # 12 of 255 on average over all pixels: the two do not merely differ in noise.
    assert np.abs(one.image.astype(int) - two.image.astype(int)).mean() > 12


@pytest.mark.parametrize(("width", "height"), BUCKETS)
async def test_every_native_bucket_has_its_exact_size_crisp_edges_and_a_subject_on_a_third(client, width, height):
    prompt = "a sailing boat on the ocean, bright day"
    answer = await painted(client, PreviewOrder(prompt=prompt, width=width, height=height, steps=30))

    assert answer.image.shape == (height, width, 3)
    image = answer.image.astype(int)
    steps_between_neighbours = np.abs(np.diff(image.sum(axis=2), axis=1)) / 3
    assert (steps_between_neighbours > 60).sum() > 300
    # The subject alone wears the accent colour, a red that neither sky nor water has.
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    rows, columns = np.nonzero((red > 130) & (red > 1.9 * green) & (red > 1.9 * blue))
    assert 0.004 < len(columns) / (width * height) < 0.2
    assert min(abs(columns.mean() / width - third) for third in (1 / 3, 2 / 3)) < 0.12
    assert 0.2 < rows.mean() / height < 0.8


async def test_cancelling_stops_the_model_within_a_step(client):
    order = PreviewOrder(width=3072, height=3072, steps=150)
    started = time.monotonic()
    await asyncio.gather(painted(client, order), painted(client, replace(order, seed=8)))
    uncancelled_seconds = time.monotonic() - started

    # The largest of the 150 steps is a quarter of the work. A busy machine may disturb one try, not each of them.
    shares = [await cancelled_seconds(client, order) / uncancelled_seconds for _ in range(3)]
    assert min(shares) < 0.6


async def cancelled_seconds(client: InferenceServerClient, order: PreviewOrder) -> float:
    """From two orders that keep both instances busy, cancelled after their first step, to the next order's picture."""
    started = time.monotonic()
    streams = [ask(client, order), ask(client, replace(order, seed=8))]
    await asyncio.gather(*(anext(aiter(stream)) for stream in streams))
    cancel(streams)
    await painted(client, PreviewOrder(width=64, height=64, steps=1))
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (PreviewOrder(width=63), "INVALID_ARGUMENT: WIDTH is 63; it must be a multiple of 8 from 64 to 4096."),
        (PreviewOrder(height=4104), "INVALID_ARGUMENT: HEIGHT is 4104; it must be a multiple of 8 from 64 to 4096."),
        (PreviewOrder(prompt=""), "INVALID_ARGUMENT: PROMPT is empty; it must say what to paint."),
        (PreviewOrder(steps=0), "INVALID_ARGUMENT: STEPS is 0; it must be between 1 and 150."),
        (PreviewOrder(seed=-1), "INVALID_ARGUMENT: SEED is -1; it must be between 0 and 9223372036854775807."),
    ],
)
async def test_a_bad_order_is_refused_with_its_own_sentence(client, order, sentence):
    assert await refusal(client, order) == sentence


async def test_the_batch_mates_of_a_bad_order_are_painted(client):
    orders = [
        PreviewOrder(),
        PreviewOrder(width=63),
        PreviewOrder(seed=9),
        PreviewOrder(prompt=""),
        PreviewOrder(seed=10),
    ]

    answers = await painted_in_one_batch(client, orders)

    assert [isinstance(answer, InferenceServerException) for answer in answers] == [False, True, False, True, False]


async def test_a_request_that_waited_longer_than_its_timeout_is_rejected(client):
    async with occupied(client) as blockers:
        waiting = asyncio.ensure_future(refusal(client, PreviewOrder(), timeout=1_000))
        # Triton looks at timeouts when an instance comes free.
        await asyncio.gather(*(anext(aiter(blocker)) for blocker in blockers))
        cancel(blockers)

        assert "Request timeout expired" in await waiting


async def test_a_full_queue_rejects_at_once(client):
    async def outcome(stream) -> str:
        async for _, error in stream:
            if error is not None:
                return str(error.message())
        return "painted"

    async with occupied(client):
        # 64 may wait; whatever exceeds that is turned away: in the time of a test, not in the five minutes of the queue.
        streams = [ask(client, HUGE) for _ in range(80)]
        answers = [asyncio.ensure_future(outcome(stream)) for stream in streams]
        done, _ = await asyncio.wait(answers, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        cancel(streams)
        await asyncio.gather(*answers, return_exceptions=True)

    assert done
    assert all("Exceeds maximum queue size" in answer.result() for answer in done)


async def test_concurrent_equal_requests_share_executions(client):
    requests_before, executions_before, _ = await executions(client)

    order = PreviewOrder(width=512, height=512, steps=12)
    answers = await asyncio.gather(*(painted(client, order) for _ in range(14)))

    assert len({answer.image.tobytes() for answer in answers}) == 1

    async def shared() -> bool:
        """Triton counts a little after it answers."""
        requests_after, executions_after, _ = await executions(client)
        requests = requests_after - requests_before
        return requests >= 14 and executions_after - executions_before < requests

    await eventually(shared)


async def test_the_server_is_ready_when_it_paints_and_not_where_nothing_listens(triton):
    assert await is_ready(triton.ports.grpc)
    assert not await is_ready(free_port(), within_seconds=1)
