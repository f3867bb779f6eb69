"""In which format a render could travel from the generator to the deriver: what writing and reading it costs, and its bytes."""

import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from derive import clocks
from derive.jobs import Job, encoded
from PIL import Image

# All without loss. Not QOI: Pillow codes it in Python, in 2.7 s and 4 s. Raw pixels are the least that any can cost.
FORMATS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "PPM (what generators write)": ("PPM", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
    "TIFF, zstd": ("TIFF", {"compression": "zstd"}),
    "PNG, stored": ("PNG", {"compress_level": 0}),
    "PNG, level 1": ("PNG", {"compress_level": 1}),
    "PNG, level 6": ("PNG", {}),
    "lossless WebP, fastest": ("WEBP", {"lossless": True, "quality": 0, "method": 0}),
    "lossless WebP": ("WEBP", {"lossless": True, "quality": 50, "method": 4}),
}
RAW: Final = "raw pixels"
PPM: Final = "PPM (what generators write)"


@dataclass(frozen=True, slots=True)
class Cost:
    """Means over the photographs: processor seconds of Pillow on one core, and bytes."""

    name: str
    write: float
    read: float
    byte_count: float


def costs(jobs: Sequence[Job], repetitions: int) -> list[Cost]:
    """In turns: each photograph in every format, then the next."""
    found: dict[str, list[Cost]] = {}
    with clocks.on_cores(1):
        for job in jobs:
            render = job.pixels("ppm")
            for name, (form, options) in FORMATS.items():
                data = encoded(render, form, options)
                write = _seconds(partial(encoded, render, form, options), repetitions)
                read = _seconds(partial(_read, data), repetitions)
                found.setdefault(name, []).append(Cost(name, write, read, len(data)))
            raw = render.tobytes()
            write = _seconds(render.tobytes, repetitions)
            read = _seconds(partial(Image.frombytes, "RGB", render.size, raw), repetitions)
            found.setdefault(RAW, []).append(Cost(RAW, write, read, len(raw)))
    return [
        Cost(
            name,
            float(np.mean([cost.write for cost in of_one])),
            float(np.mean([cost.read for cost in of_one])),
            float(np.mean([cost.byte_count for cost in of_one])),
        )
        for name, of_one in found.items()
    ]


def _read(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


def _seconds(work: Callable[[], object], repetitions: int) -> float:
    times: list[float] = []
    for _ in range(repetitions):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)
