"""A real Triton on the CPU with the sdxl model and tiny random weights, and a small client for its protocol."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from support.eventually import eventually
from support.triton import RunningTriton, start, stop

ROOT = Path(__file__).parents[4]
ENVIRONMENT = ROOT / ".venv" / "sdxl"
LOADS_WITHIN_SECONDS = 150
"""Importing torch and diffusers alone takes ten seconds, and several times that on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers are started inside of tests and their fixtures, some of them twice."""
    for item in items:
        item.add_marker(pytest.mark.timeout(3 * LOADS_WITHIN_SECONDS))


@dataclass(frozen=True)
class SdxlOrder:
    prompt: str = "a sailing boat at sunset"
    checkpoint: str = "one"
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (7,)
    width: int = 96
    height: int = 64
    steps: int = 4
    guidance: float = 7.0
    scheduler: str = ""
    source: "np.ndarray | None" = field(default=None, compare=False)
    strength: float = 0.5

    def inputs(self) -> list[InferInput]:
        tensors = [
            _text("CHECKPOINT", self.checkpoint),
            _text("PROMPT", self.prompt),
            _text("NEGATIVE_PROMPT", self.negative_prompt),
            _tensor("SEED", "INT64", np.array([self.seeds], dtype=np.int64)),
            _tensor("WIDTH", "INT32", np.array([[self.width]], dtype=np.int32)),
            _tensor("HEIGHT", "INT32", np.array([[self.height]], dtype=np.int32)),
            _tensor("STEPS", "INT32", np.array([[self.steps]], dtype=np.int32)),
            _tensor("GUIDANCE", "FP32", np.array([[self.guidance]], dtype=np.float32)),
            _text("SCHEDULER", self.scheduler),
        ]
        if self.source is not None:
            tensors.append(_tensor("SOURCE", "UINT8", self.source[np.newaxis]))
            tensors.append(_tensor("STRENGTH", "FP32", np.array([[self.strength]], dtype=np.float32)))
        return tensors


@dataclass
class Made:
    steps: list[tuple[int, int]] = field(default_factory=list)
    images: Any = None
    fingerprint: str = ""
    model_seconds: float = 0.0


class Client:
    """One connection. `make` waits for an order's pictures and raises its error, `stream` leaves reading to the test."""

    def __init__(self, connection: InferenceServerClient) -> None:
        self.connection = connection

    def stream(self, order: SdxlOrder) -> Any:
        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": "sdxl", "inputs": order.inputs()}

        return self.connection.stream_infer(requests())

    async def make(self, order: SdxlOrder) -> Made:
        made = Made()
        async for result, error in self.stream(order):
            if error is not None:
                raise error
            made.steps.append((int(result.as_numpy("STEP")[0, 0]), int(result.as_numpy("STEPS")[0, 0])))
            image = result.as_numpy("IMAGE")
            if image is not None:
                made.images = image[0]
                made.fingerprint = result.as_numpy("FINGERPRINT")[0, 0].decode()
                made.model_seconds = float(result.as_numpy("MODEL_SECONDS")[0, 0])
        return made

    async def refusal(self, order: SdxlOrder) -> str:
        with pytest.raises(InferenceServerException) as refused:
            await self.make(order)
        return str(refused.value.message())

    async def executions(self) -> dict[int, int]:
        """How many batches of each size the model was given."""
        statistics = (await self.connection.get_inference_statistics("sdxl", as_json=True))["model_stats"][0]
        return {
            int(item["batch_size"]): int(item["compute_infer"]["count"]) for item in statistics.get("batch_stats", [])
        }

    async def in_one_batch(self, orders: list[SdxlOrder]) -> list[Any]:
        """What each order got (its pictures or its error), queued together while the model was at work."""
        blocker = self.stream(SdxlOrder(width=256, height=256, steps=150))
        await anext(aiter(blocker))
        waiting = [asyncio.ensure_future(self.make(order)) for order in orders]
        # The blocker's next steps come only after the server has taken in what was sent before them.
        for _ in range(3):
            await anext(aiter(blocker))
        blocker.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)


def _text(name: str, value: str) -> InferInput:
    return _tensor(name, "BYTES", np.array([[value.encode()]], dtype=np.object_))


def _tensor(name: str, kind: str, value: np.ndarray) -> InferInput:
    tensor = InferInput(name, list(value.shape), kind)
    tensor.set_data_from_numpy(value)
    return tensor


@pytest.fixture(scope="session")
def checkpoints() -> Iterator[Path]:
    """The folder of `one` and `two`, which differ in their weights."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-checkpoints-"))
    subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-W", "ignore", ROOT / "scripts" / "make_tiny_sdxl.py", "one", "two"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    yield folder
    shutil.rmtree(folder)


@contextmanager
def serving(checkpoints: Path, settings: Mapping[str, str]) -> Iterator[RunningTriton]:
    """A server with the sdxl model alone; it does not answer yet."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-sdxl-"))
    fixed = {
        "SDXL_CHECKPOINTS": str(checkpoints),
        "SDXL_PRELOAD": "one",
        "SDXL_WARM_UP_SIZES": "64x64",
        "SDXL_THREADS": "1",
    }
    server = start(folder, models=("sdxl",), environment=ENVIRONMENT, settings=fixed | dict(settings))
    try:
        yield server
    finally:
        stop(server)
        shutil.rmtree(folder, ignore_errors=True)


async def until_ready(server: RunningTriton) -> None:
    """Until the server says so: for this model, that means it has made a picture."""

    async def has_ended_or_is_ready() -> bool:
        if server.process.poll() is not None:
            return True
        try:
            async with InferenceServerClient(server.address) as client:
                return bool(await client.is_model_ready("sdxl"))
        except InferenceServerException:
            return False

    await eventually(has_ended_or_is_ready, within_seconds=LOADS_WITHIN_SECONDS, every_seconds=0.2)
    assert server.process.poll() is None, f"Triton did not start:\n{server.log.read_text()}"


@pytest.fixture(scope="session")
def sdxl(checkpoints) -> Iterator[RunningTriton]:
    """The server that most tests share."""
    with serving(checkpoints, {}) as server:
        asyncio.run(until_ready(server))
        yield server


@pytest.fixture
async def client(sdxl) -> AsyncIterator[Client]:
    async with InferenceServerClient(sdxl.address) as connection:
        yield Client(connection)
