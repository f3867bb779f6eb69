"""What the reader and its processes say to each other."""

import io

from imagetron_chassis.pictures import frames


def test_a_frame_comes_out_as_it_went_in_however_its_parts_were_cut():
    stream = io.BytesIO()
    frames.write(stream, {"do": "read"}, [5, 0, 1], [b"ab", b"cde", b"f"])
    frames.write(stream, {"ready": True})
    stream.seek(0)

    assert frames.read(stream) == ({"do": "read", "lengths": [5, 0, 1]}, [b"abcde", b"", b"f"])
    assert frames.read(stream) == ({"ready": True, "lengths": []}, [])
    assert frames.read(stream) is None


def test_a_frame_that_breaks_off_is_the_end():
    stream = io.BytesIO()
    frames.write(stream, {}, [5], [b"abc"])
    stream.seek(0)

    assert frames.read(stream) is None
