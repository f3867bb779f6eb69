"""Sizes and formats of pictures, as they cross the wire. No pixels."""

from enum import StrEnum

from pydantic import Field

from imagetron_contracts.message import Value


class Dimensions(Value):
    """A size in pixels."""

    width: int = Field(ge=1, le=8192)
    height: int = Field(ge=1, le=8192)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class ImageFormat(StrEnum):
    """A format that we publish or keep."""

    WEBP = "webp"
    PNG = "png"
    JPEG = "jpeg"
    AVIF = "avif"

    @property
    def content_type(self) -> str:
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        return "jpg" if self is ImageFormat.JPEG else self.value
