"""What the service asks of its child processes, as headers of frames. Children import this: the standard library alone.

A child has one render open at a time. `open` comes with the render's bytes; `look` and `cut` are about its pixels, and
`close` lets them go: the only order without an answer.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

OPEN: Final = "open"
LOOK: Final = "look"
CUT: Final = "cut"
CLOSE: Final = "close"


@dataclass(frozen=True, slots=True)
class OrderedPicture:
    """A picture to make: a box of the render, which may leave it, the size to bring that to, and how it becomes a file."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    format: str
    profile: str
    watermark: dict[str, str] | None = None
    """Text and placement."""
    prompt: str | None = None
    """Goes into the file's metadata."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{**told, "box": tuple(told["box"]), "size": tuple(told["size"])})


def opening(size: tuple[int, int]) -> dict[str, Any]:
    """The render has exactly this size, or it is refused."""
    return {"do": OPEN, "size": size}


def looking() -> dict[str, Any]:
    return {"do": LOOK}


def cutting(picture: OrderedPicture) -> dict[str, Any]:
    """One picture for each order: each has its own limits of time, however many a family has."""
    return {"do": CUT, "picture": asdict(picture)}


def closing() -> dict[str, Any]:
    return {"do": CLOSE}
