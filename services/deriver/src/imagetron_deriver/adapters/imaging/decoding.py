"""A render's bytes to pixels: PPM as our generators write it, read strictly, or what providers deliver (PNG, JPEG, WebP)."""

import re
from typing import Final

from PIL import Image

from imagetron_chassis.pictures import decoding
from imagetron_chassis.pictures.decoding import Unreadable

__all__ = ["Unreadable", "open_render", "prepare"]

# Its other limit, 8192 a side, is that of every size on the wire.
MAX_PIXELS: Final = 40_000_000
_RGB: Final = 3
# No comments and no other depth: this is our own format for work, not everybody's.
_PPM: Final = re.compile(rb"P6\s([1-9]\d{0,3})\s([1-9]\d{0,3})\s255\s")


def prepare() -> None:
    """Once for each process, before the first render."""
    decoding.prepare()
    # What is cut out of a render may be as large as the largest render; Pillow raises at twice its limit.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def open_render(data: bytes, size: tuple[int, int]) -> Image.Image:
    """8-bit RGB in sRGB, upright and of the promised size, without anything else that came in the file. Raises Unreadable.

    Nothing larger than promised is decoded.
    """
    width, height = size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"the render of {width}x{height} has more than {MAX_PIXELS} pixels")
    if data.startswith(b"P6"):
        return _ppm(data, size)
    try:
        pixels = decoding.decoded(data, max(size), width * height)
    except (Unreadable, decoding.TooLarge) as error:
        raise Unreadable(f"the render should be {width}x{height}: {error}") from error
    if pixels.size != size:
        raise Unreadable(f"the render is {pixels.width}x{pixels.height} and should be {width}x{height}")
    pixels.info = {}
    return pixels


def _ppm(data: bytes, size: tuple[int, int]) -> Image.Image:
    header = _PPM.match(data)
    if header is None:
        raise Unreadable("the render is a PPM file that no generator of ours wrote")
    width, height = map(int, header.groups())
    if (width, height) != size:
        raise Unreadable(f"the render is {width}x{height} and should be {size[0]}x{size[1]}")
    pixels = memoryview(data)[header.end() :]
    if len(pixels) != width * height * _RGB:
        raise Unreadable(f"the render has {len(pixels)} bytes of pixels and should have {width * height * _RGB}")
    return Image.frombytes("RGB", size, pixels)
