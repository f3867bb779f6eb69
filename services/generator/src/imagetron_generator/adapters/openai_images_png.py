"""A picture as a PNG file (W3C, PNG specification, third edition): 8 bits a channel, RGB, no filter, quickest compression."""

import struct
import zlib
from typing import Final

from imagetron_generator.domain.renders import SourcePicture

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH, _TRUECOLOUR, _DEFLATE, _ADAPTIVE, _NOT_INTERLACED = 8, 2, 0, 0, 0
_CHANNELS: Final = 3
_NO_FILTER: Final = b"\0"


def png(picture: SourcePicture) -> bytes:
    """The file. Slow for a large picture: not for the event loop."""
    width, height = picture.size.width, picture.size.height
    stride = width * _CHANNELS
    header = struct.pack(">IIBBBBB", width, height, _BIT_DEPTH, _TRUECOLOUR, _DEFLATE, _ADAPTIVE, _NOT_INTERLACED)
    rows = b"".join(_NO_FILTER + picture.pixels[row * stride : (row + 1) * stride] for row in range(height))
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, level=1)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
