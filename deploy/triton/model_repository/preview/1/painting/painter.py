"""A picture in steps: the layers back to front, finer touches when there are steps for them, then the finish in bands.

The same order gives the same bytes on every run; a picture with fewer steps is the same composition, less worked out.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from .canvas import Canvas, Finish
from .compose import compose
from .dice import Dice
from .order import Order
from .reading import read
from .source import Source

# Part of every fingerprint: raise it with every change that moves a pixel.
VERSION = "1"

BAND_ROWS = 32  # three planes of 1024 such rows fit a core's second-level cache


class Painting:
    """`steps` does the work, one share at a time; `image` is complete after the last."""

    def __init__(self, order: Order) -> None:
        self._order = order
        dice = Dice.of(order.prompt, str(order.seed))
        wish = read(order.prompt, order.negative_prompt, dice)
        canvas = Canvas(order.width, order.height)
        # Guidance 7 is neutral: less is paler, more is fuller, within what still looks good.
        pull = min(1.0, max(-1.0, (order.guidance - 7.0) / 13.0))
        self._finish = Finish(
            canvas,
            saturation=1.08 + 0.28 * pull,
            contrast=0.16 + 0.22 * pull,
            grain_key=dice.named("grain").key,
        )
        self._source = None
        if order.source is not None:
            self._source = Source(order.source, order.strength, order.width, order.height)
        layers = compose(canvas, wish, dice)
        spare = max(0, order.steps - len(layers) - 1)
        self._work: list[Callable[[], None]] = []
        for layer in layers:
            self._work.append(layer.paint)
            self._work.extend(layer.touches[:spare])
            spare = max(0, spare - len(layer.touches))
        self._work.extend(self._bands(order.height))

    def _bands(self, height: int) -> Iterator[Callable[[], None]]:
        # As many bands as steps are left, so that every step has work; never so high that a band leaves the cache.
        left = max(1, self._order.steps - len(self._work))
        rows = max(1, min(BAND_ROWS, -(-height // left)))
        for first in range(0, height, rows):
            yield partial(self._band, first, min(height, first + rows))

    def _band(self, first: int, last: int) -> None:
        self._finish.band(first, last)
        if self._source is not None:
            self._source.blend(self._finish.image, first, last)

    def steps(self) -> Iterator[int]:
        """Do the work, yielding the number of each finished step: 1 to the order's `steps`."""
        total, done = self._order.steps, 0
        for step in range(1, total + 1):
            until = len(self._work) * step // total
            for work in self._work[done:until]:
                work()
            done = until
            yield step

    @property
    def total(self) -> int:
        return self._order.steps

    @property
    def image(self) -> np.ndarray:
        return self._finish.image
