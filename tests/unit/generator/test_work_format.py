import hashlib

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_generator.domain.renders import Rendered, SourcePicture, upscaling_factor
from imagetron_generator.domain.work_format import cropped, digest_of, pack, unpack

# Line feeds and digits in the pixels look like more header to a careless reader.
PIXELS = b"\n255\n\n" * 3


def test_a_render_is_kept_as_a_binary_ppm():
    packed = pack(Rendered(PIXELS, Dimensions(width=3, height=2), "x"))

    assert packed.data == b"P6\n3 2\n255\n" + PIXELS


def test_the_digest_is_that_of_the_pixels_alone():
    packed = pack(Rendered(PIXELS, Dimensions(width=3, height=2), "x"))

    assert packed.digest == hashlib.sha256(PIXELS).hexdigest()


def test_the_digest_can_be_read_from_a_file_that_was_kept_earlier():
    packed = pack(Rendered(PIXELS, Dimensions(width=3, height=2), "x"))

    assert digest_of(packed.data) == packed.digest


def test_a_file_that_was_packed_is_unpacked_to_the_same_pixels_and_size():
    packed = pack(Rendered(PIXELS, Dimensions(width=3, height=2), "x"))

    assert unpack(packed.data) == SourcePicture(PIXELS, Dimensions(width=3, height=2))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"P6\n3 2\n255\n" + PIXELS[:-1],
        b"P6\n3 2\n255\n" + PIXELS + b"\n",
        b"P6\n0 2\n255\n",
        b"P6\n3 2\n65535\n" + PIXELS * 2,
        b"P6\n9000 1\n255\n" + bytes(27000),
        b"P6\n99999999999 1\n255\n",
        b"P6 3 2 255 " + PIXELS,
    ],
)
def test_any_other_file_is_left_to_somebody_who_knows_it(data):
    assert unpack(data) is None


def numbered(width: int, height: int) -> SourcePicture:
    """Every pixel is its column, its row and a zero."""
    pixels = bytes(value for row in range(height) for column in range(width) for value in (column, row, 0))
    return SourcePicture(pixels, Dimensions(width=width, height=height))


@pytest.mark.parametrize(
    ("width", "height", "shape", "columns", "rows"),
    [
        (8, 4, (4, 4), (2, 5), (0, 3)),
        (4, 8, (4, 4), (0, 3), (2, 5)),
        (6, 4, (12, 8), (0, 5), (0, 3)),
        (6, 4, (3, 1), (0, 5), (1, 2)),
        (2, 2, (8192, 1), (0, 1), (0, 0)),
    ],
)
def test_a_picture_is_cropped_around_its_middle_to_the_shape_asked_for(width, height, shape, columns, rows):
    cut = cropped(numbered(width, height), Dimensions(width=shape[0], height=shape[1]))

    assert (cut.pixels[0], cut.pixels[-3]) == columns
    assert (cut.pixels[1], cut.pixels[-2]) == rows
    assert len(cut.pixels) == cut.size.width * cut.size.height * 3


@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ((1024, 768), (2048, 1536), 2),
        ((1344, 768), (5376, 3072), 4),
        ((1024, 768), (1024, 768), 1),
        ((1024, 768), (2048, 1537), None),
        ((1024, 768), (512, 384), None),
        ((1024, 768), (1536, 1152), None),
        ((2048, 2048), (8192, 8192), None),
    ],
)
def test_a_picture_is_enlarged_by_whole_factors_up_to_forty_megapixels(source, target, factor):
    sizes = [Dimensions(width=width, height=height) for width, height in (source, target)]

    assert upscaling_factor(*sizes) == factor
