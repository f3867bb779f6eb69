"""What filters hand on to each other."""

from dataclasses import dataclass

from PIL import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture: `box`, which leaves the picture only where a file is to be padded."""

    picture: Image.Image
    box: Box
