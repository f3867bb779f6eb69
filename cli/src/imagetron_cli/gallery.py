"""The pictures of a variation on disk: fetched, decoded, measured, asked who made them, compared with the table of families."""

import asyncio
import errno
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from imagetron_cli.api import Gateway, Picture, Variation
from imagetron_cli.errors import Trouble
from imagetron_contracts import FAMILIES, Dimensions

MADE_BY_A_MODEL: Final = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for it, as it stands in a file's XMP."""


@dataclass(frozen=True)
class SavedPicture:
    """A picture, where it lies, and what was found in its bytes: its size, and whether they say that a model made it."""

    picture: Picture
    path: Path
    size: tuple[int, int]
    is_marked: bool


class BrokenPicture(Trouble):
    """The bytes are no picture that can be shown."""


class CannotSave(Trouble):
    """The folder for the pictures is not one that can be written to."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"Pictures cannot be saved: {path}: {error.strerror}. Choose another folder with --out.")


def folder_for(out: Path) -> None:
    """Make the folder. To be asked before the work, which would be in vain without it. Raises CannotSave."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotSave(out, error) from error
    if not os.access(out, os.W_OK):
        raise CannotSave(out, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


async def save_pictures(gateway: Gateway, variation: Variation, out: Path) -> list[SavedPicture]:
    """Fetch all pictures into `out/<variation>/<family>/`. Raises BrokenPicture on bytes that do not decode."""
    return [await _save(gateway, variation.name, picture, out) for picture in variation.derivatives]


async def _save(gateway: Gateway, variation: str, picture: Picture, out: Path) -> SavedPicture:
    body = await gateway.picture(picture.url)
    index = f"-{picture.image}" if picture.image else ""
    file = f"{_segment(picture.name)}{index}.{_segment(picture.format)}"
    path = out / _segment(variation) / _segment(picture.family) / file
    size, is_marked = await asyncio.to_thread(_store, body, path, picture.url)
    return SavedPicture(picture, path, size, is_marked)


def _store(body: bytes, path: Path, url: str) -> tuple[tuple[int, int], bool]:
    try:
        with Image.open(io.BytesIO(body)) as image:
            image.load()
            # As Pillow found it, and not the publisher's own reader: who checks must not share a mistake with whom he checks.
            size, is_marked = image.size, MADE_BY_A_MODEL in image.info.get("xmp", b"")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise BrokenPicture(f"{url}: {len(body)} bytes that do not decode: {error}") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    except OSError as error:
        raise CannotSave(path, error) from error
    return size, is_marked


def _segment(name: str) -> str:
    """A name from the network as one step of a path, never a way out of the folder."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "_"


def expected_pictures(families: Sequence[str]) -> dict[tuple[str, str], Dimensions]:
    """(family, picture) -> size, for masters and derivatives."""
    expected = {}
    for name in families:
        family = FAMILIES[name]
        expected[name, name] = family.master
        expected |= {(name, derivative.name): derivative.size for derivative in family.derivatives}
    return expected


def shortfalls(families: Sequence[str], saved: Sequence[SavedPicture]) -> list[str]:
    """What is missing or has the wrong size, in sentences; empty when all is as the table says."""
    sizes = {(item.picture.family, item.picture.name): item.size for item in saved}
    problems = []
    for (family, name), size in expected_pictures(families).items():
        found = sizes.get((family, name))
        if found is None:
            problems.append(f"{family}/{name} is missing")
        elif found != (size.width, size.height):
            problems.append(f"{family}/{name} is {found[0]}x{found[1]} and should be {size}")
    return problems


def unmarked(saved: Sequence[SavedPicture]) -> list[str]:
    """Which pictures do not say that a model made them, in sentences."""
    return [
        f"{item.picture.family}/{item.picture.name} does not say that a model made it"
        for item in saved
        if not item.is_marked
    ]
