"""Ours behind a real Triton server: the same work, each picture a request of its own. Skipped with a reason where none is."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gpu.measure import Row, Work, replaced
from gpu.models import ROOT
from gpu.subject import Setting

# Where the product's own packages and Triton's client are, and where the wheel's server with torch is.
PRODUCT = ROOT / ".venv" / "bin" / "python"
ENVIRONMENT = ROOT / ".venv" / "sdxl"


class NoServer(Exception):
    """There is no server to ask; the message says why."""


@dataclass
class Asked:
    """The server's rows, and the pictures of the work that is compared with the reference."""

    rows: list[Row] = field(default_factory=list)
    pictures: "np.ndarray[Any, Any] | None" = None


def name_of(setting: Setting) -> str:
    return f"{setting.name}, Triton"


def asked(
    setting: Setting,
    works: Sequence[Work],
    compared: Work,
    *,
    folder: Path,
    checkpoint: str,
    repetitions: int,
    address: str,
    patience_seconds: float,
) -> Asked:
    """One row for each of `works`. Raises NoServer; whatever else goes wrong on the way is a NoServer too."""
    python = _python(address)
    warm_up = [Work(work.batch, 2, work.side, work.guidance, 9000) for work in works]
    rounds = [*warm_up, compared, *(replaced(work, number) for work in works for number in range(repetitions))]
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-gpu-") as name:
        file = Path(name) / "pictures.npy"
        began = time.perf_counter()
        lines = _run(
            python,
            {
                "address": address,
                "environment": str(ENVIRONMENT),
                "settings": _settings(setting, works, folder, checkpoint),
                "rounds": [[_order(work, checkpoint, place) for place in range(work.batch)] for work in rounds],
                "pictures": len(warm_up),
                "file": str(file),
            },
            patience_seconds,
        )
        pictures = np.load(file)
    seconds = [fact["seconds"] for fact in lines if "seconds" in fact]
    load = time.perf_counter() - began - sum(seconds)
    made = Asked(pictures=pictures)
    for place, work in enumerate(works):
        begin = len(warm_up) + 1 + place * repetitions
        made.rows.append(
            Row(
                "server",
                name_of(setting),
                work.batch,
                work.steps,
                setting.is_equal_work,
                seconds[begin : begin + repetitions],
                load_seconds=load,
                warm_up_seconds=seconds[place],
            )
        )
    return made


def _settings(setting: Setting, works: Sequence[Work], folder: Path, checkpoint: str) -> dict[str, str]:
    side = works[0].side
    fixed = {
        "SDXL_CHECKPOINTS": str(folder),
        "SDXL_PRELOAD": checkpoint,
        "SDXL_WARM_UP_SIZES": f"{side}x{side}",
        "SDXL_MAX_BATCH_PIXELS": str(side * side * max(work.batch for work in works)),
    }
    if setting.options.get("compile", "none") != "none":
        # Requests that arrive one by one make batches of any size: compiled code meets these only. Guidance: two rows each.
        fixed["SDXL_BATCH_SIZES"] = ",".join(str(2 * batch) for batch in sorted({work.batch for work in works}))
    return fixed | setting.variables(folder)


def _order(work: Work, checkpoint: str, place: int) -> dict[str, Any]:
    return {
        "checkpoint": checkpoint,
        "prompt": work.prompts[place],
        "seed": work.seeds[place],
        "side": work.side,
        "steps": work.steps,
        "guidance": work.guidance,
    }


def _python(address: str) -> Path:
    """An interpreter with Triton's client, and with the product's packages if a server must be started."""
    candidates = [PRODUCT, Path(sys.executable)] if address else [PRODUCT]
    wanted = "import tritonclient.grpc.aio" + ("" if address else ", imagetron_cli.embedded.triton")
    for python in candidates:
        if (
            python.is_file()
            and subprocess.run([python, "-c", wanted], capture_output=True, check=False).returncode == 0
        ):
            break
    else:
        raise NoServer("there is no environment with Triton's client: run `make setup`, or name a server with --server")
    if not address and not (ENVIRONMENT / "bin" / "python").is_file():
        raise NoServer("there is no .venv/sdxl with a Triton server: run scripts/setup_sdxl.sh, or use --server")
    return python


def _run(python: Path, question: dict[str, Any], patience_seconds: float) -> list[dict[str, Any]]:
    process = subprocess.Popen(
        [python, Path(__file__).with_name("asking.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        said, complaint = process.communicate(json.dumps(question), timeout=patience_seconds)
    except subprocess.TimeoutExpired:
        # Politely: it stops its server before it ends.
        process.terminate()
        process.communicate()
        raise NoServer(f"the server's part was not done within {patience_seconds:.0f} s") from None
    if process.returncode:
        raise NoServer((complaint.strip().splitlines() or ["the server's part failed"])[-1][:300])
    return [json.loads(line) for line in said.splitlines()]
