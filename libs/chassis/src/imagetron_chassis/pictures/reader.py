"""Pictures from people and providers, read without letting their bytes near the service: other processes decode them."""

from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import trace

from imagetron_chassis.pictures.errors import PictureTooLarge, PictureUnreadable, ReaderDied
from imagetron_chassis.pictures.overlays import Overlay
from imagetron_chassis.pictures.processes import COMMAND, Answer, ReaderProcesses
from imagetron_chassis.pictures.signatures import format_of
from imagetron_chassis.pictures.values import BYTES_EACH, MOST_PIXELS, Picture, PictureLimits, ReadPicture
from imagetron_contracts.media import Dimensions

# The largest allowed picture, resized to the largest allowed size, needs less (a test does it).
MEMORY_BYTES: Final = 1 << 30
CPU_SECONDS: Final = 20
# A picture on a busy machine has less than a whole core.
DEADLINE_SECONDS: Final = 60.0
# A new process costs a third of a second; whatever a codec leaks goes with the old one.
ORDERS_EACH: Final = 500
_USUAL: Final = PictureLimits()


class PictureReader:
    """`count` pictures at a time; others wait. Processes start when they are first needed and stay until `stop`.

    Errors: PictureUnreadable, PictureTooLarge (Permanent); ReaderDied, ReaderTooSlow (ResourceExhausted); ReaderCannotStart
    (Transient). A deadline counts from when a process begins, not from the call.
    """

    def __init__(
        self,
        count: int = 1,
        *,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: int = CPU_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
        orders_each: int = ORDERS_EACH,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._processes = ReaderProcesses(
            count,
            memory_bytes=memory_bytes,
            cpu_seconds=cpu_seconds,
            deadline_seconds=deadline_seconds,
            orders_each=orders_each,
            command=command,
        )

    @property
    def process_ids(self) -> list[int]:
        return self._processes.process_ids

    async def stop(self) -> None:
        """No process is left afterwards. Pictures under way fail with ReaderDied, later ones with ReaderCannotStart."""
        await self._processes.stop()

    async def read(self, data: bytes, *, limits: PictureLimits = _USUAL) -> ReadPicture:
        """One still picture from a PNG, JPEG or WebP file, as 8-bit sRGB.

        Upright by its EXIF orientation, on white where it was transparent, in sRGB if its colour profile makes sense. Nothing
        else of the file is left: no text, no profile, no place, no preview.
        """
        if len(data) > limits.max_bytes:
            raise PictureTooLarge(f"the picture has {len(data)} bytes and may have {limits.max_bytes}")
        source_format = format_of(data)
        if source_format is None:
            raise PictureUnreadable("the picture is no PNG, JPEG or WebP file")
        order = {"do": "read", "max_side": limits.max_side, "max_pixels": limits.max_pixels}
        with trace.get_tracer(__name__).start_as_current_span("read picture"):
            answer, parts = await self._processes.ask(order, data, fits=_reads(limits))
        _check(answer)
        picture = _picture(answer, parts)
        return ReadPicture(picture.pixels, picture.size, picture.digest, source_format)

    async def drawn(
        self, data: bytes, size: Dimensions, overlay: Overlay, *, most_side: int, limits: PictureLimits = _USUAL
    ) -> Picture:
        """A copy of the picture with the overlay on it; no side is longer than `most_side`.

        From a file as `read` takes it, or a binary PPM as renders are kept. The overlay's pixels are those of the `size`:
        a picture of another size is refused as unreadable.
        """
        if len(data) > limits.max_bytes:
            raise PictureTooLarge(f"the picture has {len(data)} bytes and may have {limits.max_bytes}")
        order = {
            "do": "draw",
            "size": [size.width, size.height],
            "most_side": most_side,
            "max_side": limits.max_side,
            "max_pixels": limits.max_pixels,
            "outlines": [
                {"box": outline.box, "colour": outline.colour, "label": outline.label, "dashed": outline.is_dashed}
                for outline in overlay.outlines
            ],
            "spots": [{"place": spot.place, "colour": spot.colour, "label": spot.label} for spot in overlay.spots],
        }
        copies = PictureLimits(max_side=most_side)
        with trace.get_tracer(__name__).start_as_current_span("draw picture"):
            answer, parts = await self._processes.ask(order, data, fits=_reads(copies))
        _check(answer)
        return _picture(answer, parts)

    async def resized(self, pixels: bytes, size: Dimensions, *, to: Dimensions) -> Picture:
        """8-bit RGB pixels of one size brought to another with a Lanczos filter (three lobes), both sides on their own.

        Raises ValueError when the pixels are not of that size, PictureTooLarge when either size has more than 40 megapixels.
        """
        if len(pixels) != size.width * size.height * BYTES_EACH:
            raise ValueError(f"{len(pixels)} bytes are no RGB picture of {size}")
        for each in (size, to):
            if each.width * each.height > MOST_PIXELS:
                raise PictureTooLarge(f"a picture of {each} is resized only up to {MOST_PIXELS} pixels")
        order = {"do": "resize", "size": [size.width, size.height], "to": [to.width, to.height]}
        with trace.get_tracer(__name__).start_as_current_span("resize picture"):
            answer, parts = await self._processes.ask(order, pixels, fits=lambda a: a.exhausted or a.size == to)
        return _picture(answer, parts)


def _reads(limits: PictureLimits) -> Callable[[Answer], bool]:
    def fits(answer: Answer) -> bool:
        if answer.size is None:
            return not answer.ready
        width, height = answer.size.width, answer.size.height
        return max(width, height) <= limits.max_side and width * height <= limits.max_pixels

    return fits


def _check(answer: Answer) -> None:
    if answer.unreadable is not None:
        raise PictureUnreadable(answer.unreadable)
    if answer.too_large is not None:
        raise PictureTooLarge(answer.too_large)


def _picture(answer: Answer, parts: list[bytes]) -> Picture:
    if answer.size is None:
        raise ReaderDied("the picture needs more memory than a process may have")
    pixels, digest = parts
    return Picture(pixels, answer.size, digest.hex())
