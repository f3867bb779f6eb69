"""A picture of crops: on the left what was rendered, with what was found and all windows; on the right what is published."""

from collections.abc import Mapping
from typing import Final

from crops.album import Picture
from crops.measures import Cropping, ours, size_of
from PIL import Image, ImageDraw, ImageFont, ImageOps

from imagetron_contracts.families import FAMILIES
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.domain.windows import has_freedom

SHOWN: Final = (
    "astronaut-left", "three", "one-above-the-other", "president-far", "coffee-corner", "temple", "dogs", "house",
)  # fmt: skip
HEIGHT: Final = 176
GAP: Final = 12
COLUMN: Final = 330
COLOURS: Final = {
    "square": "#ffd21f", "landscape": "#28c76f", "portrait": "#ff5ca8", "hero": "#38b6ff", "facebook-og": "#ff8a1f",
}  # fmt: skip


def sheet(album: Mapping[str, Picture], findings: Mapping[str, Found]) -> Image.Image:
    """One row for each picture."""
    crop = ours(dict(findings))
    rows = [(album[name], _row(album[name], findings[name], crop)) for name in SHOWN]
    width = COLUMN + max(sum(part.width + GAP for _, part in parts) for _, (_, parts) in rows)
    paper = Image.new("RGB", (width + GAP, len(rows) * (HEIGHT + 34) + GAP), "white")
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    for number, (picture, (drawn, parts)) in enumerate(rows):
        top = number * (HEIGHT + 34) + GAP
        paper.paste(drawn, (GAP, top))
        draw.text((GAP, top + HEIGHT + 3), f"{picture.name}, {size_of(picture)}", "#222222", font)
        left = COLUMN
        for family, part in parts:
            paper.paste(part, (left, top))
            draw.rectangle((left - 2, top - 2, left + part.width + 1, top + part.height + 1), None, COLOURS[family], 2)
            draw.text((left, top + HEIGHT + 3), FAMILIES[family].ratio, "#222222", font)
            left += part.width + GAP
    return paper.quantize(160, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _row(picture: Picture, found: Found, crop: Cropping) -> tuple[Image.Image, list[tuple[str, Image.Image]]]:
    """The picture with its boxes and windows, and the crops by family."""
    scale = min(HEIGHT / picture.image.height, (COLUMN - 2 * GAP) / picture.image.width)
    drawn = ImageOps.scale(picture.image, scale)
    draw = ImageDraw.Draw(drawn)
    parts = []
    for family in FAMILIES.values():
        if has_freedom(size_of(picture), family.master):
            box = crop(picture, family.master).box
            draw.rectangle([side * scale for side in box], outline=COLOURS[family.name], width=2)
            part = picture.image.crop(box)
            parts.append((family.name, ImageOps.contain(part, (HEIGHT * 2, HEIGHT), Image.Resampling.LANCZOS)))
    for face in found.faces:
        corners = face.left * drawn.width, face.top * drawn.height, face.right * drawn.width, face.bottom * drawn.height
        draw.rectangle(corners, outline="#ff2020", width=2)
    return drawn, parts
