"""A real Triton server on the CPU with the product's model repository, for the session; and a small client for its protocol."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from imagetron_cli.embedded.triton import TritonPorts, command, is_ready, prepare, sweep
from support.eventually import eventually
from support.ports import free_port

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "deploy" / "triton" / "model_repository"
ENVIRONMENT = ROOT / ".venv" / "triton"

Inputs = dict[str, tuple[str, np.ndarray]]


@dataclass
class RunningTriton:
    """`address` is host and port of the gRPC endpoint; the process leads a session of its own."""

    ports: TritonPorts
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"


def start(
    folder: Path,
    repository: Path = REPOSITORY,
    models: tuple[str, ...] = ("preview",),
    environment: Path = ENVIRONMENT,
    settings: Mapping[str, str] | None = None,
) -> RunningTriton:
    """A server process with only `models` of the repository; it does not answer yet. `settings` are variables for them."""
    chosen = folder / "models"
    chosen.mkdir(parents=True, exist_ok=True)
    for model in models:
        (chosen / model).symlink_to(repository / model)
    ports = TritonPorts(grpc=free_port(), http=free_port(), metrics=free_port())
    arguments, variables = command(prepare(environment, folder), chosen, ports, models)
    log = folder / "triton.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            env=variables | dict(settings or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return RunningTriton(ports, process, log)


async def until_it_paints(server: RunningTriton) -> None:
    async def has_ended_or_paints() -> bool:
        return server.process.poll() is not None or await is_ready(server.ports.grpc)

    await eventually(has_ended_or_paints, within_seconds=60, every_seconds=0.1)
    assert server.process.poll() is None, f"Triton did not start:\n{server.log.read_text()}"


def stop(server: RunningTriton, grace_seconds: float = 15) -> None:
    server.process.terminate()
    try:
        server.process.wait(timeout=grace_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=10)
    sweep(server.ports)


@asynccontextmanager
async def running_triton(folder: Path) -> AsyncIterator[RunningTriton]:
    """A server of a test's own."""
    server = start(folder)
    try:
        await until_it_paints(server)
        yield server
    finally:
        await asyncio.to_thread(stop, server)


@pytest.fixture(scope="session")
def triton() -> Iterator[RunningTriton]:
    """Real Triton with the preview model, ready to paint."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-triton-"))
    server = start(folder)
    try:
        asyncio.run(until_it_paints(server))
        yield server
    finally:
        stop(server)
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class PreviewOrder:
    prompt: str = "a sailing boat at sunset"
    negative_prompt: str = ""
    seed: int = 7
    width: int = 256
    height: int = 256
    steps: int = 4
    guidance: float = 7.0
    source: "np.ndarray | None" = field(default=None, compare=False)
    strength: float = 0.5

    def inputs(self) -> list[InferInput]:
        values: Inputs = {
            "PROMPT": ("BYTES", np.array([[self.prompt.encode()]], dtype=np.object_)),
            "NEGATIVE_PROMPT": ("BYTES", np.array([[self.negative_prompt.encode()]], dtype=np.object_)),
            "SEED": ("INT64", np.array([[self.seed]], dtype=np.int64)),
            "WIDTH": ("INT32", np.array([[self.width]], dtype=np.int32)),
            "HEIGHT": ("INT32", np.array([[self.height]], dtype=np.int32)),
            "STEPS": ("INT32", np.array([[self.steps]], dtype=np.int32)),
            "GUIDANCE": ("FP32", np.array([[self.guidance]], dtype=np.float32)),
        }
        if self.source is not None:
            values["SOURCE"] = ("UINT8", self.source[np.newaxis])
            values["STRENGTH"] = ("FP32", np.array([[self.strength]], dtype=np.float32))
        tensors = []
        for name, (kind, value) in values.items():
            tensor = InferInput(name, list(value.shape), kind)
            tensor.set_data_from_numpy(value)
            tensors.append(tensor)
        return tensors


@dataclass
class Answer:
    """Everything one stream said: the steps seen before the picture, then the picture and its fingerprint."""

    steps: list[tuple[int, int]] = field(default_factory=list)
    image: Any = None
    fingerprint: str = ""


def ask(client: InferenceServerClient, order: PreviewOrder, **options: Any) -> Any:
    """The stream of (result, error) of one order; `.cancel()` cancels it. Failures arrive as the error."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "preview", "inputs": order.inputs(), **options}

    return client.stream_infer(requests())


async def painted(client: InferenceServerClient, order: PreviewOrder, **options: Any) -> Answer:
    answer = Answer()
    async for result, error in ask(client, order, **options):
        if error is not None:
            raise error
        image = result.as_numpy("IMAGE")
        if image is None:
            answer.steps.append((int(result.as_numpy("STEP")[0, 0]), int(result.as_numpy("STEPS")[0, 0])))
            continue
        answer.image = image[0]
        answer.fingerprint = result.as_numpy("FINGERPRINT")[0, 0].decode()
    return answer
