"""What ours is compared with: diffusers' StableDiffusionXLPipeline as it comes, in fp16; and in float32 as the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from gpu.measure import Work
from gpu.models import first_noise


class PlainDiffusers:
    """The library's defaults: its attention, its eager code, its VAE (float32, where SDXL's own says that fp16 overflows).

    The noise is given, drawn in float32 for each seed as the engine draws it. Left to itself the pipeline draws in its
    own precision, which gives other numbers for the same seed.
    """

    def __init__(self, checkpoint: Path, device: torch.device, dtype: torch.dtype) -> None:
        self._pipeline = StableDiffusionXLPipeline.from_pretrained(
            checkpoint, dtype=dtype, local_files_only=True, use_safetensors=True, add_watermarker=False
        ).to(device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._device, self._dtype = device, dtype

    def paint(self, work: Work) -> "np.ndarray[Any, Any]":
        noise = first_noise(work.seeds, work.side, work.side).to(self._device, self._dtype)
        made = self._pipeline(
            prompt=work.prompts,
            num_inference_steps=work.steps,
            guidance_scale=work.guidance,
            width=work.side,
            height=work.side,
            latents=noise,
        )
        return np.stack([np.asarray(image) for image in made.images])


def reference(checkpoint: Path, device: torch.device, work: Work) -> "np.ndarray[Any, Any]":
    """The pictures of `work` in real float32: without TF32, one by one."""
    conv, matrices = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        painter = PlainDiffusers(checkpoint, device, torch.float32)
        rows = [Work(1, work.steps, work.side, work.guidance, number) for number in work.numbers]
        return np.concatenate([painter.paint(row) for row in rows])
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = conv, matrices
