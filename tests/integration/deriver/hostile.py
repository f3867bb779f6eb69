"""Renders that are none: bombs, broken and foreign files, each with the size that it was promised in.

Most are those that the reader of foreign pictures refuses; the rest is about PPM, and about promises.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from integration.chassis.picture_files import SCRIPT, SIZE, TOO_LARGE, UNREADABLE, a_chunk, a_png, encoded, zeros
from integration.chassis.picture_files import a_picture as a_small_picture

Size = tuple[int, int]
PPM = "a PPM"


@dataclass(frozen=True, slots=True)
class Hostile:
    make: Callable[[], bytes]
    promised: Size = SIZE


def a_ppm(header: bytes, pixels: int = 60 * 40 * 3) -> bytes:
    return header + bytes(pixels)


def _a_jpeg_that_claims(width: int, height: int) -> bytes:
    data = encoded(a_small_picture(), "JPEG")
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def _a_lossless_webp(width: int, height: int) -> bytes:
    sizes = struct.pack("<I", (width - 1) | (height - 1) << 14)
    return b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8L" + struct.pack("<I", 18) + b"\x2f" + sizes + bytes(13)


def _cut_off(form: str, share: float) -> Callable[[], bytes]:
    def make() -> bytes:
        data = encoded(a_small_picture((600, 400)), form)
        return data[: int(len(data) * share)]

    return make


_OF_STRANGERS: Mapping[str, Hostile] = {
    what: Hostile(make) for what, make in {**TOO_LARGE, **UNREADABLE}.items() if what != PPM
}
_CUT_OFF: Mapping[str, Hostile] = {
    f"a {form} cut off after {share:.0%}": Hostile(_cut_off(form, share), (600, 400))
    for form in ("PNG", "JPEG", "WEBP", "PPM")
    for share in (0.01, 0.1, 0.5, 0.9)
}
_PROMISED: Mapping[str, Hostile] = {
    "a bomb whose size was promised": Hostile(lambda: a_png(9000, 9000, rows=zeros(9000 * 27001)), (8192, 8192)),
    "40 megapixels that were promised and are not there": Hostile(lambda: a_png(8000, 5000), (8000, 5000)),
    "a JPEG of 40 megapixels with data for a thousandth": Hostile(
        lambda: _a_jpeg_that_claims(8000, 5000), (8000, 5000)
    ),
    "a WebP of 40 megapixels without data": Hostile(lambda: _a_lossless_webp(8000, 5000), (8000, 5000)),
    "one pixel more than forty megapixels": Hostile(lambda: b"P6\n8000 5001\n255\n", (8000, 5001)),
    "a promise of the largest size on the wire": Hostile(lambda: b"P6\n8192 8192\n255\n", (8192, 8192)),
    "a picture that is smaller than promised": Hostile(lambda: encoded(a_small_picture((30, 20)))),
    "a picture that is larger than promised": Hostile(lambda: encoded(a_small_picture((61, 40)))),
    "a picture that lies on its side": Hostile(lambda: encoded(a_small_picture((40, 60)))),
    "a picture that its orientation lays on its side": Hostile(lambda: _turned(6)),
    "a PNG whose text is a bomb behind its pixels": Hostile(
        lambda: encoded(a_small_picture())[:-12] + a_chunk(b"zTXt", b"a\0\0" + zeros(200 << 20)) + a_chunk(b"IEND", b"")
    ),
    "an APNG whose second frame is a bomb": Hostile(
        lambda: a_png(
            *SIZE, a_chunk(b"acTL", struct.pack(">II", 2, 0)), rows=zlib.compress(bytes(40 * 181)) + zeros(100 << 20)
        )
    ),
}
_PPMS: Mapping[str, Hostile] = {
    "a PPM of another size": Hostile(lambda: a_ppm(b"P6\n40 60\n255\n")),
    "a PPM that is a byte short": Hostile(lambda: a_ppm(b"P6\n60 40\n255\n", 60 * 40 * 3 - 1)),
    "a PPM with a byte too many": Hostile(lambda: a_ppm(b"P6\n60 40\n255\n", 60 * 40 * 3 + 1)),
    "a PPM without pixels": Hostile(lambda: b"P6\n60 40\n255\n"),
    "a PPM in ASCII": Hostile(lambda: b"P3\n60 40\n255\n" + b"0 0 0 " * 2400),
    "a PPM of bits": Hostile(lambda: b"P4\n60 40\n" + bytes(320)),
    "a PPM in grey": Hostile(lambda: b"P5\n60 40\n255\n" + bytes(2400)),
    "a PAM": Hostile(lambda: b"P7\nWIDTH 60\nHEIGHT 40\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(7200)),
    "a float map": Hostile(lambda: b"PF\n60 40\n-1.0\n" + bytes(28800)),
    "a PPM with 16 bits": Hostile(lambda: a_ppm(b"P6\n60 40\n65535\n", 2 * 60 * 40 * 3)),
    "a PPM with one bit": Hostile(lambda: a_ppm(b"P6\n60 40\n1\n")),
    "a PPM of no depth": Hostile(lambda: a_ppm(b"P6\n60 40\n0\n")),
    "a PPM with a comment": Hostile(lambda: a_ppm(b"P6\n# made by hand\n60 40\n255\n")),
    "a PPM of a negative size": Hostile(lambda: a_ppm(b"P6\n-60 -40\n255\n")),
    "a PPM of the largest numbers": Hostile(lambda: a_ppm(b"P6\n99999999 99999999\n255\n")),
    "a PPM of numbers without an end": Hostile(lambda: b"P6\n" + b"9" * 1_000_000),
    "a PPM without a header": Hostile(lambda: b"P6"),
    "a web page that begins as a PPM": Hostile(lambda: b"P6\n60 40\n255\n" + SCRIPT),
    "a PPM behind a PPM": Hostile(lambda: encoded(a_small_picture(), "PPM") * 2),
}
HOSTILE: Mapping[str, Hostile] = {**_OF_STRANGERS, **_CUT_OFF, **_PROMISED, **_PPMS}


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(a_small_picture(), exif=exif)
