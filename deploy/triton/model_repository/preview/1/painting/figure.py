"""Antialiased shapes by signed distance, in a figure's own coordinates: x to the right, y upwards, 1 is `size` pixels."""

import copy
import math
from itertools import pairwise

import numpy as np

from .canvas import Canvas
from .colour import Colour

Point = tuple[float, float]


class Figure:
    """A pen whose origin stands at (x, y) pixels. `mirrored` draws downwards (a reflection); `opacity` thins the ink."""

    def __init__(
        self,
        canvas: Canvas,
        x: float,
        y: float,
        size: float,
        *,
        mirrored: bool = False,
        opacity: float = 1.0,
        lean: int = 1,
    ) -> None:
        self.canvas = canvas
        self.size = size
        self._x, self._y = x, y
        self._down = size * (0.92 if mirrored else -1.0)
        self._across = size * lean
        self._opacity = opacity
        self.mirrored = mirrored

    def thinned(self, opacity: float) -> "Figure":
        """The same pen with thinner ink."""
        thin = copy.copy(self)
        thin._opacity = self._opacity * opacity  # noqa: SLF001 its own copy
        return thin

    def polygon(self, points: "list[Point] | tuple[Point, ...]", colour: "Colour | tuple[Colour, Colour]") -> None:
        """One colour, or two: the shape then turns from the first (left) to the second (right)."""
        corners = [self._pixel(*point) for point in points]
        window = self._window(corners, 1.5)
        if window is None:
            return
        top, left, x, y = window
        nearest = np.full((y.shape[0], x.shape[1]), 1e12, np.float32)
        inside = np.zeros(nearest.shape, bool)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            ex, ey = bx - ax, by - ay
            px, py = x - ax, y - ay
            t = np.clip((px * ex + py * ey) * (1.0 / max(ex * ex + ey * ey, 1e-9)), 0.0, 1.0)
            dx, dy = px - t * ex, py - t * ey
            np.minimum(nearest, dx * dx + dy * dy, out=nearest)
            if ay != by:
                crosses = (y >= min(ay, by)) & (y < max(ay, by))
                inside ^= crosses & (px < py * (ex / ey))
        distance = np.sqrt(nearest)
        self._ink(top, left, np.where(inside, -distance, distance), colour)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, colour: "Colour | tuple[Colour, Colour]") -> None:
        px, py = self._pixel(cx, cy)
        rx, ry = rx * self.size, ry * self.size
        window = self._window([(px - rx, py - ry), (px + rx, py + ry)], 1.5)
        if window is None:
            return
        top, left, x, y = window
        dx, dy = (x - px) * (1.0 / rx), (y - py) * (1.0 / ry)
        near = np.sqrt(dx * dx + dy * dy)
        steep = np.sqrt((dx * dx) * (1.0 / rx**2) + (dy * dy) * (1.0 / ry**2))
        self._ink(top, left, (near - 1.0) * near / np.maximum(steep, 1e-6), colour)

    def limb(self, a: Point, b: Point, ra: float, rb: float, colour: "Colour | tuple[Colour, Colour]") -> None:
        """A stroke from a to b whose thickness runs from ra to rb."""
        (ax, ay), (bx, by) = self._pixel(*a), self._pixel(*b)
        ra, rb = max(ra * self.size, 0.55), max(rb * self.size, 0.35)
        thick = max(ra, rb)
        window = self._window([(ax, ay), (bx, by)], thick + 1.5)
        if window is None:
            return
        top, left, x, y = window
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        t = np.clip((px * ex + py * ey) * (1.0 / max(ex * ex + ey * ey, 1e-9)), 0.0, 1.0)
        dx, dy = px - t * ex, py - t * ey
        self._ink(top, left, np.sqrt(dx * dx + dy * dy) - (ra + t * (rb - ra)), colour)

    def lathe(
        self,
        outline: "list[Point] | tuple[Point, ...]",
        colour: "Colour | tuple[Colour, Colour]",
        *,
        share: float = 1.0,
        x: float = 0.0,
    ) -> None:
        """A body of revolution: `outline` gives (height, half width) upwards; `share` draws only its middle."""
        heights = [height for height, _ in outline]
        widest = max(half for _, half in outline)
        window = self._window([self._pixel(x - widest, heights[0]), self._pixel(x + widest, heights[-1])], 1.5)
        if window is None:
            return
        top, left, columns, rows = window
        up = (rows[:, 0] - self._y) * (1.0 / self._down)
        half = np.interp(up, heights, [half for _, half in outline]).astype(np.float32) * (self.size * share)
        steep = np.zeros_like(half)
        steep[1:-1] = (half[2:] - half[:-2]) * 0.5
        away = np.abs(columns - self._pixel(x, 0)[0])
        distance = (away - half[:, None]) * (1.0 / np.sqrt(1.0 + np.minimum(steep * steep, 8.0)))[:, None]
        beyond = np.maximum(heights[0] - up, up - heights[-1])[:, None] * self.size
        self._ink(top, left, np.maximum(distance, beyond), colour)

    def box(
        self, left: float, bottom: float, right: float, top: float, colour: "Colour | tuple[Colour, Colour]"
    ) -> None:
        self.polygon(((left, bottom), (right, bottom), (right, top), (left, top)), colour)

    def curve(self, points: "list[Point]", ra: float, rb: float, colour: Colour) -> None:
        steps = len(points) - 1
        for i, (a, b) in enumerate(pairwise(points)):
            self.limb(a, b, ra + (rb - ra) * i / steps, ra + (rb - ra) * (i + 1) / steps, colour)

    def glow(self, cx: float, cy: float, radius: float, colour: Colour) -> None:
        """Soft light that fades to nothing at `radius`."""
        if self.mirrored:
            return
        px, py = self._pixel(cx, cy)
        reach = radius * self.size
        window = self._window([(px, py)], reach)
        if window is None:
            return
        top, left, x, y = window
        dx, dy = x - px, y - py
        fade = np.maximum(1.0 - (dx * dx + dy * dy) * (1.0 / reach**2), 0.0)
        self.canvas.shine(top, left, fade * fade * fade, colour)

    def _pixel(self, x: float, y: float) -> Point:
        return self._x + x * self._across, self._y + y * self._down

    def _window(self, points: "list[Point]", margin: float) -> "tuple[int, int, np.ndarray, np.ndarray] | None":
        left = max(0, math.floor(min(x for x, _ in points) - margin))
        right = min(self.canvas.width, math.ceil(max(x for x, _ in points) + margin))
        top = max(0, math.floor(min(y for _, y in points) - margin))
        bottom = min(self.canvas.height, math.ceil(max(y for _, y in points) + margin))
        if left >= right or top >= bottom:
            return None
        columns = np.arange(left, right, dtype=np.float32)[None, :] + 0.5
        rows = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
        return top, left, columns, rows

    def _ink(self, top: int, left: int, distance: np.ndarray, colour: "Colour | tuple[Colour, Colour]") -> None:
        coverage = np.clip(0.5 - distance, 0.0, 1.0).astype(np.float32)
        if self._opacity < 1:
            coverage *= self._opacity
        if isinstance(colour[0], float):
            self.canvas.blend(top, left, coverage, colour)
            return
        first, second = colour if self._across > 0 else colour[::-1]
        width = coverage.shape[1]
        t = (np.arange(width, dtype=np.float32) + 0.5) * (1.0 / width)
        t = (t * t * (3.0 - 2.0 * t))[None, :]
        self.canvas.blend(top, left, coverage, [t * (b - a) + a for a, b in zip(first, second, strict=True)])
