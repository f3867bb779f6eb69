"""The pictures that crops are measured on: photographs, and people and things put into landscapes, with their boxes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageFilter, ImageOps

FOLDER: Final = Path(__file__).parent
# The size of a photograph's longer side when it stands for a render: about what models make.
SIDE: Final = 1344

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and the boxes drawn on it by hand, in pixels: left, top, right, bottom."""

    name: str
    image: Image.Image
    subjects: tuple[Box, ...]
    faces: tuple[Box, ...]
    """Heads with hair and chin, of people who look this way."""
    turned_away: tuple[Box, ...]
    """Heads seen from the side."""
    is_composite: bool


def pictures() -> Iterator[Picture]:
    """All of them, in the order of their names; photographs first."""
    boxes = json.loads((FOLDER / "boxes.json").read_text(encoding="utf-8"))
    for name, drawn in sorted(boxes["photographs"].items()):
        image = ImageOps.contain(_photograph(name), (SIDE, SIDE), Image.Resampling.BICUBIC)
        yield Picture(
            name=name,
            image=image,
            subjects=(_in_pixels(drawn["subject"], image.size),),
            faces=tuple(_in_pixels(face, image.size) for face in drawn.get("faces", ())),
            turned_away=tuple(_in_pixels(face, image.size) for face in drawn.get("turned_away", ())),
            is_composite=False,
        )
    for name, recipe in sorted(boxes["composites"].items()):
        yield _composite(name, recipe, boxes["photographs"])


def _composite(name: str, recipe: dict[str, Any], photographs: dict[str, Any]) -> Picture:
    """Cut-outs in a landscape; where two overlap, the later one is in front. Each is: what, its height, left, top."""
    width, height = recipe["size"]
    image = ImageOps.fit(_photograph(recipe["background"]), (width, height), Image.Resampling.BICUBIC)
    subjects: list[Box] = []
    faces: list[Box] = []
    for what, share, left, top in recipe["parts"]:
        photograph, mask = _cutout(what)
        origin = mask.getbbox()
        assert origin is not None, f"the mask of {what} is empty"  # noqa: S101 - drawn by hand, it is not
        scale = share * height / (origin[3] - origin[1])
        move = _Move(scale, left * width - origin[0] * scale, top * height - origin[1] * scale, image.size)
        size = round((origin[2] - origin[0]) * scale), round((origin[3] - origin[1]) * scale)
        part = photograph.crop(origin).resize(size, Image.Resampling.BICUBIC)
        edge = mask.crop(origin).resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
        image.paste(part, (round(left * width), round(top * height)), edge)
        subjects.append(move.box(origin))
        faces += [move.box(_in_pixels(face, photograph.size)) for face in photographs[what].get("faces", ())]
    return Picture(
        name=name, image=image, subjects=tuple(subjects), faces=tuple(faces), turned_away=(), is_composite=True
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """From a photograph's pixels to a composite's."""

    scale: float
    right: float
    down: float
    size: tuple[int, int]

    def box(self, box: Box) -> Box:
        """What of it lies in the composite."""
        left, top, right, bottom = box
        return (
            max(0.0, left * self.scale + self.right),
            max(0.0, top * self.scale + self.down),
            min(float(self.size[0]), right * self.scale + self.right),
            min(float(self.size[1]), bottom * self.scale + self.down),
        )


@cache
def _photograph(name: str) -> Image.Image:
    with Image.open(FOLDER / "pictures" / f"{name}.jpg") as image:
        return image.convert("RGB")


@cache
def _cutout(name: str) -> tuple[Image.Image, Image.Image]:
    """A photograph and the mask of the person or thing on it."""
    with Image.open(FOLDER / "pictures" / "masks" / f"{name}.png") as mask:
        return _photograph(name), mask.convert("L")


def _in_pixels(box: Box, size: tuple[int, int]) -> Box:
    return box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]
