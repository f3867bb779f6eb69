"""Where a window may lie: it slides along one axis of a render. Whole pixels on one line, nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of whole pixels; its end is outside."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def holds(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end


def hull(spans: Sequence[Span]) -> Span:
    """The shortest stretch that holds them all."""
    return Span(min(span.start for span in spans), max(span.end for span in spans))


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a window may begin: from the first place to the last."""

    first: int
    last: int

    def nearest(self, place: int) -> int:
        return min(max(place, self.first), self.last)

    def meets(self, other: "Reach") -> bool:
        return self.first <= other.last and other.first <= self.last

    def towards(self, wish: "Reach") -> "Reach":
        """The part of it that is wished for, or else its end nearest to that."""
        return Reach(self.nearest(wish.first), self.nearest(wish.last))


@dataclass(frozen=True, slots=True)
class Slide:
    """The line along which a window is moved: the lengths of render and window on it."""

    is_vertical: bool
    render: int
    window: int

    @property
    def everywhere(self) -> Reach:
        return Reach(0, self.render - self.window)

    @property
    def centre(self) -> int:
        return (self.render - self.window) // 2

    def span(self, start: float, end: float) -> Span:
        """All pixels between two shares. A millionth of one is the error of a share, not a pixel."""
        return Span(math.floor(start * self.render + 1e-6), math.ceil(end * self.render - 1e-6))

    def pixel(self, share: float) -> Span:
        """The one at a share of the render's length."""
        place = min(math.floor(share * self.render), self.render - 1)
        return Span(place, place + 1)

    def around(self, share: float) -> int:
        """Where a window would begin that has this place in its middle."""
        return math.floor(share * self.render - self.window / 2)

    def holding(self, span: Span) -> Reach:
        """Where a window begins that holds a stretch, or that lies within it, where the stretch is the longer one."""
        ends = span.start, span.end - self.window
        return Reach(min(ends), max(ends))

    def comfortable(self, span: Span, *, is_faces: bool) -> Reach:
        """Where a window begins that leaves some of the room around a stretch on either side of it: a quarter at least.

        Faces lie over bodies, so they get a third on either side, and less room above them than below: their middle, the
        eyes, comes to about a third of the height. Of faces that are longer than the window, it shows the middle.
        """
        room = self.window - span.length
        if is_faces and room < 0:
            least, most = room // 2, room // 2
        elif is_faces and self.is_vertical:
            least, most = room // 5, room // 3
        elif is_faces:
            least, most = room // 3, room - room // 3
        else:
            least, most = sorted((room // 4, room - room // 4))
        return Reach(span.start - most, span.start - least)

    def most_salient(self, profile: Sequence[float], reach: Reach) -> int:
        """Where a window begins that has most of what draws the eye; of equal ones the one nearest to the centre."""
        # Whole numbers: a mirrored picture has exactly the mirrored sums.
        masses = [round(share * (1 << 40)) for share in profile]
        sums = [0, *accumulate(masses)]
        bins = len(masses)

        def mass_before(place: int) -> int:
            full, rest = divmod(place * bins, self.render)
            return sums[full] * self.render + (masses[full] * rest if rest else 0)

        def worth(start: int) -> tuple[int, int]:
            return mass_before(start + self.window) - mass_before(start), -abs(2 * start - self.everywhere.last)

        # Between two places where one of its ends passes the edge of a bin, a window's mass changes evenly.
        edges = {place * self.render // bins for place in range(bins + 1)}
        edges |= {-(-place * self.render // bins) for place in range(bins + 1)}
        starts = {reach.first, reach.last, reach.nearest(self.centre), *edges, *(edge - self.window for edge in edges)}
        return max(sorted(start for start in starts if reach.first <= start <= reach.last), key=worth)
