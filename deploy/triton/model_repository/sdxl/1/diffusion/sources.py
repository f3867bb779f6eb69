"""The picture that image-to-image begins with, brought to the order's size: cut around its middle, never stretched."""

import numpy as np
import torch
from torch.nn.functional import interpolate


def fitted(source: np.ndarray, width: int, height: int) -> torch.Tensor:
    """uint8 [rows, columns, 3] of any size to uint8 [height, width, 3]; what has the size already comes back as it is."""
    rows, columns = source.shape[:2]
    if (rows, columns) == (height, width):
        return torch.from_numpy(np.array(source))
    cut_columns = min(columns, max(1, round(rows * width / height)))
    cut_rows = min(rows, max(1, round(columns * height / width)))
    top, left = (rows - cut_rows) // 2, (columns - cut_columns) // 2
    cut = torch.from_numpy(np.array(source[top : top + cut_rows, left : left + cut_columns]))
    planes = cut.permute(2, 0, 1)[None].float()
    resized = interpolate(planes, (height, width), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


def as_signal(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [height, width, 3] to [1, 3, height, width] from -1 to 1, as VAEs read it."""
    return (pixels.permute(2, 0, 1)[None].float() / 255) * 2 - 1
