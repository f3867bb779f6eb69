"""Pictures by the chassis' reader, with real processes."""

import io
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from imagetron_chassis.pictures.errors import PictureUnreadable
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_contracts.media import Dimensions
from imagetron_generator.adapters.pictures import ReaderPictures
from imagetron_generator.domain.renders import Rendered, SourcePicture
from imagetron_generator.domain.work_format import pack

SIZE = Dimensions(width=4, height=2)
PIXELS = bytes(range(24))


@pytest.fixture
async def reader() -> AsyncIterator[PictureReader]:
    reader = PictureReader()
    yield reader
    await reader.stop()


@pytest.fixture
def pictures(reader) -> ReaderPictures:
    return ReaderPictures(reader)


def a_file(form: str) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (4, 2), PIXELS).save(out, form)
    return out.getvalue()


async def test_a_render_of_ours_is_read_without_a_process(reader, pictures):
    ours = pack(Rendered(PIXELS, SIZE, "x")).data

    assert await pictures.read(ours) == SourcePicture(PIXELS, SIZE)
    assert not reader.process_ids


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_other_peoples_files_are_decoded(pictures, form):
    picture = await pictures.read(a_file(form))

    assert (picture.size, len(picture.pixels)) == (SIZE, 24)


@pytest.mark.parametrize("data", [b"", b"a text", b"P6\n4 2\n255\n", a_file("GIF")])
async def test_what_is_no_picture_is_told(pictures, data):
    with pytest.raises(PictureUnreadable):
        await pictures.read(data)


async def test_renders_and_other_peoples_files_become_the_same_png(pictures):
    pngs = [await pictures.as_png(data) for data in (pack(Rendered(PIXELS, SIZE, "x")).data, a_file("PNG"))]

    for png in pngs:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            assert (image.size, image.tobytes()) == ((4, 2), PIXELS)


async def test_a_picture_is_brought_to_another_size_by_a_lanczos_filter(pictures):
    resized = await pictures.resized(SourcePicture(PIXELS, SIZE), Dimensions(width=12, height=6))

    expected = Image.frombytes("RGB", (4, 2), PIXELS).resize((12, 6), Image.Resampling.LANCZOS)
    assert (resized.pixels, str(resized.size)) == (expected.tobytes(), "12x6")
