"""Which part of a render a picture shows. Exact integer arithmetic; no pixels."""

from dataclasses import dataclass
from typing import Final

from imagetron_contracts.media import Dimensions


@dataclass(frozen=True, slots=True)
class Focus:
    """The point that a window keeps as near to its middle as the render allows, as shares of width and height."""

    x: float
    y: float


CENTRE: Final = Focus(0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels inside a render."""

    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def window(render: Dimensions, target: Dimensions, focus: Focus = CENTRE) -> Window:
    """The largest window of the target's ratio.

    It touches two opposite edges of the render; its other side is the exact one rounded to the nearest pixel, so a
    picture is stretched by less than half a pixel of the window.
    """
    if render.width * target.height >= render.height * target.width:
        width, height = _rounded(render.height * target.width, target.height), render.height
    else:
        width, height = render.width, _rounded(render.width * target.height, target.width)
    return Window(
        left=_start(render.width, width, focus.x),
        top=_start(render.height, height, focus.y),
        width=width,
        height=height,
    )


def _rounded(numerator: int, denominator: int) -> int:
    """Half up, at least one pixel."""
    return max(1, (2 * numerator + denominator) // (2 * denominator))


def _start(length: int, size: int, focus: float) -> int:
    return min(max(int(focus * length - size / 2), 0), length - size)
