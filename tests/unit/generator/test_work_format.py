import hashlib

from imagetron_contracts.media import Dimensions
from imagetron_generator.domain.renders import Rendered
from imagetron_generator.domain.work_format import digest_of, pack

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
