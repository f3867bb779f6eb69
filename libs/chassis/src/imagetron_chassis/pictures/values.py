"""Pictures as pixels, and how large they may be. No decoding."""

from dataclasses import dataclass, field
from typing import Final

from imagetron_contracts.media import Dimensions, ImageFormat

MOST_BYTES: Final = 25 << 20
MOST_PIXELS: Final = 40_000_000
MOST_A_SIDE: Final = 8192
BYTES_EACH: Final = 3
"""Of a pixel: red, green, blue."""
DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a foreign picture may be. Raises ValueError for more than a process can hold."""

    max_bytes: int = MOST_BYTES
    max_pixels: int = MOST_PIXELS
    max_side: int = MOST_A_SIDE

    def __post_init__(self) -> None:
        if not (self.max_bytes > 0 and 0 < self.max_pixels <= MOST_PIXELS and 0 < self.max_side <= MOST_A_SIDE):
            raise ValueError(f"a picture has at most {MOST_PIXELS} pixels and {MOST_A_SIDE} a side, and at least one")


@dataclass(frozen=True, slots=True)
class Picture:
    """8-bit RGB in sRGB, row by row from the top left, nothing between rows; the digest is the SHA-256 of the pixels."""

    pixels: bytes = field(repr=False)
    size: Dimensions
    digest: str


@dataclass(frozen=True, slots=True)
class ReadPicture(Picture):
    """A picture that was a file of this format."""

    source_format: ImageFormat
