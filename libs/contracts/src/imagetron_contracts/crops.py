"""What a picture must show of its render: as the caller wishes it, as it was detected, as it was cut. No pixels are touched here.

Places in a render are shares of its width and height, from the top left: they hold for every size of the same picture.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from imagetron_contracts.message import Value

Share = Annotated[float, Field(ge=0, le=1)]


class Point(Value):
    """A place in a render."""

    x: Share
    y: Share


class Box(Value):
    """A part of a render; its edges run along the render's."""

    left: Share
    top: Share
    right: Share
    bottom: Share

    @model_validator(mode="after")
    def _has_an_inside(self) -> Self:
        if self.left >= self.right:
            raise ValueError("right must be greater than left")
        if self.top >= self.bottom:
            raise ValueError("bottom must be greater than top")
        return self


class Misfit(StrEnum):
    """What happens where no window of a picture's ratio holds all that must stay."""

    CUT = "cut"
    """As much of it as fits."""
    PAD = "pad"
    """All of it, with the render's edges continued, out of focus."""
    BORROW = "borrow"
    """All of it, from another family's render of the same image, if one holds it; otherwise as `PAD`."""


class Subject(Value):
    """What the caller says about the subject of a picture. It goes before whatever is detected."""

    safe_zone: Box | None = None
    """Stays whole."""
    focal_point: Point | None = None
    """Stays as near to the middle as the safe zone and the render's edges allow."""
    misfit: Misfit | None = None
    """Absent: a safe zone is padded, detected faces are cut."""


class Detection(Value):
    """What was found in one render, once, for all of its pictures."""

    detector: str
    """Name and version of what looked, and of its models."""
    faces: tuple[Box, ...] = ()
    """With room for hair and chin."""
    salient: Point | None = None
    """Where most that draws the eye is."""


class Evidence(StrEnum):
    """What decided where a window lies, the strongest first."""

    SAFE_ZONE = "safe_zone"
    FOCAL_POINT = "focal_point"
    FACES = "faces"
    SALIENCY = "saliency"
    CENTRE = "centre"


class Fit(StrEnum):
    """Whether a picture holds all that must stay."""

    WHOLE = "whole"
    CUT = "cut"
    PADDED = "padded"
    BORROWED = "borrowed"


class Window(Value):
    """A rectangle in pixels of the render. It leaves the render only where a picture is padded."""

    left: int
    top: int
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class Crop(Value):
    """What a picture shows of its render, and why."""

    window: Window
    evidence: Evidence
    fit: Fit
    family: str | None = None
    """Whose render it was cut from, if it is not the picture's own family."""
