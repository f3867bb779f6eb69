"""How a render lies in the work store: binary PPM, the lossless format that encodes and decodes fastest. No I/O."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from imagetron_generator.domain.renders import Rendered

CONTENT_TYPE: Final = "image/x-portable-pixmap"
_HEADER_LINES: Final = 3


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
