"""A real Triton server on the CPU with the product's model repository, for the session; and a small client for its protocol."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagetron_cli.embedded.triton import TritonPorts, command, is_ready, prepare, sweep
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from support.eventually import eventually_sync
from support.ports import free_port

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "deploy" / "triton" / "model_repository"
ENVIRONMENT = ROOT / ".venv" / "triton"

Inputs = dict[str, tuple[str, np.ndarray]]


@dataclass
class RunningTriton:
    """`address` is host:port of the gRPC endpoint."""

    ports: TritonPorts
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"


@contextmanager
def running_triton(folder: Path, repository: Path = REPOSITORY, models: tuple[str, ...] = ("preview",)) -> Iterator[RunningTriton]:
    """A server of one's own, with only `models` of the repository, stopped at the end whatever happened."""
    chosen = folder / "models"
    chosen.mkdir(parents=True, exist_ok=True)
    for model in models:
        if not (chosen / model).exists():
            (chosen / model).symlink_to(repository / model)
    ports = TritonPorts(grpc=free_port(), http=free_port(), metrics=free_port())
    arguments, variables = command(prepare(ENVIRONMENT, folder), chosen, ports)
    log = folder / f"triton-{ports.grpc}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        eventually_sync(lambda: process.poll() is not None or asyncio.run(is_ready(ports.grpc)), within_seconds=60, every_seconds=0.2)
        assert process.poll() is None, f"Triton did not start:\n{log.read_text()}"
        yield RunningTriton(ports, process, log)
    finally:
        _stop(process)
        sweep(ports)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def triton() -> Iterator[RunningTriton]:
    """Real Triton with the preview model, ready to paint."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-triton-"))
    try:
        with running_triton(folder) as server:
            yield server
    finally:
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
        tensors = []
        for name, (kind, value) in values.items():
            tensor = InferInput(name, [1, 1], kind)
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
