"""A reader of pictures on pure Python: any file that begins with a word for a size, and a filter that repeats pixels."""

import asyncio

from imagetron_chassis.errors import Permanent
from imagetron_contracts.media import Dimensions
from imagetron_generator.domain.renders import SourcePicture
from imagetron_generator.domain.work_format import unpack


class NoPicture(Permanent):
    """The bytes are no picture."""


class PlainPictures:
    """`picture 4x2` is a grey picture of that size. `hold` makes resizing wait for ever."""

    def __init__(self) -> None:
        self.resizings: list[tuple[str, str]] = []
        self.is_held = False

    async def read(self, data: bytes) -> SourcePicture:
        if (ours := unpack(data)) is not None:
            return ours
        word, _, size = data.decode().partition(" ")
        if word != "picture":
            raise NoPicture("the file is no picture")
        width, height = map(int, size.split("x"))
        return SourcePicture(bytes([128]) * (width * height * 3), Dimensions(width=width, height=height))

    async def as_png(self, data: bytes) -> bytes:
        raise NotImplementedError

    async def resized(self, picture: SourcePicture, size: Dimensions) -> SourcePicture:
        self.resizings.append((str(picture.size), str(size)))
        if self.is_held:
            await asyncio.Event().wait()
        return SourcePicture(picture.pixels[:3] * (size.width * size.height), size)
