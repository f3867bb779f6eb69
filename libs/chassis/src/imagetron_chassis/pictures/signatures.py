"""The first bytes of a file, and the format that they promise. What follows may still be anything."""

from typing import Final

from imagetron_contracts.media import ImageFormat

SOURCE_FORMATS: Final = (ImageFormat.WEBP, ImageFormat.PNG, ImageFormat.JPEG)
"""What is read from strangers: few, and long hardened."""

SIGNATURE_BYTES: Final = 16
"""So many are needed to tell."""

_PNG: Final = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_JPEG: Final = b"\xff\xd8\xff"
_WEBP: Final = (b"VP8 ", b"VP8L", b"VP8X")


def format_of(data: bytes | bytearray) -> ImageFormat | None:
    """PNG, JPEG, WebP or None. Names and content types that came along are not asked."""
    if data.startswith(_PNG):
        return ImageFormat.PNG
    if data.startswith(_JPEG):
        return ImageFormat.JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and bytes(data[12:16]) in _WEBP:
        return ImageFormat.WEBP
    return None
