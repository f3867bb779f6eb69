"""Public keys, and whether bytes are what they are called."""

import pytest

from imagetron_contracts.media import ImageFormat
from imagetron_publisher.domain.publication import NotADigest, belongs_to, looks_like, public_key

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
OTHER_JOB = "01890a5d-ac96-774b-bcce-b302099a8058"
BEGINNINGS = {
    ImageFormat.WEBP: b"RIFF\x0a\n\0\0WEBPVP8 ",
    ImageFormat.PNG: b"\x89PNG\r\n\x1a\n\0\0",
    ImageFormat.JPEG: b"\xff\xd8\xff\xe0",
    ImageFormat.AVIF: b"\0\0\0\x20ftypavif\0\0\0\0",
}


def test_a_public_key_is_the_job_and_the_digest_with_the_formats_extension():
    assert public_key(JOB, "0f" * 32, ImageFormat.JPEG) == f"{JOB}/{'0f' * 32}.jpg"


@pytest.mark.parametrize(
    "digest", ["", "0f" * 31, "0F" * 32, f"../{'0f' * 32}", f"{'0f' * 32}\n", "%2e%2e" * 10, "0f\0" * 22]
)
def test_nothing_but_a_digest_becomes_part_of_a_public_key(digest):
    with pytest.raises(NotADigest):
        public_key(JOB, digest, ImageFormat.WEBP)


def test_an_object_belongs_to_the_job_whose_folder_it_is_in():
    assert belongs_to(JOB, f"{JOB}/a.webp")
    assert not belongs_to(JOB, f"{OTHER_JOB}/a.webp")
    assert not belongs_to(JOB, JOB)


@pytest.mark.parametrize("form", ImageFormat)
def test_bytes_look_like_their_own_format_and_no_other(form):
    assert [other for other in ImageFormat if looks_like(BEGINNINGS[form], other)] == [form]


@pytest.mark.parametrize("data", [b"", b"<html>", b"RIFF", b" " + BEGINNINGS[ImageFormat.WEBP], b"RIFF\0\0\0\0WAVE"])
def test_other_bytes_look_like_no_format(data):
    assert not any(looks_like(data, form) for form in ImageFormat)
