"""A picture, enlarged tile by tile: memory holds the two pictures as bytes, and of everything else one tile's worth."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import interpolate

from .failures import Cancelled, OutOfMemory, Refused
from .settings import SMALLEST_TILE
from .tiles import Span, spans

LARGEST_SIDE = 8192
SMALLEST_SCALE, LARGEST_SCALE = 2, 8
RGB = 3

Network = Callable[[torch.Tensor], torch.Tensor]
"""[1, 3, height, width] from 0 to 1, to the same `factor` times as high and wide."""


class Enlarger:
    """One network on one device. Not for several threads at once."""

    def __init__(
        self,
        network: Network,
        *,
        factor: int,
        fingerprint: str,
        device: torch.device,
        dtype: torch.dtype,
        tile: int,
        overlap: int,
    ) -> None:
        self.factor = factor
        self.fingerprint = fingerprint
        self._network = network
        self._device = device
        self._dtype = dtype
        self._tile = tile
        self._overlap = overlap

    @torch.inference_mode()
    def enlarge(self, image: np.ndarray, scale: int, is_cancelled: Callable[[], bool] = lambda: False) -> np.ndarray:
        """uint8 [height, width, 3] to uint8 [height * scale, width * scale, 3], RGB.

        A network whose factor is larger than `scale` enlarges and the result is reduced; one whose factor is smaller is
        applied again. Raises Refused, Cancelled (asked before each tile) and OutOfMemory.
        """
        _check(image, scale)
        height, width = image.shape[:2]
        enlarged = np.empty((height * scale, width * scale, RGB), dtype=np.uint8)
        # What a network reads when it is applied again is as large as what it reads the first time.
        seen = (self._tile + 2 * self._overlap) // self.factor ** (self._passes(scale) - 1)
        tile = min(self._tile, max(SMALLEST_TILE, seen - 2 * self._overlap))
        while True:
            try:
                self._fill(enlarged, image, scale, tile, is_cancelled)
            except (torch.OutOfMemoryError, MemoryError):
                # The next try is outside of this block: while the error is handled, its traceback holds the tensors.
                if tile // 2 < SMALLEST_TILE:
                    raise OutOfMemory(
                        f"There is not enough memory for a tile of {tile}x{tile} pixels, {scale} times enlarged."
                    ) from None
                tile //= 2
            else:
                return enlarged
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _passes(self, scale: int) -> int:
        return next(passes for passes in range(1, LARGEST_SCALE) if self.factor**passes >= scale)

    def _fill(
        self, enlarged: np.ndarray, image: np.ndarray, scale: int, tile: int, is_cancelled: Callable[[], bool]
    ) -> None:
        height, width = image.shape[:2]
        for rows in spans(height, tile, self._overlap):
            for columns in spans(width, tile, self._overlap):
                if is_cancelled():
                    raise Cancelled("The request was cancelled.")
                enlarged[rows.placed(scale), columns.placed(scale)] = self._one(image, rows, columns, scale)

    def _one(self, image: np.ndarray, rows: Span, columns: Span, scale: int) -> np.ndarray:
        seen = np.ascontiguousarray(image[rows.first : rows.last, columns.first : columns.last])
        # Bytes go over and bytes come back; a float copy of the tile exists on the device alone.
        signal = torch.from_numpy(seen).to(self._device).permute(2, 0, 1)[None].float() / 255
        passes = self._passes(scale)
        for _ in range(passes):
            signal = self._network(signal.to(self._dtype))
        signal = signal.float()
        if self.factor**passes != scale:
            size = ((rows.last - rows.first) * scale, (columns.last - columns.first) * scale)
            signal = interpolate(signal, size, mode="bicubic", antialias=True, align_corners=False)
        kept = signal[0, :, rows.kept(scale), columns.kept(scale)]
        return kept.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def _check(image: np.ndarray, scale: int) -> None:
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise Refused(f"SCALE is {scale}; it must be a whole number from {SMALLEST_SCALE} to {LARGEST_SCALE}.")
    if image.ndim != RGB or image.shape[2] != RGB or image.dtype != np.uint8:
        raise Refused(f"IMAGE is {image.dtype} of shape {list(image.shape)}; it must be uint8 [height, width, 3].")
    height, width = image.shape[:2]
    if not (1 <= height * scale <= LARGEST_SIDE and 1 <= width * scale <= LARGEST_SIDE):
        raise Refused(
            f"IMAGE is {width}x{height} and SCALE is {scale}; the result must have 1 to {LARGEST_SIDE} pixels a side."
        )
