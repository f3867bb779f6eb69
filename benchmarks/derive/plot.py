"""A bar for each ratio, with Pillow alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

WIDTH: Final = 1500
LABELS: Final = 640
"""Room for them, on the left."""
RIGHT: Final = 90
ROW: Final = 46
TOP: Final = 80
BOTTOM: Final = 110
BETTER, MISSED, TOLD = "#1b6ca8", "#d1495b", "#8a9ba8"
DARK, LIGHT = "#222222", "#dddddd"


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio with its quartiles, and what it should be: None where nothing is wanted of it."""

    name: str
    value: float
    low: float
    high: float
    wanted: float | None

    @property
    def colour(self) -> str:
        if self.wanted is None:
            return TOLD
        return BETTER if self.value >= self.wanted else MISSED


def plot(title: str, bars: Sequence[Bar], path: Path) -> None:
    """One line each; a black tick where the goal is, a thin line from quartile to quartile."""
    height = TOP + ROW * len(bars) + BOTTOM
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(22)
    most = max([2.2, *(max(bar.high, bar.wanted or 0) for bar in bars)]) * 1.05

    def across(value: float) -> float:
        return LABELS + value / most * (WIDTH - LABELS - RIGHT)

    draw.text((20, 22), title, DARK, ImageFont.load_default(28))
    bottom = TOP + ROW * len(bars)
    for part in range(int(most * 2) + 1):
        draw.line((across(part / 2), TOP - 6, across(part / 2), bottom), LIGHT if part != 2 else DARK, 2)
        draw.text((across(part / 2), bottom + 8), f"{part / 2:g}", DARK, font, anchor="ma")
    for number, bar in enumerate(bars):
        top = TOP + ROW * number + 8
        middle = top + (ROW - 16) / 2
        draw.text((LABELS - 14, middle), bar.name, DARK, font, anchor="rm")
        draw.rectangle((across(0), top, across(bar.value), top + ROW - 16), bar.colour)
        draw.line((across(bar.low), middle, across(bar.high), middle), DARK, 2)
        if bar.wanted is not None:
            draw.line((across(bar.wanted), top - 5, across(bar.wanted), top + ROW - 11), "black", 5)
        place, value = (max(across(bar.high), across(bar.wanted or 0)) + 12, middle), f"{bar.value:.2f}"
        # On white: lines of the scale would run through it.
        draw.rectangle(draw.textbbox(place, value, font, anchor="lm"), "white")
        draw.text(place, value, DARK, font, anchor="lm")
    legend = ((BETTER, "goal reached"), (MISSED, "goal missed"), (TOLD, "no goal"))
    for number, (colour, text) in enumerate(legend):
        left = 20 + 210 * number
        draw.rectangle((left, height - 44, left + 24, height - 20), colour)
        draw.text((left + 34, height - 32), text, DARK, font, anchor="lm")
    draw.text(
        (20 + 210 * len(legend), height - 32),
        "black tick: the goal; line: quartiles of the pairs",
        DARK,
        font,
        anchor="lm",
    )
    # Few colours are a third of the bytes.
    picture.quantize(32).save(path, optimize=True)
