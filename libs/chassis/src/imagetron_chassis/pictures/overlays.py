"""What is to be drawn over a picture, in its own pixels from the top left. No drawing."""

from dataclasses import dataclass
from typing import Final

MOST_SHAPES: Final = 200
MOST_LABEL_CHARACTERS: Final = 80

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Outline:
    """The edges of a rectangle, which may lie outside the picture; its label goes into its top left corner."""

    box: tuple[int, int, int, int]
    colour: Colour
    label: str
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Spot:
    """A place with a ring around it."""

    place: tuple[int, int]
    colour: Colour
    label: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """Outlines and, on top of them, spots. Raises ValueError for more than one order holds."""

    outlines: tuple[Outline, ...] = ()
    spots: tuple[Spot, ...] = ()

    def __post_init__(self) -> None:
        labels = [*(outline.label for outline in self.outlines), *(spot.label for spot in self.spots)]
        if len(labels) > MOST_SHAPES or any(len(label) > MOST_LABEL_CHARACTERS for label in labels):
            raise ValueError(f"at most {MOST_SHAPES} shapes, with {MOST_LABEL_CHARACTERS} characters each, are drawn")
