"""Shapes with labels over a small copy of a picture, legible on light and dark. Runs in a child process only.

The copy has room around the picture for what lies outside it. Where edges of several shapes fall together, the later ones
lie further inside, so that each is seen; all others are where they belong, to the pixel.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

from imagetron_chassis.pictures import decoding
from imagetron_chassis.watermarks import FONT

# Binary PPM as our own workers write it, and no other: one maximum, no comments, nothing behind the pixels.
_PPM: Final = re.compile(rb"P6\n([1-9][0-9]{0,3}) ([1-9][0-9]{0,3})\n255\n")
_ROOM: Final = (96, 96, 96)
_DARK: Final = (0, 0, 0)
_LIGHT: Final = (255, 255, 255)
# Pixels of the small copy.
_LINE: Final = 3
_CASING: Final = 1
_APART: Final = _LINE + 2 * _CASING
_DASH: Final = 12
_RING: Final = 9
_LETTERS: Final = 15
_PADDING: Final = 4

Box = tuple[float, float, float, float]


def drawn(data: bytes, order: dict[str, Any]) -> Image.Image:
    """No side is longer than `most_side`; the picture is never enlarged."""
    width, height = order["size"]
    picture = _read(data, order)
    if picture.size != (width, height):
        raise decoding.Unreadable(f"the picture is {picture.width}x{picture.height}, not {width}x{height}")
    boxes = [shape["box"] for shape in order["outlines"]]
    left, top = (min(0, *(box[edge] for box in boxes), 0) for edge in (0, 1))
    right, bottom = (max(side, *(box[edge] for box in boxes), side) for edge, side in ((2, width), (3, height)))
    scale = min(1.0, order["most_side"] / max(right - left, bottom - top))
    canvas = Image.new("RGB", (_pixels((right - left) * scale), _pixels((bottom - top) * scale)), _ROOM)
    small = picture.resize((_pixels(width * scale), _pixels(height * scale)), Image.Resampling.LANCZOS, reducing_gap=2)
    canvas.paste(small, (round(-left * scale), round(-top * scale)))
    _Drawing(canvas, origin=(left, top), scale=scale).draw(order["outlines"], order["spots"])
    return canvas


def _read(data: bytes, order: dict[str, Any]) -> Image.Image:
    header = _PPM.match(data)
    if header is None:
        return decoding.decoded(data, order["max_side"], order["max_pixels"])
    width, height = int(header[1]), int(header[2])
    decoding.check_size(width, height, order["max_side"], order["max_pixels"])
    if len(data) != header.end() + 3 * width * height:
        raise decoding.Unreadable(f"the picture is {width}x{height}, and its file has another length")
    return Image.frombytes("RGB", (width, height), memoryview(data)[header.end() :])


def _pixels(length: float) -> int:
    return max(1, round(length))


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, _LETTERS)


class _Drawing:
    """The small copy, and what is on it already."""

    def __init__(self, canvas: Image.Image, *, origin: tuple[float, float], scale: float) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._size = canvas.size
        self._origin = origin
        self._scale = scale
        self._labels: list[Box] = []

    def draw(self, outlines: list[dict[str, Any]], spots: list[dict[str, Any]]) -> None:
        boxes = _apart([(*self._at(*shape["box"][:2]), *self._at(*shape["box"][2:])) for shape in outlines])
        for shape, box in zip(outlines, boxes, strict=True):
            self._outline(box, tuple(shape["colour"]), is_dashed=shape["dashed"])
        # Afterwards: no line goes through a label.
        for shape, (left, top, _, _) in zip(outlines, boxes, strict=True):
            self._label(shape["label"], (left + _LINE, top + _LINE), tuple(shape["colour"]))
        for spot in spots:
            self._spot(self._at(*spot["place"]), spot["label"], tuple(spot["colour"]))

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self._origin[0]) * self._scale, (y - self._origin[1]) * self._scale

    def _outline(self, box: Box, colour: tuple[int, ...], *, is_dashed: bool) -> None:
        """The line lies inside the box, between dark casings."""
        left, top, right, bottom = box
        for depth in range(_APART):
            inner = (left + depth, top + depth, right - 1 - depth, bottom - 1 - depth)
            if inner[0] <= inner[2] and inner[1] <= inner[3]:
                is_casing = depth < _CASING or depth >= _CASING + _LINE
                self._frame(inner, _DARK if is_casing else colour, is_dashed=is_dashed)

    def _frame(self, box: Box, colour: tuple[int, ...], *, is_dashed: bool) -> None:
        left, top, right, bottom = box
        if not is_dashed:
            self._draw.rectangle(box, outline=colour)
            return
        for start, end in _dashes(left, right):
            self._draw.line((start, top, end, top), fill=colour)
            self._draw.line((start, bottom, end, bottom), fill=colour)
        for start, end in _dashes(top, bottom):
            self._draw.line((left, start, left, end), fill=colour)
            self._draw.line((right, start, right, end), fill=colour)

    def _spot(self, place: tuple[float, float], label: str, colour: tuple[int, ...]) -> None:
        x, y = place
        for radius, line, width in ((_RING + _CASING, _DARK, _APART), (_RING, colour, _LINE)):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=line, width=width)
        self._draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour, outline=_DARK)
        self._label(label, (x + _RING + _PADDING, y - _RING), colour)

    def _label(self, text: str, corner: tuple[float, float], colour: tuple[int, ...]) -> None:
        """Below the labels that are there already, and on the picture."""
        if not text:
            return
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=_font())
        width, height = right - left + 2 * _PADDING, bottom - top + 2 * _PADDING
        x = max(0.0, min(corner[0], self._size[0] - width))
        places = [(x, y, x + width, y + height) for y in self._heights(corner[1], height)]
        free = (place for place in places if not any(_meet(place, other) for other in self._labels))
        box = next(free, places[0])
        self._labels.append(box)
        self._draw.rectangle(box, fill=colour, outline=_DARK)
        self._draw.text((box[0] + _PADDING - left, box[1] + _PADDING - top), text, fill=_contrast(colour), font=_font())

    def _heights(self, wanted: float, height: float) -> Iterator[float]:
        most = max(0.0, self._size[1] - height)
        first = max(0.0, min(wanted, most))
        yield from itertools.takewhile(lambda y: y <= most, (first + step * (height + 1) for step in range(64)))


def _apart(boxes: list[Box]) -> list[Box]:
    """Each edge that would cover an earlier box's same edge is moved inside, as often as there are such edges."""
    moved: list[Box] = []
    for index, box in enumerate(boxes):
        inside = [
            _APART * sum(abs(other[edge] - box[edge]) < _APART for other in boxes[:index]) for edge in range(len(box))
        ]
        left, top, right, bottom = box
        moved.append((left + inside[0], top + inside[1], right - inside[2], bottom - inside[3]))
    return moved


def _dashes(start: float, end: float) -> Iterable[tuple[float, float]]:
    count = max(1, round((end - start) / _DASH))
    return [(start + each * _DASH, min(end, start + (each + 0.5) * _DASH)) for each in range(count)]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _contrast(colour: tuple[int, ...]) -> tuple[int, int, int]:
    """Rec. 709 luma: dark letters on light colours."""
    red, green, blue = colour
    return _DARK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128 else _LIGHT  # noqa: PLR2004 - half of it
