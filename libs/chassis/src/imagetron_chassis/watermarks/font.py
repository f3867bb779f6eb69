"""DejaVu Sans Bold, as it is published: its licence lies beside it."""

from bisect import bisect_right
from pathlib import Path
from typing import Final

from imagetron_chassis.watermarks.coverage import RANGES

FONT: Final = Path(__file__).with_name("DejaVuSans-Bold.ttf")


def unwritable(text: str) -> tuple[str, ...]:
    """The characters of a line that the font has no sign for, each once, in their order; line breaks are among them."""
    return tuple(dict.fromkeys(character for character in text if not _is_covered(ord(character))))


def _is_covered(code: int) -> bool:
    place = bisect_right(RANGES, code, key=_first)
    return place > 0 and code <= RANGES[place - 1][1]


def _first(characters: tuple[int, int]) -> int:
    return characters[0]
