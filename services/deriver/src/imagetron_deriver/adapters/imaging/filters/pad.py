"""A window that leaves the render: the render's edges go on, mirrored, and get out of focus the further they are away.

Looked at beside an enlarged cut, stretched edges and a darker frame: only this one shows no seam in skies and walls.
"""

from dataclasses import dataclass
from typing import Final, Self

from PIL import Image, ImageFilter

from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture

# Pixels of the longer side while it is out of focus: nothing finer than that is left.
_BLURRED_SIDE: Final = 320
# Shares of that side: how blurred it is at the render's edges and far away, and how far away that is.
_NEAR: Final = 0.012
_FAR: Final = 0.05
_AWAY: Final = 0.06

Size = tuple[int, int]
Place = tuple[int, int]


def apply(view: View, wanted: OrderedPicture) -> View:
    left, top, right, bottom = view.box
    width, height = view.picture.size
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return view
    across = _Side.of(left, right, width, wanted.size[0])
    down = _Side.of(top, bottom, height, wanted.size[1])
    # At its final size at once: a window may be far larger than the render and the picture.
    sharp = view.picture.resize(
        (across.size, down.size), Image.Resampling.LANCZOS, box=(across.first, down.first, across.last, down.last)
    )
    place = (across.start, down.start)
    picture = _continued(sharp, place, wanted.size)
    picture.paste(sharp, place)
    return View(picture, (0, 0, *wanted.size))


@dataclass(frozen=True, slots=True)
class _Side:
    """Along one side: the picture's pixels that show the render and nothing else, and what of the render they show."""

    start: int
    size: int
    first: float
    last: float

    @classmethod
    def of(cls, first: int, last: int, render: int, picture: int) -> Self:
        window = last - first
        inside, outside = max(first, 0), min(last, render)
        start, end = -(-(inside - first) * picture // window), (outside - first) * picture // window
        if start >= end:
            # A sliver of the render that fills no pixel gets one all the same.
            return cls(min((inside - first) * picture // window, picture - 1), 1, inside, outside)
        # Rounding may bring a part of the render outside of it by less than a billionth of a pixel.
        shown = (first + edge * window / picture for edge in (start, end))
        return cls(start, end - start, *(min(max(edge, inside), outside) for edge in shown))


def _continued(sharp: Image.Image, place: Place, picture: Size) -> Image.Image:
    """What the picture shows around the render. Made small: out of focus, nobody sees the difference, but it is quick."""
    scale = min(1.0, _BLURRED_SIDE / max(picture))
    size, known = _scaled(picture, scale), sharp.resize(_scaled(sharp.size, scale), Image.Resampling.BOX)
    at = round(place[0] * scale), round(place[1] * scale)
    mirrored = _mirrored(known, at, size)
    near, far = (mirrored.filter(ImageFilter.GaussianBlur(share * max(size))) for share in (_NEAR, _FAR))
    # Half covered at the render's edges by its blur, which is where the near one should be alone.
    distance = Image.new("L", size, 255)
    distance.paste(0, (*at, at[0] + known.width, at[1] + known.height))
    distance = distance.filter(ImageFilter.GaussianBlur(_AWAY * max(size)))
    mask = distance.point([max(0, 2 * value - 255) for value in range(256)])
    return Image.composite(far, near, mask).resize(picture, Image.Resampling.BICUBIC)


def _scaled(size: Size, scale: float) -> Size:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _mirrored(known: Image.Image, at: Place, size: Size) -> Image.Image:
    """The picture in its place, mirrored at its edges as often as it takes to fill the size."""
    turned = Image.new("RGB", (2 * known.width, 2 * known.height))
    across, down = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM
    turned.paste(known, (0, 0))
    turned.paste(known.transpose(across), (known.width, 0))
    turned.paste(turned.crop((0, 0, turned.width, known.height)).transpose(down), (0, known.height))
    filled = Image.new("RGB", size)
    for left in range(at[0] % turned.width - turned.width, size[0], turned.width):
        for top in range(at[1] % turned.height - turned.height, size[1], turned.height):
            filled.paste(turned, (left, top))
    return filled
