"""How near a picture is to what it should be. Nothing of either side is used: an own resizing, and OpenCV's SSIM and PSNR."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Likeness:
    """SSIM (OpenCV's, mean of red, green and blue; 1 is equal) and PSNR in decibels."""

    ssim: float
    psnr: float

    @classmethod
    def between(cls, one: Pixels, other: Pixels) -> "Likeness":
        # OpenCV says nothing of the types of its extra modules.
        ssim, _ = cv2.quality.QualitySSIM_compute(one, other)  # type: ignore[attr-defined]
        return cls(float(np.mean(ssim[:3])), min(99.0, float(cv2.PSNR(one, other))))


def reference(render: Image.Image, size: tuple[int, int]) -> Pixels:
    """The same cut in floating point, Lanczos with three lobes, rounded once at the end; not encoded.

    Both jobs' renders have their pictures' ratio, so that there is nothing to cut off.
    """
    pixels = np.asarray(render, np.float32)
    down, across = _weights(render.height, size[1]), _weights(render.width, size[0])
    planes = [down @ pixels[..., plane] @ across.T for plane in range(3)]
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def decoded(data: bytes) -> Pixels:
    """By OpenCV's decoders, for both sides."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise SystemExit("A file that was made cannot be decoded.")
    return np.asarray(picture)


def raw(data: bytes, size: tuple[int, int]) -> Pixels:
    return np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3)


def mean(likenesses: Sequence[Likeness]) -> Likeness:
    return Likeness(
        float(np.mean([likeness.ssim for likeness in likenesses])),
        float(np.mean([likeness.psnr for likeness in likenesses])),
    )


def _weights(length: int, wanted: int, lobes: int = 3) -> Pixels:
    """One row for each new pixel; wider than the kernel where the picture becomes smaller, so that nothing is missed."""
    if length == wanted:
        return np.eye(length, dtype=np.float32)
    scale = length / wanted
    width = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    distances = (np.arange(length)[None, :] - centres[:, None]) / width
    weights = np.sinc(distances) * np.sinc(distances / lobes) * (np.abs(distances) < lobes)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
