"""Fetches the picture that a request begins with, and brings it to the size asked for. What is made of it is the model's."""

import asyncio
from dataclasses import replace
from typing import Protocol

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Source, Verb
from imagetron_generator.domain.renders import Rendered, RenderRequest, SourcePicture
from imagetron_generator.domain.work_format import cropped
from imagetron_generator.ports import ImageModel, OnStep, Pictures
from imagetron_generator.usecases.inputs import source_of


class SizedPictures(Pictures, Protocol):
    """Reads renders of ours besides, and brings pictures to other sizes."""

    async def resized(self, picture: SourcePicture, size: Dimensions) -> SourcePicture:
        """To this very size, by a Lanczos filter."""
        ...


class SourcedModel:
    """A source of another shape loses what is too much at two sides; it is never stretched. Upscalings get it as it is."""

    def __init__(self, model: ImageModel, work: Blobs, pictures: SizedPictures) -> None:
        self._model = model
        self._work = work
        self._pictures = pictures

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        """Raises SourceLost, and what reading the source raises."""
        if request.origin is not None and request.verb.needs_a_source:
            source = await self._read(request.origin)
            if request.verb is not Verb.UPSCALE:
                source = await self._fitted(source, request.size)
            request = replace(request, source=source)
        return await self._model.render(request, on_step, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        await self._model.close()

    async def _read(self, origin: Source) -> SourcePicture:
        return await self._pictures.read(await source_of(origin, self._work))

    async def _fitted(self, source: SourcePicture, size: Dimensions) -> SourcePicture:
        if source.size == size:
            return source
        source = await asyncio.to_thread(cropped, source, size)
        return source if source.size == size else await self._pictures.resized(source, size)
