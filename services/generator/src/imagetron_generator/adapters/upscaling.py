"""Enlarges pictures without a model: a Lanczos filter, which invents nothing. The default where no upscaling model is loaded."""

import asyncio
from importlib.metadata import version
from typing import Final

from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.triton import ModelNotLoaded
from imagetron_generator.domain.renders import Rendered, RenderRequest, upscaling_factor
from imagetron_generator.ports import ImageModel, ModelRefused, ModelTimedOut, OnStep
from imagetron_generator.usecases.sourced_model import SizedPictures

LANCZOS: Final = "lanczos"


class LanczosUpscaler:
    """An image model for upscalings alone. What it makes says who made it."""

    def __init__(self, pictures: SizedPictures) -> None:
        self._pictures = pictures
        self._fingerprint = f"{LANCZOS} pillow-{version('pillow')}"

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        source = request.source
        if request.verb is not Verb.UPSCALE or source is None or upscaling_factor(source.size, request.size) is None:
            raise ModelRefused(
                f"a filter cannot {request.verb} to {request.size}: it enlarges pictures by whole factors"
            )
        try:
            async with asyncio.timeout(deadline_seconds):
                enlarged = await self._pictures.resized(source, request.size)
        except TimeoutError:
            raise ModelTimedOut(f"the picture was not enlarged within {deadline_seconds:.1f} s") from None
        on_step(1, 1)
        return Rendered(enlarged.pixels, enlarged.size, self._fingerprint, gpu_seconds=0.0, served_by=LANCZOS)

    async def close(self) -> None:
        """Nothing: the reader of pictures is somebody else's."""


class UpscalerOrLanczos:
    """The server's model, with the filter in place of an upscaling model that is not loaded."""

    def __init__(self, model: ImageModel, lanczos: LanczosUpscaler) -> None:
        self._model = model
        self._lanczos = lanczos

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        try:
            return await self._model.render(request, on_step, deadline_seconds=deadline_seconds)
        except ModelNotLoaded:
            if request.verb is not Verb.UPSCALE:
                raise
        return await self._lanczos.render(request, on_step, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        await self._model.close()
        await self._lanczos.close()
