"""How a render lies in the work store: binary PPM, the lossless format that encodes and decodes fastest. No I/O."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from imagetron_contracts.media import Dimensions
from imagetron_generator.domain.renders import Rendered, SourcePicture

CONTENT_TYPE: Final = "image/x-portable-pixmap"
_HEADER_LINES: Final = 3
_HEADER: Final = re.compile(rb"P6\n([1-9]\d{0,3}) ([1-9]\d{0,3})\n255\n")
_LONGEST_SIDE: Final = 8192
_RGB: Final = 3


@dataclass(frozen=True, slots=True)
class PackedRender:
    """The file, and the sha256 of its pixels in hex."""

    data: bytes = field(repr=False)
    digest: str


def pack(rendered: Rendered) -> PackedRender:
    """The render's file. Equal pixels give equal files."""
    header = b"P6\n%d %d\n255\n" % (rendered.size.width, rendered.size.height)
    return PackedRender(header + rendered.pixels, hashlib.sha256(rendered.pixels).hexdigest())


def digest_of(data: bytes) -> str:
    """The digest of a file that `pack` made, perhaps in another process."""
    pixels = data.split(b"\n", _HEADER_LINES)[_HEADER_LINES]
    return hashlib.sha256(pixels).hexdigest()


def unpack(data: bytes) -> SourcePicture | None:
    """The picture in a file that `pack` made; None for any other file."""
    header = _HEADER.match(data)
    if header is None:
        return None
    width, height = (int(side) for side in header.groups())
    if max(width, height) > _LONGEST_SIDE or len(data) != header.end() + width * height * _RGB:
        return None
    return SourcePicture(data[header.end() :], Dimensions(width=width, height=height))


def cropped(picture: SourcePicture, shape: Dimensions) -> SourcePicture:
    """The largest part around the middle that has the proportions of `shape`, to the pixel."""
    width, height = picture.size.width, picture.size.height
    cut_width = min(width, max(1, round(height * shape.width / shape.height)))
    cut_height = min(height, max(1, round(width * shape.height / shape.width)))
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    pixels = memoryview(picture.pixels)
    starts = ((row * width + left) * _RGB for row in range(top, top + cut_height))
    cut = b"".join(pixels[start : start + cut_width * _RGB] for start in starts)
    return SourcePicture(cut, Dimensions(width=cut_width, height=cut_height))
