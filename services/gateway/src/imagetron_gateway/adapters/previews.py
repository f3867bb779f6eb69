"""Draws crop previews: the render from the work store, drawn on in a process of its own, packed as PNG."""

import asyncio
from itertools import cycle
from typing import Final, Protocol

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.pictures.errors import PictureTooLarge, PictureUnreadable
from imagetron_chassis.pictures.overlays import MOST_LABEL_CHARACTERS, MOST_SHAPES, Colour, Outline, Overlay, Spot
from imagetron_chassis.pictures.png import png_of
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.job import Render
from imagetron_gateway.domain.previews import Frame, Kind, Preview
from imagetron_gateway.ports import RenderGone

MOST_SIDE: Final = 1024
# The largest render that a worker keeps: 40 megapixels of RGB, and their header.
_LIMITS: Final = PictureLimits(max_bytes=120_000_064)
# Far apart in hue and lightness, and from the colours below; more windows than that begin anew.
_WINDOWS: Final[tuple[Colour, ...]] = (
    (255, 140, 0),
    (0, 150, 255),
    (60, 200, 60),
    (180, 90, 255),
    (160, 110, 60),
    (0, 200, 190),
    (255, 170, 200),
    (150, 200, 0),
)
_COLOURS: Final[dict[Kind, Colour]] = {
    Kind.FACE: (255, 235, 0),
    Kind.SAFE_ZONE: (255, 0, 160),
    Kind.SALIENT: (0, 255, 255),
    Kind.FOCAL_POINT: (255, 50, 50),
}


class Drawer(Protocol):
    """The part of the chassis' reader that is needed here."""

    async def drawn(
        self, data: bytes, size: Dimensions, overlay: Overlay, *, most_side: int, limits: PictureLimits
    ) -> Picture: ...


class PreviewsDrawnApart:
    """Implements the Previews port. One at a time: each holds a render as it lies in the store."""

    def __init__(self, work: Blobs, drawer: Drawer) -> None:
        self._work = work
        self._drawer = drawer
        self._turn = asyncio.Semaphore(1)

    async def draw(self, render: Render, preview: Preview) -> bytes:
        async with self._turn:
            try:
                info = await self._work.head(render.key)
                if info is None or info.size_bytes > _LIMITS.max_bytes:
                    raise RenderGone("the render is no longer kept")
                data = await self._work.get(render.key)
                picture = await self._drawer.drawn(
                    data, render.size, _overlay(preview), most_side=MOST_SIDE, limits=_LIMITS
                )
            except BlobMissing as error:
                raise RenderGone("the render is no longer kept") from error
            except (PictureUnreadable, PictureTooLarge) as error:
                raise RenderGone(f"the render can no longer be read: {error}") from error
        return await asyncio.to_thread(png_of, picture)


def _overlay(preview: Preview) -> Overlay:
    colours = cycle(_WINDOWS)
    spots = [Spot(mark.place, _COLOURS[mark.kind], mark.kind.value) for mark in preview.marks]
    outlines = [_outline(frame, _COLOURS.get(frame.kind) or next(colours)) for frame in preview.frames]
    return Overlay(tuple(outlines[: MOST_SHAPES - len(spots)]), tuple(spots))


def _outline(frame: Frame, colour: Colour) -> Outline:
    label = frame.label if len(frame.label) <= MOST_LABEL_CHARACTERS else frame.label[: MOST_LABEL_CHARACTERS - 1] + "…"
    return Outline(frame.box, colour, label, is_dashed=frame.kind is not Kind.WINDOW)
