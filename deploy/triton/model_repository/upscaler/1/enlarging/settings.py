"""What an operator sets, in UPSCALER_... variables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

SMALLEST_TILE = 32

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class BadSetting(ValueError):
    """A setting that is missing or wrong, or weights that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    weights: Path
    device: str = "auto"
    """auto: cuda where there is one, else cpu."""
    dtype: str = "auto"
    """auto: bfloat16 on CUDA, float32 elsewhere."""
    tile: int | None = None
    """Side of the squares of the source that are enlarged at once, in pixels, without their overlap. None: 512 on CUDA, else
    256, with which published networks of factor 4 need some 2 GB."""
    overlap: int = 32
    """Pixels of the source that a tile sees beyond each of its sides, and that are cut off again."""
    threads: int | None = None
    """Of the CPU."""

    def __post_init__(self) -> None:
        if self.dtype != "auto" and self.dtype not in _DTYPES:
            raise BadSetting(f"UPSCALER_DTYPE is {self.dtype!r}; it must be auto or one of {', '.join(_DTYPES)}.")
        if self.tile is not None and self.tile < SMALLEST_TILE:
            raise BadSetting(f"UPSCALER_TILE is {self.tile}; it must be at least {SMALLEST_TILE} pixels.")
        if self.overlap < 0:
            raise BadSetting(f"UPSCALER_OVERLAP is {self.overlap}; it must not be negative.")
        if self.threads is not None and self.threads < 1:
            raise BadSetting(f"UPSCALER_THREADS is {self.threads}; it must be at least 1.")

    @property
    def torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return torch.device(self.device)
        except RuntimeError as error:
            raise BadSetting(f"UPSCALER_DEVICE is {self.device!r}, which is no device of torch.") from error

    @property
    def tile_pixels(self) -> int:
        return self.tile or (512 if self.torch_device.type == "cuda" else 256)

    @property
    def torch_dtype(self) -> torch.dtype:
        if self.dtype == "auto":
            return torch.bfloat16 if self.torch_device.type == "cuda" else torch.float32
        return _DTYPES[self.dtype]


def settings_from(environment: Mapping[str, str], *, device: str = "auto") -> Settings:
    """`device` is for where UPSCALER_DEVICE is not set. An empty variable counts as not set."""
    weights = environment.get("UPSCALER_WEIGHTS", "").strip()
    if not weights:
        raise BadSetting(
            "UPSCALER_WEIGHTS is not set: it names the file with the network that enlarges. The model cannot be loaded "
            "without one."
        )
    given: dict[str, object] = {"device": device}
    readers: dict[str, Callable[[str], object]] = {
        "device": str,
        "dtype": str,
        "tile": int,
        "overlap": int,
        "threads": int,
    }
    for name, read in readers.items():
        variable = f"UPSCALER_{name.upper()}"
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            given[name] = read(text)
        except ValueError as error:
            raise BadSetting(f"{variable} is {text!r}; it must be a whole number.") from error
    return Settings(Path(weights), **given)  # type: ignore[arg-type]
