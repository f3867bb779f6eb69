"""Smooth noise over pixel grids, and fields at reduced resolution. Only exactly rounded operations (+ - * / sqrt floor):
no exp, sin or pow on arrays, whose last bit depends on the numpy build and the processor.
"""

import numpy as np

from .dice import Dice, random_field


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _cells(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    floor = np.floor(coordinates)
    index = floor.astype(np.int64)
    index -= index.min()
    t = (coordinates - floor).astype(np.float32)
    return index, t * t * t * (t * (t * 6.0 - 15.0) + 10.0), int(index.max()) + 2


def value_noise(dice: Dice, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Noise in [0, 1) at the crossing points of `rows` and `columns`, both in lattice cells."""
    row, row_weight, height = _cells(rows)
    column, column_weight, width = _cells(columns)
    lattice = random_field(dice.key, height, width)
    left, right = lattice[:, column], lattice[:, column + 1]
    across = left + (right - left) * column_weight
    upper = np.take(across, row, axis=0)
    lower = np.take(across, row + 1, axis=0)
    lower -= upper
    lower *= row_weight[:, None]
    upper += lower
    return upper


def fbm(dice: Dice, rows: np.ndarray, columns: np.ndarray, octaves: int, gain: float = 0.5) -> np.ndarray:
    """Octaves of noise, normalised to [0, 1)."""
    total = value_noise(dice.named("0"), rows, columns)
    weight, sum_of_weights = 1.0, 1.0
    for octave in range(1, octaves):
        weight *= gain
        sum_of_weights += weight
        # 2.03 instead of 2 keeps the lattices of the octaves from lining up.
        scale = 2.03**octave
        layer = value_noise(dice.named(str(octave)), rows * scale + 0.37 * octave, columns * scale + 0.71 * octave)
        layer *= weight
        total += layer
    total *= 1.0 / sum_of_weights
    return total


def profile(dice: Dice, columns: np.ndarray, octaves: int, gain: float = 0.5, *, ridged: bool = False) -> np.ndarray:
    """A line of noise in [0, 1]: a horizon. Ridged lines have sharp peaks and round valleys."""
    total = np.zeros_like(columns)
    weight, sum_of_weights = 1.0, 0.0
    for octave in range(octaves):
        scale = 2.03**octave
        line = value_noise(dice.named(str(octave)), np.zeros(1, np.float32), columns * scale + 0.61 * octave)[0]
        if ridged:
            line = 1.0 - np.abs(line * 2.0 - 1.0)
        total += line * weight
        sum_of_weights += weight
        weight *= gain
    return total * (1.0 / sum_of_weights)


def smoothed(line: np.ndarray, radius: int) -> np.ndarray:
    """A moving average by two shifted sums of integers' precision (float64 keeps it the same on every machine)."""
    radius = max(1, radius)
    padded = np.concatenate([np.full(radius + 1, line[0]), line, np.full(radius, line[-1])]).astype(np.float64)
    running = np.add.accumulate(padded)
    return ((running[2 * radius + 1 :] - running[: -2 * radius - 1]) / (2 * radius + 1)).astype(np.float32)


def enlarged(field: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear enlargement of a field that was computed at a lower resolution."""
    rows, row_weight = _taps(field.shape[0], height)
    columns, column_weight = _taps(field.shape[1], width)
    left = np.take(field, columns, axis=1)
    right = np.take(field, columns + 1, axis=1)
    right -= left
    right *= column_weight
    left += right
    upper = np.take(left, rows, axis=0)
    lower = np.take(left, rows + 1, axis=0)
    lower -= upper
    lower *= row_weight[:, None]
    upper += lower
    return upper


def _taps(small: int, large: int) -> tuple[np.ndarray, np.ndarray]:
    position = np.clip((np.arange(large, dtype=np.float32) + 0.5) * (small / large) - 0.5, 0.0, small - 1.001)
    index = np.floor(position).astype(np.int64)
    return index, (position - index.astype(np.float32)).astype(np.float32)
