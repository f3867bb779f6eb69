"""What is made: two families' derivatives, and the renders that they are made from, in the formats that renders come in."""

import io
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from imagetron_contracts.families import FAMILIES

# How a render comes: as our own generators write it (ADR-0012), and as providers deliver theirs.
INPUTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "ppm": ("PPM", {}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90, "method": 4}),
    "lossless-webp": ("WEBP", {"lossless": True, "quality": 50, "method": 4}),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A family's render and the sizes of its derivatives."""

    name: str
    render: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]


def shape(family: str) -> Shape:
    known = FAMILIES[family]
    master, sizes = known.master, tuple(derivative.size for derivative in known.derivatives)
    return Shape(family, (master.width, master.height), tuple((size.width, size.height) for size in sizes))


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph in one shape."""

    photograph: str
    shape: Shape
    inputs: dict[str, bytes]
    """The render's bytes by the name of their format."""

    @classmethod
    def of(cls, photograph: str, shape: Shape, render: Image.Image) -> "Job":
        return cls(photograph, shape, {name: encoded(render, *how) for name, how in INPUTS.items()})

    def pixels(self, name: str) -> Image.Image:
        """The render as one of its inputs has it: a lossy one is not what it was made from."""
        return Image.open(io.BytesIO(self.inputs[name])).convert("RGB")

    def sized(self) -> list[Image.Image]:
        """The pictures as the encoder gets them."""
        render = self.pixels("ppm")
        return [render.resize(size, Image.Resampling.LANCZOS) for size in self.shape.sizes]


def encoded(picture: Image.Image, form: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()
