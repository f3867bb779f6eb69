"""Writes down which characters the watermarks' font has. `--check` fails if the committed module differs."""

import struct
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from imagetron_chassis.watermarks import FONT

MODULE: Final = FONT.with_name("coverage.py")
# Of OpenType: a table of tables; in `cmap`, the subtable for the whole of Unicode (platform 3, encoding 10, format 12).
_TABLES_AT: Final = 12
_TABLE: Final = struct.Struct(">4sIII")
_CMAP: Final = struct.Struct(">HH")
_SUBTABLE: Final = struct.Struct(">HHI")
_FORMAT: Final = struct.Struct(">HHIII")
_GROUP: Final = struct.Struct(">III")
_WHOLE_UNICODE: Final = (3, 10)
# The font has empty signs for U+2028 and U+2029, but a watermark is one line.
_BREAKS: Final = {"Cc", "Zl", "Zp"}
_HEAD: Final = '''"""The characters of the watermarks' font. Generated from it by scripts/font_coverage.py; do not edit."""

from typing import Final

# The first and the last of each row of characters.
RANGES: Final[tuple[tuple[int, int], ...]] = (
'''


def module(font: bytes) -> str:
    """The whole module."""
    rows = "".join(f"    (0x{first:04X}, 0x{last:04X}),\n" for first, last in _ranges(_covered(font)))
    return f"{_HEAD}{rows})\n"


def _covered(font: bytes) -> Iterator[int]:
    """In ascending order."""
    cmap = next(start for tag, _, start, _ in _table(font) if tag == b"cmap")
    _, subtables = _CMAP.unpack_from(font, cmap)
    places = (_SUBTABLE.unpack_from(font, cmap + _CMAP.size + place * _SUBTABLE.size) for place in range(subtables))
    start = cmap + next(offset for *use, offset in places if tuple(use) == _WHOLE_UNICODE)
    *_, groups = _FORMAT.unpack_from(font, start)
    for place in range(groups):
        first, last, sign = _GROUP.unpack_from(font, start + _FORMAT.size + place * _GROUP.size)
        for code in range(first, last + 1):
            # Sign 0 is the box for characters that the font has not.
            if sign + code - first and unicodedata.category(chr(code)) not in _BREAKS:
                yield code


def _table(font: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    (count,) = struct.unpack_from(">H", font, 4)
    for place in range(count):
        yield _TABLE.unpack_from(font, _TABLES_AT + place * _TABLE.size)


def _ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    for code in codes:
        if rows and code == rows[-1][1] + 1:
            rows[-1] = (rows[-1][0], code)
        else:
            rows.append((code, code))
    return rows


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if MODULE.read_text(encoding="utf-8") != module(FONT.read_bytes()):
            sys.exit(f"{MODULE.name} is not what {FONT.name} has: run scripts/font_coverage.py")
    else:
        MODULE.write_text(module(FONT.read_bytes()), encoding="utf-8")
