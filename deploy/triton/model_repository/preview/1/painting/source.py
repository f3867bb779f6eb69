"""The picture that a variation begins with: cut to the canvas's shape around its middle, resized, blended. Integers only.

So it has the same bytes on every machine. The painter's own pixels do not depend on anything in here.
"""

import numpy as np

# Positions between pixels and shares of a blend, both in 1/1024.
UNITS = 1024


class Source:
    """`strength` is how far the picture goes from the source: 0 gives it back, 1 leaves the painting alone."""

    def __init__(self, pixels: np.ndarray, strength: float, width: int, height: int) -> None:
        rows, columns = pixels.shape[:2]
        # The largest part with the canvas's shape, so that nothing is stretched.
        cut_columns = max(1, min(columns, (2 * rows * width + height) // (2 * height)))
        cut_rows = max(1, min(rows, (2 * columns * height + width) // (2 * width)))
        top, left = (rows - cut_rows) // 2, (columns - cut_columns) // 2
        self._pixels = pixels[top : top + cut_rows, left : left + cut_columns]
        self._share = int(strength * UNITS + 0.5)
        self._down = _positions(cut_rows, height)
        self._across = _positions(cut_columns, width)

    def blend(self, image: np.ndarray, first: int, last: int) -> None:
        """Lay the painting's rows `first` to `last` over the source, in place."""
        image[first:last] = (
            image[first:last].astype(np.int32) * self._share
            + self._rows(first, last) * (UNITS - self._share)
            + UNITS // 2
        ) // UNITS

    def _rows(self, first: int, last: int) -> np.ndarray:
        """The source's rows at the canvas's size: between four neighbours, rounded once."""
        upper, lower, down = (part[first:last] for part in self._down)
        left, right, across = self._across
        across = across[None, :, None]
        # At most 255 * 1024 * 1024, which is less than 2^31.
        above, below = (
            self._pixels[rows][:, left].astype(np.int32) * (UNITS - across)
            + self._pixels[rows][:, right].astype(np.int32) * across
            for rows in (upper, lower)
        )
        down = down[:, None, None]
        half = UNITS * UNITS // 2
        return (above * (UNITS - down) + below * down + half) // (UNITS * UNITS)


def _positions(given: int, wanted: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """For each wanted pixel's middle the two given ones around it, and how far it lies towards the second, in UNITS."""
    middles = (2 * np.arange(wanted, dtype=np.int64) + 1) * given * UNITS // (2 * wanted) - UNITS // 2
    middles = np.clip(middles, 0, (given - 1) * UNITS)
    before = middles // UNITS
    return before, np.minimum(before + 1, given - 1), (middles % UNITS).astype(np.int32)
