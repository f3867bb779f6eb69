"""How the engine runs: every switch that benchmarks compare, and where the server's settings (SDXL_...) are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import torch

DType = Literal["auto", "float32", "bfloat16", "float16"]
Compile = Literal["none", "default", "reduce-overhead", "max-autotune"]
Attention = Literal["sdpa", "plain"]
Size = tuple[int, int]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class BadOption(ValueError):
    """A setting that cannot be read or does not go with another; the message names it."""


@dataclass(frozen=True)
class EngineOptions:
    """Defaults are the ones for correct pictures anywhere; what each costs and gains is measured in benchmarks/gpu."""

    device: str = "auto"
    """auto: cuda where there is one, else cpu. Or cuda:1, ..."""
    dtype: DType = "auto"
    """Of the UNet and the text encoders. auto: bfloat16 on CUDA, float32 elsewhere."""
    vae_dtype: DType = "auto"
    """auto: as dtype, but float32 where that is float16 and the VAE overflows in it (SDXL's own says so in its config)."""
    vae: Path | None = None
    """A VAE's folder used instead of every checkpoint's own: an fp16-safe one, or a tiny one (AutoencoderTiny)."""
    attention: Attention = "sdpa"
    channels_last: bool = False
    fuse_qkv: bool = False
    compile: Compile = "none"
    """torch.compile's mode for the UNet and the VAE's decoder. CUDA only."""
    batch_sizes: tuple[int, ...] = ()
    """Batches are filled up to the next of these, so that compiled code meets few shapes. Empty: as they come."""
    guidance_off_share: float = 0.0
    """The last share of the steps (0 to 1) that run without guidance, at half the work. It changes pictures."""
    max_batch_pixels: int = 8 * 1024 * 1024
    """Pixels that are denoised at once; what exceeds it runs in a second pass. One order is never split."""
    memory_bytes: int | None = None
    """For the weights of all checkpoints together. None: what the device has free, less `reserve_bytes`."""
    reserve_bytes: int = 6 * 2**30
    """Left for the work itself when memory_bytes is None. Ignored on the CPU."""
    warm_up_sizes: tuple[Size, ...] = ((1024, 1024),)
    """Width and height of the pictures that a checkpoint makes before it counts as ready."""
    warm_up_steps: int = 2
    prompt_cache: int = 256
    """Encoded texts kept for each checkpoint."""
    threads: int | None = None
    """Of the CPU. With one, equal orders give equal bytes on it."""

    def __post_init__(self) -> None:
        if self.attention == "plain" and self.fuse_qkv:
            raise BadOption("fuse_qkv goes with attention sdpa only.")
        if self.compile != "none" and self.torch_device.type != "cuda":
            raise BadOption(f"compile is {self.compile}; on {self.torch_device.type} it must be none.")
        if not 0 <= self.guidance_off_share <= 1:
            raise BadOption(f"guidance_off_share is {self.guidance_off_share}; it must be between 0 and 1.")
        if list(self.batch_sizes) != sorted(set(self.batch_sizes)) or any(size < 1 for size in self.batch_sizes):
            raise BadOption(f"batch_sizes are {self.batch_sizes}; they must rise and begin with 1 or more.")

    @property
    def torch_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        if self.dtype == "auto":
            return torch.bfloat16 if self.torch_device.type == "cuda" else torch.float32
        return _DTYPES[self.dtype]

    def vae_torch_dtype(self, *, overflows_in_float16: bool) -> torch.dtype:
        if self.vae_dtype != "auto":
            return _DTYPES[self.vae_dtype]
        dtype = self.torch_dtype
        return torch.float32 if dtype is torch.float16 and overflows_in_float16 else dtype

    @property
    def traits(self) -> str:
        """The options that can change a pixel, for the fingerprint."""
        said = [self.torch_device.type, str(self.torch_dtype).removeprefix("torch.")]
        if self.vae_dtype != "auto":
            said.append(f"vae-{self.vae_dtype}")
        if self.attention != "sdpa":
            said.append(self.attention)
        said += [name for name in ("channels_last", "fuse_qkv") if getattr(self, name)]
        if self.compile != "none":
            said.append(f"compile-{self.compile}")
        if self.guidance_off_share:
            said.append(f"guidance-off-{self.guidance_off_share:g}")
        return " ".join(said)


def options_from(environment: Mapping[str, str], **fixed: object) -> EngineOptions:
    """The options in SDXL_<NAME> variables; `fixed` ones are for what is not set. An empty variable counts as not set."""
    given = dict(fixed)
    for option in fields(EngineOptions):
        variable = f"SDXL_{option.name.upper()}"
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            given[option.name] = _READERS.get(option.name, str)(text)
        except ValueError as error:
            raise BadOption(f"{variable} is {text!r}: {error}") from error
    return EngineOptions(**given)  # type: ignore[arg-type]


def _one_of(allowed: object) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in get_args(allowed):
            raise ValueError(f"it must be one of {', '.join(get_args(allowed))}.")
        return text

    return read


def _flag(text: str) -> bool:
    if text.lower() not in {"0", "1", "true", "false"}:
        raise ValueError("it must be 0 or 1.")
    return text.lower() in {"1", "true"}


def _sizes(text: str) -> tuple[Size, ...]:
    pairs = [item.strip().lower().split("x") for item in text.split(",") if item.strip() not in {"", "none"}]
    return tuple((int(width), int(height)) for width, height in pairs)


_READERS: dict[str, Callable[[str], object]] = {
    "dtype": _one_of(DType),
    "vae_dtype": _one_of(DType),
    "vae": Path,
    "attention": _one_of(Attention),
    "channels_last": _flag,
    "fuse_qkv": _flag,
    "compile": _one_of(Compile),
    "batch_sizes": lambda text: tuple(int(item) for item in text.split(",")),
    "guidance_off_share": float,
    "max_batch_pixels": int,
    "memory_bytes": int,
    "reserve_bytes": int,
    "warm_up_sizes": _sizes,
    "warm_up_steps": int,
    "prompt_cache": int,
    "threads": int,
}
