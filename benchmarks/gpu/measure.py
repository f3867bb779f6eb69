"""Times, memory and distances between pictures. Nothing here knows what is measured."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

Kind = Literal["baseline", "engine", "server"]


@dataclass(frozen=True)
class Work:
    """One repetition: so many pictures in one batch."""

    batch: int
    steps: int
    side: int
    guidance: float
    first: int
    """Number of the first picture: prompts and seeds follow from it, so that no two repetitions share any."""

    @property
    def prompts(self) -> list[str]:
        # At most 75 tokens: the baseline drops what is longer. The hand-made tokenizer knows letters only.
        return [f"a lighthouse on a rocky coast at dawn, number {number}" for number in self.numbers]

    @property
    def seeds(self) -> list[int]:
        return [1000 + number for number in self.numbers]

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.batch)


Painter = Callable[[Work], "np.ndarray[Any, Any]"]
"""uint8 [batch, side, side, 3], in the computer's own memory."""


@dataclass(frozen=True)
class Row:
    """One line of the tables. `seconds` are those of whole batches; empty with a `note` that says why."""

    kind: Kind
    name: str
    batch: int
    steps: int
    is_equal_work: bool = True
    seconds: list[float] = field(default_factory=list)
    load_seconds: float = 0.0
    warm_up_seconds: float = 0.0
    peak_bytes: int = 0
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def seconds_per_image(self) -> float:
        return self.median / self.batch

    @property
    def images_per_second(self) -> float:
        return self.batch / self.median

    @property
    def spread(self) -> float:
        """Between the slowest and the fastest repetition, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median

    def as_json(self) -> dict[str, Any]:
        made = asdict(self)
        if self.seconds:
            made |= {
                "median": self.median,
                "secondsPerImage": self.seconds_per_image,
                "imagesPerSecond": self.images_per_second,
                "spread": self.spread,
            }
        return made


@dataclass(frozen=True)
class Distance:
    """Between pictures of one precision and those of float32, in levels of 255."""

    mean: float
    most: int
    psnr: float
    """In decibels; infinite when no value differs."""

    @classmethod
    def between(cls, ours: "np.ndarray[Any, Any]", reference: "np.ndarray[Any, Any]") -> "Distance":
        if ours.shape != reference.shape:
            raise ValueError(f"pictures of the shape {ours.shape} cannot be compared with {reference.shape}")
        apart = np.abs(ours.astype(np.int16) - reference.astype(np.int16))
        square = float(np.mean(apart.astype(np.float64) ** 2))
        psnr = float("inf") if square == 0 else 10 * float(np.log10(255**2 / square))
        return cls(float(apart.mean()), int(apart.max()), psnr)


class Budget:
    """Of wall time. What does not begin in time is not begun."""

    def __init__(self, seconds: float | None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds

    @property
    def is_spent(self) -> bool:
        return self._until is not None and time.monotonic() > self._until

    @property
    def seconds_left(self) -> float | None:
        """None: as many as it takes."""
        return None if self._until is None else max(0.0, self._until - time.monotonic())


def measured(row: Row, paint: Painter, work: Work, repetitions: int, device: torch.device) -> Row:
    """The row with its times. Whoever paints has been warmed up. Memory that runs out is a note, not the end."""
    seconds: list[float] = []
    settle(device)
    forget_peak(device)
    try:
        for number in range(repetitions):
            synchronize(device)
            began = time.perf_counter()
            # Pictures are on the CPU when it returns, so nothing is still under way.
            paint(replaced(work, number))
            seconds.append(time.perf_counter() - began)
    except (RuntimeError, MemoryError) as error:
        return replace(row, note=problem(error))
    return replace(row, seconds=seconds, peak_bytes=peak_bytes(device))


def joined(paint: Painter, works: Sequence[Work]) -> "np.ndarray[Any, Any]":
    return np.concatenate([paint(work) for work in works])


def replaced(work: Work, number: int) -> Work:
    """The same work with other pictures: one repetition of many."""
    return replace(work, first=work.first + (number + 1) * work.batch)


def problem(error: BaseException) -> str:
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error):
        return "out of memory"
    return f"{type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}"


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def settle(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        # Linux: sets the process's high-water mark back (proc(5), clear_refs).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(device: torch.device) -> int:
    """On a GPU what PyTorch held there at most, graphs' pools included; else the process's memory."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def matrix_rate(device: torch.device, side: int = 8192) -> float:
    """Operations a second of a product of random bfloat16 matrices: the ceiling of what follows. CUDA only."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    times: list[float] = []
    for number in range(13):
        begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begun.record()
        one @ other
        ended.record()
        ended.synchronize()
        if number >= 3:
            times.append(begun.elapsed_time(ended) / 1000)
    return float(2 * side**3 / statistics.median(times))
