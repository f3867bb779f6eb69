"""A line of text on a picture: white, with a dark outline in a soft shadow. Whatever lies behind, one of them stands out."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from imagetron_chassis.watermarks import FONT
from imagetron_deriver.adapters.imaging.filters.view import View
from imagetron_deriver.adapters.orders import OrderedPicture

# Of a picture's smaller side: the height of letters with their ascent, and the room up to the edges.
_SIZE: Final = 0.04
_MARGIN: Final = 0.03
# Pixels: below it, letters cannot be told apart. A text that would not fit becomes smaller nevertheless.
_SMALLEST: Final = 12
# Of the letters' size.
_OUTLINE: Final = 1 / 12
_SHADOW: Final = 1 / 8
# How much of what lies behind they cover. Looked at on light, dark, grey and noisy pictures; the tests say what must hold.
_TEXT_COVERS: Final = 0.9
_OUTLINE_COVERS: Final = 0.8
_SHADOW_COVERS: Final = 0.5
# All over a picture, the text must let more of it through.
_TILED_COVERS: Final = 0.75
_TILED_DEGREES: Final = 30
# Of the letters' size: between two texts of a row, and from row to row.
_TILED_GAP: Final = 3
_TILED_ROW: Final = 5

Size = tuple[int, int]
Place = tuple[int, int]

_LIGHT: Final = (255, 255, 255)
_DARK: Final = (0, 0, 0)


def apply(view: View, wanted: OrderedPicture) -> View:
    if wanted.watermark is None:
        return view
    text, placement = wanted.watermark["text"], wanted.watermark["placement"]
    picture = view.picture.copy()
    if placement == "tiled":
        # Turned, a text as long as the smaller side is still whole in the middle of the picture.
        sign = _turned(_sign(text, _font(text, picture.size, min(picture.size))))
        places: Iterable[Place] = _all_over(sign, picture.size)
    else:
        sign = _sign(text, _font(text, picture.size, picture.width))
        places = [_place(sign, placement, picture.size)]
    for at in places:
        picture.paste(_DARK, at, sign.dark)
        picture.paste(_LIGHT, at, sign.light)
    return View(picture, view.box)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A text as two masks of one size: where it darkens a picture, and where it lightens it. They do not overlap."""

    dark: Image.Image
    light: Image.Image
    letters: float
    """Their size in pixels."""
    length: int
    """Of the text with its outline, along its line."""
    edge: int
    """The shadow's, around the outline."""

    @property
    def size(self) -> tuple[int, int]:
        return self.light.size


def _font(text: str, picture: Size, room: int) -> ImageFont.FreeTypeFont:
    """As large as the picture suggests, or as still fits into the room between the margins."""
    smaller = min(picture)
    most = room - 2 * round(smaller * _MARGIN)
    size = max(_SMALLEST, round(smaller * _SIZE))
    font = ImageFont.truetype(FONT, size)
    while size > 1 and (length := _length(text, font)) > most:
        # Hinted letters do not shrink evenly, so that one step may not be enough.
        size = max(1, min(size - 1, int(size * most / length)))
        font = ImageFont.truetype(FONT, size)
    return font


def _length(text: str, font: ImageFont.FreeTypeFont) -> float:
    left, _, right, _ = font.getbbox(text, stroke_width=_outline(font))
    return right - left


def _outline(font: ImageFont.FreeTypeFont) -> int:
    return max(1, round(font.size * _OUTLINE))


def _sign(text: str, font: ImageFont.FreeTypeFont) -> _Sign:
    blur = font.size * _SHADOW
    # Gaussian shadows end where nobody sees them any more.
    edge = math.ceil(2 * blur)
    left, top, right, bottom = font.getbbox(text, stroke_width=_outline(font))
    size = (math.ceil(right - left) + 2 * edge, math.ceil(bottom - top) + 2 * edge)
    letters, outlined = Image.new("L", size), Image.new("L", size)
    start = (edge - left, edge - top)
    ImageDraw.Draw(letters).text(start, text, 255, font)
    ImageDraw.Draw(outlined).text(start, text, 255, font, stroke_width=_outline(font))
    shadow = outlined.filter(ImageFilter.GaussianBlur(blur))
    around = ImageChops.lighter(_scaled(outlined, _OUTLINE_COVERS), _scaled(shadow, _SHADOW_COVERS))
    dark = ImageChops.multiply(around, ImageChops.invert(letters))
    return _Sign(dark, _scaled(letters, _TEXT_COVERS), font.size, size[0] - 2 * edge, edge)


def _scaled(mask: Image.Image, share: float) -> Image.Image:
    return mask.point([round(value * share) for value in range(256)])


def _place(sign: _Sign, placement: str, picture: Size) -> Place:
    """The outline touches the margins; the shadow may lie in them."""
    near = round(min(picture) * _MARGIN) - sign.edge
    right, bottom = (side - length - near for side, length in zip(picture, sign.size, strict=True))
    return {
        "top_left": (near, near),
        "top_right": (right, near),
        "bottom_left": (near, bottom),
        "bottom_right": (right, bottom),
        "centre": _around((picture[0] / 2, picture[1] / 2), sign),
    }[placement]


def _around(middle: tuple[float, float], sign: _Sign) -> Place:
    width, height = sign.size
    return round(middle[0] - width / 2), round(middle[1] - height / 2)


def _turned(sign: _Sign) -> _Sign:
    dark, light = (
        _scaled(mask.rotate(_TILED_DEGREES, Image.Resampling.BICUBIC, expand=True), _TILED_COVERS)
        for mask in (sign.dark, sign.light)
    )
    return replace(sign, dark=dark, light=light)


def _all_over(sign: _Sign, picture: Size) -> Iterator[Place]:
    """Rows that climb to the right, every other one moved by half a text; one text is in the middle of the picture."""
    step, row_step = sign.length + _TILED_GAP * sign.letters, _TILED_ROW * sign.letters
    turn = math.radians(_TILED_DEGREES)
    # Far enough along the line and across it to reach every corner.
    reach = math.hypot(*picture) / 2
    rows, columns = math.ceil(reach / row_step), math.ceil(reach / step) + 1
    for row in range(-rows, rows + 1):
        for column in range(-columns, columns + 1):
            along, across = (column + row % 2 / 2) * step, row * row_step
            yield _around(
                (
                    picture[0] / 2 + along * math.cos(turn) + across * math.sin(turn),
                    picture[1] / 2 - along * math.sin(turn) + across * math.cos(turn),
                ),
                sign,
            )
