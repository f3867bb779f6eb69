"""What was found in a render: where faces are, and how much draws the eye where. How it is found lies elsewhere."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from imagetron_contracts.crops import Box, Detection, Point

PROFILE_BINS: Final = 64
"""As many stretches of equal length lie next to each other, from one edge of a render to the other."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a render, in shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one render. Nothing at all is a finding, too."""

    detector: str
    """Name and version of what looked, and of its models."""
    faces: tuple[Region, ...] = ()
    """With room for hair and chin."""
    columns: tuple[float, ...] = ()
    """What share of all that draws the eye lies in each stretch from left to right; empty: nothing does."""
    rows: tuple[float, ...] = ()
    """The same from top to bottom."""

    def as_detection(self) -> Detection:
        """The same as others are told it."""
        return Detection(
            detector=self.detector,
            faces=tuple(Box(left=face.left, top=face.top, right=face.right, bottom=face.bottom) for face in self.faces),
            salient=Point(x=_median(self.columns), y=_median(self.rows)) if self.columns and self.rows else None,
        )


def _median(profile: tuple[float, ...]) -> float:
    """The middle of the stretch in which half of a profile is reached."""
    sums = list(accumulate(profile))
    return (bisect_left(sums, sums[-1] / 2) + 0.5) / len(profile)
