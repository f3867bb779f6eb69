"""What every painter of a layer is given: where things stand, which light falls, which colours there are."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .colour import Colour, mixed
from .dice import Dice
from .palettes import Palette


@dataclass(frozen=True)
class Scene:
    """Positions are pixels. `light` is the side the sun stands on, seen from the subject: -1 left, 1 right."""

    canvas: Canvas
    palette: Palette
    dice: Dice
    horizon: float
    focus_x: float
    sun_x: float
    sun_y: float
    light: int

    @property
    def unit(self) -> float:
        return self.canvas.unit

    def columns(self) -> np.ndarray:
        return (np.arange(self.canvas.width, dtype=np.float32) + 0.5) * (1.0 / self.unit)

    def land(self, nearness: float, tint: "Colour | None" = None, share: float = 0.45) -> Colour:
        """The land's colour at a distance: haze far away, the palette's darkest close by, tinted by what grows there."""
        palette = self.palette
        colour = mixed(palette.far, palette.near, nearness)
        if tint is not None:
            tint = mixed(tint, palette.near, 0.62 if palette.is_night else 0.08)
            colour = mixed(colour, mixed(palette.far, tint, 0.35 + 0.65 * nearness), share)
        return mixed(palette.haze, colour, 0.42 + 0.58 * nearness)
