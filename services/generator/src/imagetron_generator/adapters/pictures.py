"""Pictures by the chassis' reader, whose processes decode foreign bytes. Our own renders need no decoding."""

import asyncio

from imagetron_chassis.pictures.reader import PictureReader
from imagetron_contracts.media import Dimensions
from imagetron_generator.adapters.openai_images_png import png
from imagetron_generator.domain.renders import SourcePicture
from imagetron_generator.domain.work_format import unpack


class ReaderPictures:
    """Implements SizedPictures. The reader is started and stopped by whoever made it."""

    def __init__(self, reader: PictureReader) -> None:
        self._reader = reader

    async def read(self, data: bytes) -> SourcePicture:
        """A render of ours, or a PNG, JPEG or WebP file. Raises the reader's errors."""
        if (ours := unpack(data)) is not None:
            return ours
        picture = await self._reader.read(data)
        return SourcePicture(picture.pixels, picture.size)

    async def as_png(self, data: bytes) -> bytes:
        return await asyncio.to_thread(png, await self.read(data))

    async def resized(self, picture: SourcePicture, size: Dimensions) -> SourcePicture:
        resized = await self._reader.resized(picture.pixels, picture.size, to=size)
        return SourcePicture(resized.pixels, resized.size)
