"""Ours: the engine behind the `sdxl` model, called in process, and the settings under which it is measured."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu.measure import Work, settle
from gpu.models import NAME, ROOT, TINY_VAE
from torch.nn.attention import SDPBackend, sdpa_kernel

# As Triton does: the model's folder is on the path, and is not a package of ours.
sys.path.insert(0, str(ROOT / "deploy" / "triton" / "model_repository" / "sdxl" / "1"))

from diffusion import Catalogue, Engine, EngineOptions, Failure, Order


@dataclass(frozen=True)
class Setting:
    """A named line of the matrix. `options` are fields of EngineOptions, and as SDXL_... variables the server's."""

    name: str
    says: str
    options: dict[str, Any] = field(default_factory=dict)
    is_equal_work: bool = True
    """False for what changes pictures on purpose: reported, never judged."""
    needs_cuda: bool = False
    has_tiny_vae: bool = False
    prefers_cudnn_attention: bool = False

    @property
    def must_be_equal(self) -> bool:
        """In fp16 and float32 a difference beyond the tolerance is a defect. In bfloat16 it may be rounding alone."""
        return self.is_equal_work and "bfloat16" not in self.options.values()

    def engine_options(self, folder: Path) -> dict[str, Any]:
        return self.options | ({"vae": folder / TINY_VAE} if self.has_tiny_vae else {})

    def variables(self, folder: Path) -> dict[str, str]:
        """For the server. A flag is 0 or 1 there."""
        spoken = {
            name: int(value) if isinstance(value, bool) else value
            for name, value in self.engine_options(folder).items()
        }
        return {f"SDXL_{name.upper()}": str(value) for name, value in spoken.items()}


_HALF: dict[str, Any] = {"dtype": "float16"}
_LAID_OUT = _HALF | {"channels_last": True}
_FUSED = _LAID_OUT | {"fuse_qkv": True}
_TUNED = _FUSED | {"compile": "max-autotune"}
_BF16: dict[str, Any] = {"dtype": "bfloat16", "channels_last": True, "fuse_qkv": True, "compile": "max-autotune"}

SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("eager-fp32", "float32 throughout", {"dtype": "float32"}),
        Setting("eager-bf16", "bfloat16 throughout: the engine's default on CUDA", {"dtype": "bfloat16"}),
        Setting("eager-fp16", "UNet and text in fp16, VAE in float32 as the baseline's", _HALF),
        Setting("channels-last", "eager-fp16 with channels_last", _LAID_OUT),
        Setting("fused", "channels-last with fused QKV projections", _FUSED),
        Setting("compiled", "fused, torch.compile default", _FUSED | {"compile": "default"}, needs_cuda=True),
        Setting(
            "graphs", "fused, reduce-overhead: CUDA graphs", _FUSED | {"compile": "reduce-overhead"}, needs_cuda=True
        ),
        Setting("autotuned", "fused, max-autotune: with CUDA graphs", _TUNED, needs_cuda=True),
        Setting(
            "autotuned-bf16-vae",
            "autotuned, VAE in bfloat16",
            _TUNED | {"vae_dtype": "bfloat16"},
            needs_cuda=True,
        ),
        Setting("autotuned-bf16", "autotuned, bfloat16 throughout", _BF16, needs_cuda=True),
        Setting(
            "autotuned-cudnn",
            "autotuned, attention by cuDNN first (set by this benchmark; the server has no switch for it)",
            _TUNED,
            needs_cuda=True,
            prefers_cudnn_attention=True,
        ),
        Setting(
            "guidance-cut",
            "autotuned, no guidance in the last 20 % of the steps",
            _TUNED | {"guidance_off_share": 0.2},
            is_equal_work=False,
            needs_cuda=True,
        ),
        Setting("tiny-vae", "autotuned, a tiny VAE", _TUNED, is_equal_work=False, needs_cuda=True, has_tiny_vae=True),
        Setting(
            "guidance-cut-eager",
            "eager-fp16, no guidance in the last 20 % of the steps",
            _HALF | {"guidance_off_share": 0.2},
            is_equal_work=False,
        ),
        Setting("tiny-vae-eager", "eager-fp16, a tiny VAE", _HALF, is_equal_work=False, has_tiny_vae=True),
    )
}


class InProcess:
    """The engine on one setting. Use `opened`, which also puts it away."""

    def __init__(self, setting: Setting, folder: Path, checkpoint: str, device: torch.device, most_pixels: int) -> None:
        self._setting, self._checkpoint = setting, checkpoint
        options = EngineOptions(
            device=str(device),
            max_batch_pixels=most_pixels,
            warm_up_sizes=((64, 64),),
            **setting.engine_options(folder),
        )
        self._engine = Engine(Catalogue(folder), options)

    def paint(self, work: Work) -> "np.ndarray[Any, Any]":
        orders = [
            Order(
                checkpoint=self._checkpoint,
                prompt=prompt,
                seeds=(seed,),
                width=work.side,
                height=work.side,
                steps=work.steps,
                guidance=work.guidance,
            )
            for prompt, seed in zip(work.prompts, work.seeds, strict=True)
        ]
        with _attention(self._setting):
            outcomes = self._engine.render(orders)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if failures:
            raise RuntimeError(f"{failures[0].code}: {failures[0].sentence}")
        return np.concatenate([outcome.images for outcome in outcomes])

    def free(self) -> None:
        self._engine.free_memory()


@contextmanager
def opened(
    setting: Setting, folder: Path, checkpoint: str, device: torch.device, most_pixels: int
) -> Iterator[InProcess]:
    """Its memory, and that of compiled code, is free again afterwards."""
    painter = InProcess(setting, folder, checkpoint, device, most_pixels)
    try:
        yield painter
    finally:
        painter.free()
        torch._dynamo.reset()  # noqa: SLF001 there is no public name
        settle(device)


def _attention(setting: Setting) -> Any:  # noqa: ANN401 a context
    if not setting.prefers_cudnn_attention:
        return nullcontext()
    order = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    return sdpa_kernel(order, set_priority=True)


__all__ = ["NAME", "SETTINGS", "InProcess", "Setting", "opened"]
