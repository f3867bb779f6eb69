"""One picture of all pictures: a row for each family, labelled with name and size. Nothing is fetched here."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from imagetron_cli.gallery import SavedPicture

_MARGIN: Final = 48
_GAP: Final = 24
_PICTURE_HEIGHT: Final = 208
_NARROWEST: Final = 148
"""Room for the label of a portrait."""

_TITLE_HEIGHT: Final = 56
_FAMILY_HEIGHT: Final = 38
_LABEL_HEIGHT: Final = 62
_BACKGROUND: Final = "#14161b"
_BRIGHT: Final = "#f2f3f5"
_MIDDLE: Final = "#c4c9d4"
_DIM: Final = "#868e9e"


def draw_contact_sheet(variations: Mapping[str, Sequence[SavedPicture]]) -> Image.Image:
    """The sheet for some variations, in the order given; pictures of a family side by side at one height."""
    rows = {name: _families(saved) for name, saved in variations.items()}
    widths = [_row_width(row) for families in rows.values() for row in families]
    width = 2 * _MARGIN + max(widths, default=_NARROWEST)
    row_height = _FAMILY_HEIGHT + _PICTURE_HEIGHT + _LABEL_HEIGHT
    height = 2 * _MARGIN + sum(_TITLE_HEIGHT + len(families) * row_height for families in rows.values())
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for name, families in rows.items():
        draw.text((_MARGIN, top), name, font=ImageFont.load_default(30), fill=_BRIGHT)
        top += _TITLE_HEIGHT
        for row in families:
            draw.text((_MARGIN, top), row[0].picture.family, font=ImageFont.load_default(19), fill=_MIDDLE)
            _draw_row(sheet, draw, row, top + _FAMILY_HEIGHT)
            top += row_height
    return sheet


def save_contact_sheet(variations: Mapping[str, Sequence[SavedPicture]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_contact_sheet(variations).save(path, "PNG", optimize=True)


def _families(saved: Sequence[SavedPicture]) -> list[list[SavedPicture]]:
    return [list(row) for _, row in groupby(saved, key=lambda item: item.picture.family)]


def _thumbnail_width(item: SavedPicture) -> int:
    width, height = item.size
    return round(_PICTURE_HEIGHT * width / height)


def _cell_width(item: SavedPicture) -> int:
    return max(_thumbnail_width(item), _NARROWEST)


def _row_width(row: Sequence[SavedPicture]) -> int:
    return sum(_cell_width(item) for item in row) + _GAP * (len(row) - 1)


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: Sequence[SavedPicture], top: int) -> None:
    left = _MARGIN
    for item in row:
        size = (_thumbnail_width(item), _PICTURE_HEIGHT)
        with Image.open(item.path) as image:
            sheet.paste(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), (left, top))
        under = top + _PICTURE_HEIGHT
        is_master = item.picture.name == item.picture.family
        name = "master" if is_master else item.picture.name
        draw.text((left, under + 8), name, font=ImageFont.load_default(15), fill=_BRIGHT if is_master else _MIDDLE)
        draw.text((left, under + 28), "{} x {}".format(*item.size), font=ImageFont.load_default(13), fill=_DIM)
        left += _cell_width(item) + _GAP
