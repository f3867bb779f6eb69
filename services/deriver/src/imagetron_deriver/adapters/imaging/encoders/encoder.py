"""What a format's module offers."""

from typing import Protocol

from PIL import Image

Parameters = dict[str, float | bool | str]


class Encoder(Protocol):
    """Writes one format. The same picture, packet and profile give the same bytes, until a library changes."""

    def parameters(self, profile: str) -> Parameters:
        """All that decides the bytes, beside the picture and the packet."""

    def encode(self, picture: Image.Image, packet: bytes, profile: str) -> bytes:
        """A file with this 8-bit RGB picture and this XMP packet, and nothing else. Raises MemoryError."""
