"""The canvas: three planes of linear light, blended in place. What is painted on it lives elsewhere."""

import numpy as np

from .colour import LEVELS, Colour, display_table
from .dice import random_field

GRAIN_TILE = 256


class Canvas:
    """`unit` is the length that everything is measured in, so that a scene keeps its shape at every size."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        smaller, larger = min(width, height), max(width, height)
        self.unit = min((2 * smaller + larger) / 3, 1.2 * smaller)
        self.planes = np.zeros((3, height, width), np.float32)

    def blend(self, top: int, left: int, coverage: np.ndarray, colour: "Colour | np.ndarray") -> None:
        """Lay `colour` (three numbers, or planes that broadcast) over the canvas where `coverage` (0..1) says so."""
        height, width = coverage.shape
        for plane, ink in zip(self.planes, colour, strict=True):
            region = plane[top : top + height, left : left + width]
            change = ink - region
            change *= coverage
            region += change

    def shine(self, top: int, left: int, light: np.ndarray, colour: Colour) -> None:
        """Add light."""
        height, width = light.shape
        for plane, ink in zip(self.planes, colour, strict=True):
            plane[top : top + height, left : left + width] += light * ink


class Finish:
    """The last pass, in bands of rows: saturation, vignette, contrast, grain, eight bits."""

    def __init__(self, canvas: Canvas, *, saturation: float, contrast: float, grain_key: int) -> None:
        self._canvas = canvas
        self._saturation = saturation
        self._table = display_table(contrast)
        # Two uniform numbers make a triangle: the dither that hides the steps of eight bits without visible noise.
        grain = random_field(grain_key, 2, GRAIN_TILE, GRAIN_TILE)
        self._grain = (grain[0] + grain[1] - 1.0) * 1.3 + 0.5
        across = (np.arange(canvas.width, dtype=np.float32) + 0.5) * (2.0 / canvas.width) - 1.0
        self._across = across * across
        self.image = np.empty((canvas.height, canvas.width, 3), np.uint8)

    def band(self, first: int, last: int) -> None:
        canvas, width = self._canvas, self._canvas.width
        red, green, blue = (plane[first:last] for plane in canvas.planes)
        grey = red * 0.2627 + green * 0.678 + blue * 0.0593
        grey *= 1.0 - self._saturation
        down = (np.arange(first, last, dtype=np.float32) + 0.5) * (2.0 / canvas.height) - 1.0
        vignette = 1.0 - 0.09 * (self._across[None, :] + (down * down)[:, None])
        rows = np.arange(first, last) % GRAIN_TILE
        grain = np.tile(self._grain[rows], (1, -(-width // GRAIN_TILE)))[:, :width]
        for channel, plane in enumerate((red, green, blue)):
            value = plane * self._saturation
            value += grey
            value *= vignette
            np.clip(value, 0.0, 1.0, out=value)
            np.sqrt(value, out=value)
            value *= LEVELS - 1
            shown = np.take(self._table, value.astype(np.int32))
            shown += grain
            np.clip(shown, 0.0, 255.0, out=shown)
            self.image[first:last, :, channel] = shown
