"""Which of its formats a picture is sent in: the header `Accept` of RFC 9110, read as browsers mean it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from imagetron_contracts.media import ImageFormat
from imagetron_contracts.stages import PublishedFile

# Commas and semicolons may stand in quoted parameters. Possessive, and a quote without an end takes the rest: whatever
# a header looks like, each of its characters is looked at once.
_ENTRIES: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_PARTS: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_WEIGHT: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_SHOWN_EVERYWHERE: Final = frozenset({ImageFormat.JPEG, ImageFormat.PNG})


@dataclass(frozen=True, slots=True)
class MediaRange:
    """What a client takes, and how gladly: 0 is not at all."""

    kind: str
    subtype: str
    weight: float


def media_ranges(header: str) -> tuple[MediaRange, ...]:
    """In the header's order. What cannot be read, or asks for parameters that no picture has, counts as not said."""
    found = (_media_range(entry) for entry in _ENTRIES.findall(header))
    return tuple(item for item in found if item)


def chosen(files: Sequence[PublishedFile], accept: str) -> PublishedFile:
    """Of one picture's files the one that the client wants most; the first where it does not say, or wants none of them.

    Image CDNs never refuse a picture for its format either: a client that can do nothing with it says so best itself, and many
    say `text/html` and mean everything. Of what is wanted equally, a format that is named goes before one that a wildcard
    stands for, and the smallest file before larger ones. A client that names image types reads what it does not name only where
    everybody does: old browsers say `image/*` and cannot show WebP.
    """
    ranges = media_ranges(accept)
    names_images = any(item.kind == "image" and item.subtype != "*" for item in ranges)

    def rank(file: PublishedFile) -> tuple[float, bool, bool, int]:
        weight, is_named = _wanted(file.format, ranges)
        is_safe = is_named or not names_images or file.format in _SHOWN_EVERYWHERE
        return weight, is_named, is_safe, -file.byte_count if is_named else 0

    # Of equals, `max` takes the first.
    best = max(files, key=rank)
    return best if rank(best)[0] > 0 else files[0]


def _media_range(entry: str) -> MediaRange | None:
    name, *parameters = [part.strip().lower() for part in _PARTS.findall(entry)] or [""]
    kind, _, subtype = name.partition("/")
    if not kind or not subtype:
        return None
    weight = "1"
    if parameters:
        parameter, _, weight = parameters[0].partition("=")
        if parameter.rstrip() != "q" or not _WEIGHT.fullmatch(weight.lstrip()):
            return None
    return MediaRange(kind, subtype, float(weight))


def _wanted(form: ImageFormat, ranges: Sequence[MediaRange]) -> tuple[float, bool]:
    """How gladly, and whether by name: the most exact range that fits decides."""
    for kind, subtype in (("image", form.value), ("image", "*"), ("*", "*")):
        weights = [item.weight for item in ranges if (item.kind, item.subtype) == (kind, subtype)]
        if weights:
            return max(weights), subtype != "*"
    return 0.0, False
