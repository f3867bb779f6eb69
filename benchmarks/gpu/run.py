"""How fast the sdxl model makes pictures, against plain diffusers in fp16, and whether they are the same pictures.

    .venv/sdxl/bin/python benchmarks/gpu/run.py            everything, on a CUDA machine: hours, nearly all of it compiling
    ... run.py --quick                                     two settings, two batches: within 8 minutes on one H200
    ... run.py --tiny                                      tiny weights on the CPU: shows that all of it works, in a minute

Ends with status 1 when a gate fails. README.md beside this file says what is compared with what.
"""

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from diffusers.utils import logging as diffusers_logging
from gpu import measure, models, report, server
from gpu.baseline import PlainDiffusers, reference
from gpu.measure import Budget, Distance, Painter, Row, Work
from gpu.subject import SETTINGS, Setting, opened
from transformers.utils import logging as transformers_logging

GUIDANCE = 7.5
WARM_UP_STEPS = 2
WARM_UP_ROUNDS = 2
"""The first compiles, the second records CUDA graphs, both twice over: two steps each."""
FULL = [
    "eager-bf16", "eager-fp16", "channels-last", "fused", "compiled", "graphs", "autotuned", "autotuned-bf16-vae",
    "autotuned-bf16", "autotuned-cudnn", "guidance-cut", "tiny-vae",
]  # fmt: skip
QUICK = ["graphs", "eager-fp16"]
TINY = ["eager-fp32", "eager-fp16", "eager-bf16", "fused", "guidance-cut-eager", "tiny-vae-eager"]
LEAST_SERVER_SECONDS = 60.0


@dataclass
class Findings:
    rows: list[Row] = field(default_factory=list)
    distances: dict[str, Distance] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        told = f"{row.images_per_second:.3f} images/s" if row.seconds else row.note
        print(f"{row.kind} {row.name}, batch {row.batch}, {row.steps} steps: {told}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Plan:
    """What one run measures."""

    settings: list[Setting]
    batches: list[int]
    steps: list[int]
    side: int
    repetitions: int
    pictures: int
    device: torch.device
    folder: Path
    checkpoint: str
    budget: Budget

    def work(self, batch: int, steps: int) -> Work:
        return Work(batch, steps, self.side, GUIDANCE, first=0)

    @property
    def compared(self) -> Work:
        """What is looked at for equality: its own prompts and seeds, one after the other."""
        return Work(self.pictures, self.steps[0], self.side, GUIDANCE, first=5000)

    @property
    def most_pixels(self) -> int:
        return self.side**2 * max(*self.batches, self.pictures)


def main() -> None:
    arguments = _arguments()
    _quieten()
    if not arguments.tiny and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device: --tiny shows on the CPU that everything works.")
    device = torch.device("cpu" if arguments.tiny else "cuda")
    if arguments.tiny:
        # Tensors this small gain nothing from threads, and lose much on a machine that has other work.
        torch.set_num_threads(1)
    budget = Budget(arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-gpu-", dir=arguments.scratch) as name:
        folder, checkpoint = Path(name), models.NAME
        if arguments.weights:
            folder, checkpoint = arguments.weights.resolve().parent, arguments.weights.resolve().name
            made = f"weights: {checkpoint}"
        else:
            parameters = models.write(folder, device, is_tiny=arguments.tiny)
            made = f"random weights, seed {models.SEED}, UNet of {parameters:,} parameters"
        measure.settle(device)
        plan = Plan(
            settings=[SETTINGS[name] for name in arguments.settings],
            batches=arguments.batches,
            steps=arguments.steps,
            side=arguments.side,
            repetitions=arguments.repetitions,
            pictures=arguments.pictures,
            device=device,
            folder=folder,
            checkpoint=checkpoint,
            budget=budget,
        )
        findings = Findings()
        floor = {} if arguments.tiny else _floor(plan, findings)
        facts = _facts(device, made)

        def run() -> report.Run:
            return _run(plan, findings, facts, floor)

        _measure(plan, findings, arguments, lambda: report.write(run(), arguments.out))
    done = run()
    print(done.as_markdown())
    print(f"\nall figures: {arguments.out}/figures.json, plot: {arguments.out}/throughput.svg")
    sys.exit(1 if any(gate.passed is False for gate in done.gates()) else 0)


def _run(plan: Plan, findings: Findings, facts: dict[str, Any], floor: dict[int, float]) -> report.Run:
    done = [
        setting for setting in plan.settings if any(row.name == setting.name and row.seconds for row in findings.rows)
    ]
    return report.Run(
        facts=facts,
        rows=findings.rows,
        distances=findings.distances,
        not_equal_work=[setting.name for setting in done if not setting.is_equal_work],
        must_be_equal=[
            name for setting in SETTINGS.values() if setting.must_be_equal for name in _names(setting, findings)
        ],
        remarks=findings.remarks,
        judges_speed=plan.device.type == "cuda",
        floor_seconds=floor,
    )


def _names(setting: Setting, findings: Findings) -> list[str]:
    """Under which it was measured: in process, behind the server, or not at all."""
    measured = {row.name for row in findings.rows if row.seconds}
    return [name for name in (setting.name, server.name_of(setting)) if name in measured]


def _quieten() -> None:
    """Progress bars and advice of the libraries, hundreds of lines of them, would hide the figures."""
    warnings.filterwarnings("ignore")
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def _measure(plan: Plan, findings: Findings, arguments: argparse.Namespace, keep: Callable[[], None]) -> None:
    """The reference first: without it nothing can be called equal. Then the baseline, ours, ours behind the server.

    `keep` is called after each: a run that is killed leaves what it had.
    """
    wanted = reference(plan.folder / plan.checkpoint, plan.device, plan.compared)
    if wanted.std() < 5:
        raise SystemExit("The reference pictures are nearly one grey: they could not show a difference.")
    measure.settle(plan.device)
    findings.distances[report.BASELINE] = _baseline(plan, findings, wanted)
    keep()
    for setting in plan.settings:
        _setting(plan, setting, findings, wanted)
        keep()
    if arguments.no_server:
        findings.remarks.append("without the server: --no-server or --quick")
        keep()
        return
    _server(plan, findings, wanted, arguments)
    keep()


def _baseline(plan: Plan, findings: Findings, wanted: Any) -> Distance:  # noqa: ANN401 an array
    began = time.perf_counter()
    painter = PlainDiffusers(plan.folder / plan.checkpoint, plan.device, torch.float16)
    load = time.perf_counter() - began
    for batch in plan.batches:
        _batch(plan, Row("baseline", report.BASELINE, batch, 0, load_seconds=load), painter.paint, findings)
    distance = Distance.between(painter.paint(plan.compared), wanted)
    del painter
    measure.settle(plan.device)
    return distance


def _setting(plan: Plan, setting: Setting, findings: Findings, wanted: Any) -> None:  # noqa: ANN401 an array
    row = Row("engine", setting.name, plan.batches[0], plan.steps[0], setting.is_equal_work)
    reason = _reason_against(plan, setting)
    if reason:
        findings.add(replace(row, note=reason))
        return
    began = time.perf_counter()
    with opened(setting, plan.folder, plan.checkpoint, plan.device, plan.most_pixels) as painter:
        try:
            # The first picture loads the checkpoint; a small one, so that nothing of this size is compiled for nothing.
            if setting.options.get("compile", "none") == "none":
                painter.paint(Work(1, 1, 64, GUIDANCE, first=9999))
        except RuntimeError as error:
            findings.add(replace(row, note=measure.problem(error)))
            return
        load = time.perf_counter() - began
        for batch in plan.batches:
            _batch(plan, replace(row, batch=batch, load_seconds=load), painter.paint, findings)
        try:
            # One by one: the batch of one is warm already.
            ones = [replace(plan.compared, batch=1, first=number) for number in plan.compared.numbers]
            findings.distances[setting.name] = Distance.between(measure.joined(painter.paint, ones), wanted)
        except RuntimeError as error:
            findings.remarks.append(f"{setting.name}: the pictures could not be compared: {measure.problem(error)}")


def _batch(plan: Plan, row: Row, paint: Painter, findings: Findings) -> None:
    """Warmed up once for the batch, then measured at every number of steps: shapes do not depend on it."""
    if plan.budget.is_spent:
        findings.add(replace(row, steps=plan.steps[0], note="not measured: the time was spent"))
        return
    began = time.perf_counter()
    try:
        for number in range(WARM_UP_ROUNDS):
            paint(measure.replaced(Work(row.batch, WARM_UP_STEPS, plan.side, GUIDANCE, first=7000), number))
    except (RuntimeError, MemoryError) as error:
        findings.add(replace(row, steps=plan.steps[0], note=measure.problem(error)))
        return
    warmed = replace(row, warm_up_seconds=time.perf_counter() - began)
    for steps in plan.steps:
        work = plan.work(row.batch, steps)
        findings.add(measure.measured(replace(warmed, steps=steps), paint, work, plan.repetitions, plan.device))


def _server(plan: Plan, findings: Findings, wanted: Any, arguments: argparse.Namespace) -> None:  # noqa: ANN401 an array
    setting = SETTINGS[arguments.server_setting]
    reason = _reason_against(plan, setting)
    left = plan.budget.seconds_left
    if not reason and left is not None and left < LEAST_SERVER_SECONDS:
        reason = "the time was spent"
    if reason:
        findings.remarks.append(f"without the server: {reason}")
        return
    measure.settle(plan.device)
    works = [plan.work(batch, steps) for batch in plan.batches for steps in plan.steps]
    try:
        asked = server.asked(
            setting,
            works,
            plan.compared,
            folder=plan.folder,
            checkpoint=plan.checkpoint,
            repetitions=plan.repetitions,
            address=arguments.server,
            patience_seconds=left or arguments.patience,
        )
    except server.NoServer as missing:
        findings.remarks.append(f"without the server: {missing}")
        return
    for row in asked.rows:
        findings.add(row)
    if asked.pictures is not None:
        findings.distances[server.name_of(setting)] = Distance.between(asked.pictures, wanted)


def _reason_against(plan: Plan, setting: Setting) -> str:
    if setting.needs_cuda and plan.device.type != "cuda":
        return "needs CUDA"
    if setting.has_tiny_vae and not (plan.folder / models.TINY_VAE).is_dir():
        return f"there is no folder {models.TINY_VAE} beside the checkpoint"
    return ""


def _floor(plan: Plan, findings: Findings) -> dict[int, float]:
    rate, operations = measure.matrix_rate(plan.device), models.unet_flops(plan.side)
    findings.remarks.append(
        f"UNet: {operations / 1e12:.2f} TFLOP a row and step; matrices (8192, bfloat16, random): {rate / 1e12:.0f} TFLOP/s"
    )
    measure.settle(plan.device)
    return {steps: 2 * steps * operations / rate for steps in plan.steps}


def _facts(device: torch.device, made: str) -> dict[str, Any]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "command": shlex.join(["python", *sys.argv]),
        "machine": _machine(device),
        "driver": _driver() if device.type == "cuda" else "none",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": _version("diffusers"),
        "transformers": _version("transformers"),
        "model": made,
    }


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, {facts.multi_processor_count} multiprocessors"
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {torch.get_num_threads()} threads"


def _driver() -> str:
    return _said(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]).splitlines()[0]


def _commit() -> str:
    commit = _said(["git", "rev-parse", "--short", "HEAD"])
    return commit + (" with changes" if commit != "unknown" and _said(["git", "status", "--porcelain"]) else "")


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, cwd=models.ROOT, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="within 8 minutes on one H200")
    size.add_argument("--tiny", action="store_true", help="tiny weights and pictures on the CPU")
    parser.add_argument("--settings", type=_settings, help=f"with commas, of: {', '.join(SETTINGS)}")
    parser.add_argument("--batches", type=_numbers, help="default 1,2,4,8,16; quick 1,8; tiny 1,2")
    parser.add_argument("--steps", type=_numbers, help="default 20,30; tiny 5,8")
    parser.add_argument("--repetitions", type=int, help="of each row; default 5, quick 3, tiny 2")
    parser.add_argument("--side", type=int, help="of the square pictures, in pixels; default 1024, tiny 64")
    parser.add_argument("--pictures", type=int, default=2, help="that are compared with float32")
    parser.add_argument(
        "--weights", type=Path, help="a checkpoint's folder in diffusers' layout instead of random ones"
    )
    parser.add_argument(
        "--server", default="", metavar="HOST:PORT", help="a Triton server that has the same checkpoint"
    )
    parser.add_argument(
        "--server-setting", choices=SETTINGS, help="of the server that is started here, or that --server has"
    )
    parser.add_argument("--no-server", action="store_true", help="the engine alone")
    parser.add_argument("--patience", type=float, default=3600, help="seconds for the server's part")
    parser.add_argument("--seconds", type=float, help="after which no further row is begun; quick 360")
    parser.add_argument("--scratch", type=Path, help="where 7 GB of weights may lie for as long as it runs")
    parser.add_argument("--out", type=Path, default=models.ROOT / "out" / "bench-gpu", help="folder for the figures")
    arguments = parser.parse_args()
    defaults: dict[str, Any] = {"batches": [1, 2, 4, 8, 16], "steps": [20, 30], "repetitions": 5, "side": 1024}
    defaults |= {"settings": FULL, "server_setting": "autotuned"}
    if arguments.quick:
        defaults |= {"settings": QUICK, "batches": [1, 8], "repetitions": 3, "seconds": 360.0}
        arguments.no_server = arguments.no_server or not arguments.server
    if arguments.tiny:
        defaults |= {"settings": TINY, "batches": [1, 2], "steps": [5, 8], "repetitions": 2, "side": 64}
        defaults |= {"server_setting": "eager-fp32"}
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def _settings(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SETTINGS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no setting {', '.join(unknown)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
