"""What a table of families must be to be served here: names for URLs, sizes that can be made and messages that can be sent."""

import re
from collections.abc import Iterator
from math import gcd
from typing import Final

from imagetron_contracts.families import Family, FamilyTable
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_gateway.domain import naming
from imagetron_gateway.domain.catalogue import Catalogue
from imagetron_gateway.domain.verbs import MAX_PIXELS, MAX_SIDE

MAX_NAME: Final = 40
"""Of characters: an image's id holds its family's name, and an object's key holds that."""
MAX_FAMILIES: Final = 40
MAX_PICTURES: Final = 200
"""Of all families: an event may tell a URL of each, and a message has at most 64 KiB."""
MAX_DERIVATIVES: Final = 19
"""Of one family: with its master, five images of it are `MAX_FILES`."""
MAX_FILES: Final = 100
"""Of one family of a job: a message between stages names them all, with up to 540 bytes each."""

_SIZE: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_RATIO: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,4})?):([0-9]{1,5}(?:\.[0-9]{1,4})?)")
# Whole pixels miss a ratio by less: 2560x1097 is 21:9 to 0.02 %, 1200x628 is 1.91:1 to 0.05 %.
_RATIO_TOLERANCE: Final = 0.01
_LARGEST_WORDS_OF_A_RATIO: Final = 50
_WORTH_A_REMARK: Final = 0.5
_SERVED_AT_LEAST: Final = 0.1


def objection_to_name(name: str) -> str | None:
    """Why this cannot be the name of a family or a derivative, or another word for a family; None if it can."""
    if len(name) > MAX_NAME:
        return f"is {len(name)} characters long; at most {MAX_NAME} are allowed"
    return naming.objection_to(name)


def size_of(text: str) -> Dimensions:
    """Of `1200x628`. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"is {text!r}; write width and height in pixels, as in 1200x628")
    width, height = int(found[1]), int(found[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ValueError(f"is {text}; each side must have 1 to {MAX_SIDE} pixels")
    if width * height > MAX_PIXELS:
        raise ValueError(f"is {text}; that is more than {MAX_PIXELS // 1_000_000} megapixels")
    return Dimensions(width=width, height=height)


def ratio_of(size: Dimensions) -> str:
    """In small whole numbers where there are some: `16:9`, else `2.33:1` or `1:2.33`."""
    common = gcd(size.width, size.height)
    width, height = size.width // common, size.height // common
    if max(width, height) <= _LARGEST_WORDS_OF_A_RATIO:
        return f"{width}:{height}"
    return f"{width / height:.2f}:1" if width > height else f"1:{height / width:.2f}"


def objection_to_ratio(text: str, master: Dimensions) -> str | None:
    """Why this is not the ratio of the master; None if it is."""
    found = _RATIO.fullmatch(text)
    if found is None or not (float(found[1]) and float(found[2])):
        return f'is {text!r}; write it as "16:9", or leave it out'
    said, is_so = float(found[1]) / float(found[2]), master.width / master.height
    if abs(said / is_so - 1) > _RATIO_TOLERANCE:
        return f"is {text}, but the master {master} is {ratio_of(master)}; correct one of them, or leave the ratio out"
    return None


def objection_to_amount(table: FamilyTable) -> str | None:
    """Why the table is too large; None if it is not."""
    pictures = sum(1 + len(family.derivatives) for family in table.families)
    if pictures > MAX_PICTURES:
        return f"has {pictures} masters and derivatives; at most {MAX_PICTURES} can be told in one event"
    return None


def objections_to_serving(table: FamilyTable, catalogue: Catalogue) -> list[str]:
    """Which families no model has a native size for that leaves something of the picture."""
    objections = []
    for family in table.families:
        share, bucket = max(_served(family, catalogue), key=lambda served: served[0])
        if share < _SERVED_AT_LEAST:
            objections.append(
                f"{family.name}: its master {family.master} would show {share:.0%} of {bucket}, the nearest size that any "
                f"model renders; choose a ratio that shows at least {_SERVED_AT_LEAST:.0%}"
            )
    return objections


def remarks(table: FamilyTable, catalogue: Catalogue) -> Iterator[str]:
    """What is allowed and perhaps not meant: pictures that show less than half of what they are cut from."""
    for family in table.families:
        share, bucket = min(_served(family, catalogue), key=lambda served: served[0])
        if share < _WORTH_A_REMARK:
            yield f"{family.name}: a model renders {bucket} for it, of which {family.master} shows {share:.0%}"
        for item in family.derivatives:
            share = _share(family.master, item.size)
            if share < _WORTH_A_REMARK:
                yield f"{family.name}.{item.name}: {item.size} shows {share:.0%} of what {family.master} would show"


def objection_to_files(row: Family, *, images: int, formats: int) -> str | None:
    """Why so many files of one family cannot be made in one job; None if they can."""
    pictures = 1 + len(row.derivatives)
    files = images * formats * pictures
    if files > MAX_FILES:
        return (
            f"{images} images in {formats} formats are {files} files of {row.name}, which has {pictures} sizes; at most "
            f"{MAX_FILES} are made at once: ask for fewer images or formats"
        )
    return None


def _served(family: Family, catalogue: Catalogue) -> Iterator[tuple[float, Dimensions]]:
    for model in catalogue.values():
        if Verb.IMAGINE in model.verbs:
            bucket = model.bucket_for(family.master)
            yield _share(bucket, family.master), bucket


def _share(whole: Dimensions, cut: Dimensions) -> float:
    """How much of the one is seen in the largest window of the other's ratio."""
    ratio = (whole.width * cut.height) / (whole.height * cut.width)
    return min(ratio, 1 / ratio)
