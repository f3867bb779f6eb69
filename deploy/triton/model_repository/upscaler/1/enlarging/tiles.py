"""Cutting a side into pieces that each see a little of their neighbours. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

# Pieces begin at multiples of this: networks that fold 2x2 pixels, and reductions from 4 to 3, then see them in one phase.
GRID = 4


@dataclass(frozen=True)
class Span:
    """A piece of one side: what it is for (`start` to `stop`), and what it sees (`first` to `last`), in source pixels."""

    start: int
    stop: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        """Where in the enlarged view the piece itself lies."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)

    def placed(self, scale: int) -> slice:
        """Where in the enlarged picture it belongs."""
        return slice(self.start * scale, self.stop * scale)


def spans(length: int, tile: int, overlap: int) -> Iterator[Span]:
    """Pieces of nearly equal length, none longer than `tile`, that cover the side once.

    At the picture's own borders nothing is added, so that the network treats them as it treats a whole picture's.
    """
    largest = max(tile - tile % GRID, GRID)
    count = -(-length // largest)
    cuts = [min(length, -(-length * number // count // GRID) * GRID) for number in range(count + 1)]
    cuts[-1] = length
    seen = -(-overlap // GRID) * GRID
    for start, stop in pairwise(cuts):
        yield Span(start, stop, max(0, start - seen), min(length, stop + seen))
