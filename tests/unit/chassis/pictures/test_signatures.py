"""Formats by their first bytes."""

import pytest

from imagetron_chassis.pictures.signatures import SIGNATURE_BYTES, format_of
from imagetron_contracts.media import ImageFormat

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
JPEG = b"\xff\xd8\xff\xe0"


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (PNG, ImageFormat.PNG),
        (JPEG, ImageFormat.JPEG),
        (b"RIFF\0\0\0\0WEBPVP8 ", ImageFormat.WEBP),
        (b"RIFF\0\0\0\0WEBPVP8L", ImageFormat.WEBP),
        (b"RIFF\0\0\0\0WEBPVP8X", ImageFormat.WEBP),
    ],
)
def test_a_format_is_known_by_its_first_bytes_whatever_follows(data, form):
    assert len(data) <= SIGNATURE_BYTES
    assert format_of(data) is form
    assert format_of(bytearray(data + b"anything")) is form


@pytest.mark.parametrize(
    "data",
    [b"", PNG[:-1], JPEG[:2], b" " + PNG, b"RIFF\0\0\0\0WEBPVP8", b"RIFF\0\0\0\0WEBPALPH", b"RIFX\0\0\0\0WEBPVP8 "],
)
def test_what_is_too_short_or_a_little_different_is_no_picture(data):
    assert format_of(data) is None
