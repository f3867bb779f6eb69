"""Asks a Triton server for pictures and says how long they took: the part that runs in the product's own environment.

One JSON object on standard input (see `server.py`), one JSON line on standard output for each round. Starts the server
of the wheel itself unless an address is given.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from grpc import RpcError
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

ROOT = Path(__file__).parents[2]
READY_EVERY_SECONDS = 0.5
STOP_SECONDS = 30.0


def main() -> None:
    # Whoever runs out of patience says so with SIGTERM: the server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(1))
    asked = json.load(sys.stdin)
    with served(asked) as address:
        try:
            asyncio.run(ask(address, asked))
        except (RpcError, InferenceServerException) as error:
            said = " ".join(str(error).split())
            raise SystemExit(f"the server at {address} does not answer: {said[:200]}") from None


@contextmanager
def served(asked: dict[str, Any]) -> Iterator[str]:
    """The address of a server with the `sdxl` model: the one given, or one started here on free ports."""
    if asked["address"]:
        yield asked["address"]
        return
    # Only here: with an address nothing of the product is needed but Triton's client.
    sys.path.insert(0, str(ROOT / "tests"))
    from imagetron_cli.embedded.triton import TritonPorts, command, prepare, sweep  # noqa: PLC0415
    from support.ports import free_port  # noqa: PLC0415

    ports = TritonPorts(grpc=free_port(), http=free_port(), metrics=free_port())
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-gpu-") as name:
        folder = Path(name)
        models = folder / "models"
        models.mkdir()
        (models / "sdxl").symlink_to(ROOT / "deploy" / "triton" / "model_repository" / "sdxl")
        installation = prepare(Path(asked["environment"]), folder)
        arguments, variables = command(installation, models, ports, ("sdxl",))
        log = folder / "triton.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                env=variables | _devices(variables) | asked["settings"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            asyncio.run(until_ready(f"127.0.0.1:{ports.grpc}", process, log))
            yield f"127.0.0.1:{ports.grpc}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            sweep(ports)


def _devices(variables: dict[str, str]) -> dict[str, str]:
    """The embedded server is one for the CPU: this one sees the GPUs that we see, and the driver's libraries."""
    libraries = [variables["LD_LIBRARY_PATH"], os.environ.get("LD_LIBRARY_PATH", "")]
    kept = {name: os.environ[name] for name in ("HOME", "TORCHINDUCTOR_CACHE_DIR", "CUDA_HOME") if name in os.environ}
    return kept | {
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
        "LD_LIBRARY_PATH": os.pathsep.join(part for part in libraries if part),
    }


async def until_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Compiling takes minutes, so only the end of the process is an end of the patience; the caller has its own deadline."""
    while process.poll() is None:
        try:
            async with InferenceServerClient(address) as client:
                if await client.is_model_ready("sdxl"):
                    return
        except InferenceServerException:
            pass
        await asyncio.sleep(READY_EVERY_SECONDS)
    raise SystemExit(f"the server did not start: {last_words(log)}")


def last_words(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").splitlines()[-5:])


async def ask(address: str, asked: dict[str, Any]) -> None:
    async with InferenceServerClient(address) as client:
        say({"ready": True})
        for number, orders in enumerate(asked["rounds"]):
            began = time.perf_counter()
            # Each picture is a request of its own, as the generator asks; Triton makes the batches.
            made = await asyncio.gather(*(picture(client, order) for order in orders))
            seconds = time.perf_counter() - began
            if asked["pictures"] == number:
                np.save(asked["file"], np.stack(made))
            say({"round": number, "seconds": seconds})


async def picture(client: InferenceServerClient, order: dict[str, Any]) -> "np.ndarray[Any, Any]":
    async def requests() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "sdxl", "inputs": inputs(order)}

    image: np.ndarray[Any, Any] | None = None
    async for result, error in client.stream_infer(requests()):
        if error is not None:
            raise SystemExit(f"the server refused: {error}")
        found = result.as_numpy("IMAGE")
        image = image if found is None else found[0, 0]
    if image is None:
        raise SystemExit("the server ended its answer without a picture")
    return image


def inputs(order: dict[str, Any]) -> list[InferInput]:
    values: list[tuple[str, str, Any]] = [
        ("CHECKPOINT", "BYTES", np.array([[order["checkpoint"].encode()]], dtype=np.object_)),
        ("PROMPT", "BYTES", np.array([[order["prompt"].encode()]], dtype=np.object_)),
        ("NEGATIVE_PROMPT", "BYTES", np.array([[b""]], dtype=np.object_)),
        ("SEED", "INT64", np.array([[order["seed"]]], dtype=np.int64)),
        ("WIDTH", "INT32", np.array([[order["side"]]], dtype=np.int32)),
        ("HEIGHT", "INT32", np.array([[order["side"]]], dtype=np.int32)),
        ("STEPS", "INT32", np.array([[order["steps"]]], dtype=np.int32)),
        ("GUIDANCE", "FP32", np.array([[order["guidance"]]], dtype=np.float32)),
        ("SCHEDULER", "BYTES", np.array([[b""]], dtype=np.object_)),
    ]
    tensors = []
    for name, kind, value in values:
        tensor = InferInput(name, list(value.shape), kind)
        tensor.set_data_from_numpy(value)
        tensors.append(tensor)
    return tensors


def say(fact: dict[str, Any]) -> None:
    print(json.dumps(fact), flush=True)


if __name__ == "__main__":
    main()
