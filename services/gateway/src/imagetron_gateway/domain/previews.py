"""What a crop preview shows on a render: what must stay, and each picture's window. In pixels of the render; no drawing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import Final

from imagetron_contracts.crops import Box, Crop, Detection, Fit, Point, Subject, Window
from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.job import Family, Image, Job

_SAID_OF: Final = {Fit.CUT: " (cut)", Fit.PADDED: " (padded)"}


class Kind(StrEnum):
    """What a frame or a mark stands for; its value is its label, but for windows."""

    WINDOW = "window"
    FACE = "face"
    SAFE_ZONE = "safe zone"
    SALIENT = "salient"
    FOCAL_POINT = "focal point"


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle: left, top, right, bottom. That of a padded picture leaves the render."""

    kind: Kind
    box: tuple[int, int, int, int]
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place."""

    kind: Kind
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """Windows first, so that what must stay lies on top of them."""

    frames: tuple[Frame, ...]
    marks: tuple[Mark, ...]


def preview_of(job: Job, family: Family, image: Image, render: Dimensions) -> Preview:
    """Of an image with this render; pictures of other families that borrowed it have their windows in it too."""
    subject, found = family.subject or Subject(), image.detection or Detection(detector="")
    zones = [subject.safe_zone] if subject.safe_zone else []
    stays = [*((Kind.FACE, face) for face in found.faces), *((Kind.SAFE_ZONE, zone) for zone in zones)]
    places = ((Kind.SALIENT, found.salient), (Kind.FOCAL_POINT, subject.focal_point))
    return Preview(
        frames=(
            *(Frame(Kind.WINDOW, _edges(window), ", ".join(names)) for window, names in _windows(job, family, image)),
            *(Frame(kind, _in_pixels(box, render), kind.value) for kind, box in stays),
        ),
        marks=tuple(Mark(kind, _place(point, render)) for kind, point in places if point is not None),
    )


def _windows(job: Job, family: Family, image: Image) -> Iterable[tuple[Window, Iterable[str]]]:
    """Each window once, with all pictures that show it: formats and sizes of one shape share theirs."""
    names: dict[Window, dict[str, None]] = {}
    for name, crop in _cut_from(job, family, image):
        names.setdefault(crop.window, {}).setdefault(name + _SAID_OF.get(crop.fit, ""))
    return names.items()


def _cut_from(job: Job, family: Family, image: Image) -> Iterator[tuple[str, Crop]]:
    for file in image.files:
        if file.crop and file.crop.family in {None, family.name}:
            yield file.name, file.crop
    for other in job.families.values():
        borrowed = [file for each in other.images if each.index == image.index for file in each.files]
        for file in borrowed:
            if other.name != family.name and file.crop and file.crop.family == family.name:
                yield f"{other.name}.{file.name}", file.crop


def _edges(window: Window) -> tuple[int, int, int, int]:
    return window.left, window.top, window.left + window.width, window.top + window.height


def _in_pixels(box: Box, render: Dimensions) -> tuple[int, int, int, int]:
    """The pixels that the box touches."""
    return (
        floor(box.left * render.width),
        floor(box.top * render.height),
        ceil(box.right * render.width),
        ceil(box.bottom * render.height),
    )


def _place(point: Point, render: Dimensions) -> tuple[int, int]:
    return round(point.x * render.width), round(point.y * render.height)
