"""A real Triton on the CPU with the upscaler and a tiny network, and a small client for its protocol."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.grpc import InferInput, InferResult
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from support.eventually import eventually
from support.triton import RunningTriton, start, stop

ROOT = Path(__file__).parents[5]
ENVIRONMENT = ROOT / ".venv" / "sdxl"
LOADS_WITHIN_SECONDS = 90
"""Importing torch takes seconds, and several times that on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers are started inside of tests and their fixtures."""
    for item in items:
        item.add_marker(pytest.mark.timeout(3 * LOADS_WITHIN_SECONDS))


class Client:
    """One connection. `enlarge` waits for the picture and raises the model's error."""

    def __init__(self, connection: InferenceServerClient) -> None:
        self.connection = connection

    async def answer(self, image: np.ndarray, scale: int) -> InferResult:
        return await self.connection.infer("upscaler", _inputs(image, scale))

    async def enlarge(self, image: np.ndarray, scale: int = 2) -> np.ndarray:
        return (await self.answer(image, scale)).as_numpy("IMAGE")[0]

    def stream(self, image: np.ndarray, scale: int = 2) -> Any:
        """As the product asks: answers to a stream of one request."""

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": "upscaler", "inputs": _inputs(image, scale)}

        return self.connection.stream_infer(requests())

    async def waiting(self, server: RunningTriton) -> int:
        """How many requests are in the model's queue, those at work not counted."""
        async with httpx.AsyncClient() as http:
            said = (await http.get(f"http://127.0.0.1:{server.ports.metrics}/metrics")).text
        lines = [line for line in said.splitlines() if line.startswith("nv_inference_pending_request_count{")]
        return sum(int(float(line.split()[-1])) for line in lines)

    async def compute_seconds(self) -> float:
        """Spent in the model since the server started."""
        statistics = (await self.connection.get_inference_statistics("upscaler", as_json=True))["model_stats"][0]
        return int(statistics["inference_stats"]["compute_infer"].get("ns", 0)) / 1e9

    async def refusal(self, image: np.ndarray, scale: int = 2) -> str:
        async for _, error in self.stream(image, scale):
            assert error is not None, "it was not refused"
            return str(error.message())
        raise AssertionError("there was no answer")


def _inputs(image: np.ndarray, scale: int) -> list[InferInput]:
    picture = InferInput("IMAGE", [1, *image.shape], "UINT8")
    picture.set_data_from_numpy(image[np.newaxis])
    number = InferInput("SCALE", [1, 1], "INT32")
    number.set_data_from_numpy(np.array([[scale]], dtype=np.int32))
    return [picture, number]


@pytest.fixture(scope="session")
def networks() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="imagetron-networks-"))
    script = Path(__file__).parents[1] / "networks.py"
    subprocess.run([ENVIRONMENT / "bin" / "python", "-W", "ignore", script, folder], check=True, capture_output=True)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def serving(settings: Mapping[str, str]) -> Iterator[RunningTriton]:
    """A server with the upscaler alone; it does not answer yet."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-upscaler-"))
    fixed = {"UPSCALER_THREADS": "1"}
    server = start(folder, models=("upscaler",), environment=ENVIRONMENT, settings=fixed | dict(settings))
    try:
        yield server
    finally:
        stop(server)
        shutil.rmtree(folder, ignore_errors=True)


async def until_ready(server: RunningTriton) -> None:
    """Until the server says so: for this model, that means it has enlarged something."""

    async def has_ended_or_is_ready() -> bool:
        if server.process.poll() is not None:
            return True
        try:
            async with InferenceServerClient(server.address) as client:
                return bool(await client.is_model_ready("upscaler"))
        except InferenceServerException:
            return False

    await eventually(has_ended_or_is_ready, within_seconds=LOADS_WITHIN_SECONDS, every_seconds=0.2)
    assert server.process.poll() is None, f"Triton did not start:\n{server.log.read_text()}"


@pytest.fixture(scope="session")
def upscaler(networks) -> Iterator[RunningTriton]:
    """Tiles of 112 pixels that see 8 more on each side: 128, which is all that the network takes."""
    settings = {"UPSCALER_WEIGHTS": str(networks / "twice.pt"), "UPSCALER_TILE": "112", "UPSCALER_OVERLAP": "8"}
    with serving(settings) as server:
        asyncio.run(until_ready(server))
        yield server


@pytest.fixture
async def client(upscaler) -> AsyncIterator[Client]:
    async with InferenceServerClient(upscaler.address) as connection:
        yield Client(connection)
