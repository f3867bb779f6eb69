"""Reading uploads in another process: what goes wrong there, as the caller is told of it."""

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.pictures.errors import (
    PictureTooLarge,
    PictureUnreadable,
    ReaderCannotStart,
    ReaderDied,
    ReaderTooSlow,
)
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.sources import PicturesReadApart
from imagetron_gateway.domain.sources import MAX_PIXELS, MAX_SIDE, MAX_UPLOAD_BYTES, Pixels
from imagetron_gateway.ports import PictureRefused

SIZE = Dimensions(width=1, height=2)


class ScriptedReader:
    """Gives what it was told to, and keeps what it was asked."""

    def __init__(self, result: Picture | ChassisError) -> None:
        self.result = result
        self.asked: list[tuple[bytes, PictureLimits]] = []

    async def read(self, data: bytes, *, limits: PictureLimits) -> Picture:
        self.asked.append((data, limits))
        if isinstance(self.result, ChassisError):
            raise self.result
        return self.result


def failing(error: ChassisError) -> PicturesReadApart:
    return PicturesReadApart(ScriptedReader(error))


async def test_pixels_come_as_they_were_read_within_the_limits_of_uploads():
    reader = ScriptedReader(Picture(b"rgbRGB", SIZE, "a digest"))

    assert await PicturesReadApart(reader)(b"an upload") == Pixels(b"rgbRGB", SIZE, "a digest")
    limits = PictureLimits(max_bytes=MAX_UPLOAD_BYTES, max_pixels=MAX_PIXELS, max_side=MAX_SIDE)
    assert reader.asked == [(b"an upload", limits)]


@pytest.mark.parametrize("error", [PictureUnreadable("it has 2 frames"), PictureTooLarge("it has too many pixels")])
async def test_what_is_wrong_with_the_picture_is_said_to_who_sent_it(error):
    with pytest.raises(PictureRefused, match=str(error)):
        await failing(error)(b"")


@pytest.mark.parametrize("error", [ReaderDied("process 7 ended"), ReaderTooSlow("it took more than 30 s")])
async def test_a_picture_that_breaks_its_reader_is_refused_and_not_asked_for_again(error):
    with pytest.raises(PictureRefused, match="time or memory"):
        await failing(error)(b"")


async def test_a_reader_that_cannot_start_is_a_passing_trouble():
    with pytest.raises(ReaderCannotStart):
        await failing(ReaderCannotStart("out of processes"))(b"")
