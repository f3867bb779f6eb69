"""The formats that pictures are written in."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import Profile
from imagetron_deriver.adapters.imaging.encoders import ENCODERS
from integration.deriver.pictures import a_picture

PACKET = b"<x:xmpmeta/>"
# Levels of 255 by which a picture may differ on average from what it was made of; the gradients have strong colours.
LOSS = {"webp": 3.0, "jpeg": 2.0, "png": 0.0, "avif": 3.0}


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def loss(data: bytes, original: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(decoded(data), original)).mean)


def test_every_format_and_profile_of_the_contracts_can_be_written():
    assert set(ENCODERS) == {form.value for form in ImageFormat}
    for encoder in ENCODERS.values():
        for profile in Profile:
            encoder.parameters(profile.value)


@pytest.mark.parametrize("profile", [profile.value for profile in Profile])
@pytest.mark.parametrize("form", ENCODERS)
def test_a_file_is_what_its_format_says_and_looks_like_the_picture(form, profile):
    picture = a_picture()

    data = ENCODERS[form].encode(picture, PACKET, profile)

    assert (decoded(data).format, decoded(data).mode, decoded(data).size) == (form.upper(), "RGB", picture.size)
    assert loss(data, picture) <= LOSS[form]


@pytest.mark.parametrize("form", ENCODERS)
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3, 2), (17, 5)])
def test_the_smallest_pictures_can_be_written_in_every_format(form, size):
    data = ENCODERS[form].encode(Image.new("RGB", size, "teal"), PACKET, "quality")

    assert decoded(data).size == size


@pytest.mark.parametrize("form", ENCODERS)
def test_a_file_carries_the_packet_and_no_colour_profile(form):
    info = decoded(ENCODERS[form].encode(a_picture(), PACKET, "quality")).info

    assert info["xmp"] == PACKET
    assert "icc_profile" not in info
    assert "exif" not in info


def test_webp_has_the_settings_that_it_is_compared_with_sharp_at():
    assert ENCODERS["webp"].parameters("quality") == {"quality": 82, "method": 4}
    assert ENCODERS["webp"].parameters("fast") == {"quality": 83.4, "method": 2}


def test_a_jpeg_appears_at_once_and_sharpens_while_it_loads():
    assert decoded(ENCODERS["jpeg"].encode(a_picture(), PACKET, "quality")).info.get("progressive")


def test_a_fast_jpeg_shows_the_very_pixels_of_the_other():
    files = [ENCODERS["jpeg"].encode(a_picture(), PACKET, profile.value) for profile in Profile]

    assert len({decoded(data).tobytes() for data in files}) == 1
    assert len(set(files)) == 2


def test_an_avif_says_that_its_colours_are_srgb():
    data = ENCODERS["avif"].encode(a_picture(), PACKET, "quality")

    # Primaries, transfer and matrix by their numbers in ITU-T H.273, then the full range of levels.
    assert b"colrnclx" + bytes((0, 1, 0, 13, 0, 6, 0x80)) in data
