"""What to run for a Triton server from the `nvidia-pytriton` wheel, and whether it really answers.

Starting, watching and stopping the process is not done here.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from grpc import RpcError  # type: ignore[import-untyped]
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

HOW_TO_GET_IT = "run `make setup`, which builds it (nvidia-pytriton with numpy < 2 in an environment of its own)"

# Asked of the environment's own interpreter: only it knows where its shared library and its packages are.
_QUESTION = """
import json, sys, sysconfig
ask = sysconfig.get_config_var
libraries = [ask("LIBDIR"), sys.base_prefix + "/lib"]
if ask("LIBDIR") and ask("MULTIARCH"):
    libraries.append(ask("LIBDIR") + "/" + ask("MULTIARCH"))
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "libraries": [folder for folder in libraries if folder],
    "packages": sysconfig.get_path("purelib"),
}))
"""


class MissingTriton(Exception):
    """Triton cannot be run from this environment; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class TritonPorts:
    grpc: int = 8002
    http: int = 8003
    metrics: int = 8004


@dataclass(frozen=True)
class TritonInstallation:
    """A server that can be started: its binary, its backends with the right stub, and where they find what they load."""

    server: Path
    backends: Path
    libraries: tuple[Path, ...]
    programs: Path


@dataclass(frozen=True)
class _Interpreter:
    version: str
    libraries: tuple[Path, ...]
    packages: Path


def prepare(environment: Path, state: Path) -> TritonInstallation:
    """Find the wheel's server in `environment` and lay out its backends under `state`.

    Blocks for a second the first time and for some milliseconds later. Safe to repeat, to interrupt and to run twice at
    once: the folder appears under its name only when it is complete.
    """
    interpreter = _ask(environment)
    wheel = interpreter.packages / "pytriton" / "tritonserver"
    bundled = interpreter.packages / "nvidia_pytriton.libs"
    server = wheel / "bin" / "tritonserver"
    if not server.is_file() or not bundled.is_dir():
        raise MissingTriton(f"There is no Triton server in {environment}: {HOW_TO_GET_IT}.")
    _check_numpy(environment, interpreter)
    stub = wheel / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    if not stub.is_file():
        served = ", ".join(sorted(folder.name for folder in (wheel / "python_backend_stubs").iterdir()))
        raise MissingTriton(
            f"The Triton wheel in {environment} has no Python backend for Python {interpreter.version} (only for {served}): "
            "build the environment with one of these."
        )
    own = _library_folder(environment, interpreter, stub)
    return TritonInstallation(
        server=server,
        backends=_backends(
            wheel, stub, state / "triton" / f"backends-{_wheel_version(interpreter)}-{interpreter.version}"
        ),
        libraries=(*own, bundled),
        programs=environment / "bin",
    )


def command(
    installation: TritonInstallation, model_repository: Path, ports: TritonPorts, models: Sequence[str] = ("preview",)
) -> tuple[list[str], dict[str, str]]:
    """The argument list and the whole environment (nothing needs to be inherited) of a loopback-only server on the CPU.

    Only `models` of the repository are loaded: others may need weights that are not here, and one model that fails to load
    stops the server.
    """
    arguments = [
        str(installation.server),
        f"--model-repository={model_repository}",
        f"--backend-directory={installation.backends}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        "--strict-readiness=true",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={ports.grpc}",
        "--http-address=127.0.0.1",
        f"--http-port={ports.http}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={ports.metrics}",
        f"--backend-config=python,shm-region-prefix-name={_memory_prefix(ports)}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        # A cancelled stream can leave a model that never unloads; an idle server stops in four seconds.
        "--exit-timeout-secs=10",
    ]
    variables = {
        # The stub starts the first `python3` on the path, and with it that environment's packages.
        "PATH": os.pathsep.join([str(installation.programs), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LD_LIBRARY_PATH": os.pathsep.join(str(folder) for folder in installation.libraries),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # The model repository may be read-only, and is never to be littered.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "LANG": "C.UTF-8",
    }
    return arguments, variables


def sweep(ports: TritonPorts, shared_memory: Path = Path("/dev/shm")) -> None:  # noqa: S108 where Linux keeps it
    """Remove the shared memory that a killed server on these ports left behind. Not while one is running there."""
    for region in shared_memory.glob(f"{_memory_prefix(ports)}*"):
        region.unlink(missing_ok=True)


def _memory_prefix(ports: TritonPorts) -> str:
    return f"imagetron-triton-{ports.grpc}-"


async def is_ready(grpc_port: int, *, within_seconds: float = 5) -> bool:
    """Whether the preview model paints: a real inference, because the readiness endpoint stays true when a model's stub dies."""

    async def requests() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": "preview", "inputs": _smallest_picture()}

    try:
        async with InferenceServerClient(f"127.0.0.1:{grpc_port}") as client:
            is_painted = False
            # Read to the end: a stream broken off at its last response can leave a model that never unloads.
            async for result, error in client.stream_infer(requests(), stream_timeout=within_seconds):
                is_painted = error is None and result.as_numpy("IMAGE") is not None
            return is_painted
    except RpcError:
        return False


def _smallest_picture() -> list[InferInput]:
    values: dict[str, tuple[str, np.ndarray[Any, Any]]] = {
        "PROMPT": ("BYTES", np.array([[b"health"]], dtype=np.object_)),
        "NEGATIVE_PROMPT": ("BYTES", np.array([[b""]], dtype=np.object_)),
        "SEED": ("INT64", np.array([[0]], dtype=np.int64)),
        "WIDTH": ("INT32", np.array([[64]], dtype=np.int32)),
        "HEIGHT": ("INT32", np.array([[64]], dtype=np.int32)),
        "STEPS": ("INT32", np.array([[1]], dtype=np.int32)),
        "GUIDANCE": ("FP32", np.array([[7.0]], dtype=np.float32)),
    }
    inputs = []
    for name, (kind, value) in values.items():
        tensor = InferInput(name, [1, 1], kind)
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    return inputs


def _ask(environment: Path) -> _Interpreter:
    python = environment / "bin" / "python3"
    if not python.is_file():
        raise MissingTriton(f"There is no Triton environment at {environment}: {HOW_TO_GET_IT}.")
    try:
        answer = subprocess.run([python, "-c", _QUESTION], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingTriton(f"{python} does not run ({error}): {HOW_TO_GET_IT}.") from error
    facts = json.loads(answer.stdout)
    return _Interpreter(facts["version"], tuple(Path(folder) for folder in facts["libraries"]), Path(facts["packages"]))


def _check_numpy(environment: Path, interpreter: _Interpreter) -> None:
    versions = [
        folder.name.removeprefix("numpy-").removesuffix(".dist-info")
        for folder in interpreter.packages.glob("numpy-*.dist-info")
    ]
    if not any(version.startswith("1.") for version in versions):
        found = f"numpy {versions[0]}" if versions else "no numpy"
        raise MissingTriton(
            f"The Triton environment {environment} has {found}; its Python backend crashes on text with numpy 2: {HOW_TO_GET_IT}."
        )


def _wheel_version(interpreter: _Interpreter) -> str:
    found = sorted(interpreter.packages.glob("nvidia_pytriton-*.dist-info"))
    return found[-1].name.removeprefix("nvidia_pytriton-").removesuffix(".dist-info") if found else "unknown"


def _library_folder(environment: Path, interpreter: _Interpreter, stub: Path) -> tuple[Path, ...]:
    """Where the stub finds libpython. Some stubs bring their own and need none."""
    library = f"libpython{interpreter.version}.so.1.0"
    if library.encode() not in stub.read_bytes():
        return ()
    for folder in interpreter.libraries:
        if (folder / library).exists():
            return (folder,)
    raise MissingTriton(
        f"Triton's Python backend needs {library}, which the Python of {environment} does not have: install the Debian "
        f"package libpython{interpreter.version}, or build the environment with a Python made with --enable-shared."
    )


def _backends(wheel: Path, stub: Path, target: Path) -> Path:
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".backends-", dir=target.parent, ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "backends"
        shutil.copytree(wheel / "backends", copy)
        shutil.copy2(stub, copy / "python" / stub.name)
        try:
            copy.rename(target)
        except OSError:
            # Another process was first; its copy is as good as ours.
            if not target.is_dir():
                raise
    return target
