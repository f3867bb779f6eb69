"""Who makes a picture at once: one model for each provider that answers in the call. Providers that answer later are not here."""

from collections.abc import Mapping
from typing import Final

from imagetron_contracts.spec import TRITON, Verb
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import ImageModel, OnStep, ProviderMisconfigured

OPENAI: Final = "openai"
UPSCALER: Final = "upscaler"
"""Our model that enlarges pictures. No other of ours does: those are enlarged without a model."""


class DirectModels:
    """An image model that is all of them: each request names its provider.

    Raises ProviderMisconfigured for a provider that is not configured here, or that does not answer in the call.
    """

    def __init__(self, models: Mapping[str, ImageModel], *, enlarger: ImageModel) -> None:
        self._models = models
        self._enlarger = enlarger

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        return await self._chosen(request).render(request, on_step, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        for model in (*self._models.values(), self._enlarger):
            await model.close()

    def _chosen(self, request: RenderRequest) -> ImageModel:
        if request.verb is Verb.UPSCALE and request.provider == TRITON and request.model != UPSCALER:
            return self._enlarger
        model = self._models.get(request.provider)
        if model is None:
            raise ProviderMisconfigured(
                f"the provider {request.provider} is not configured for pictures that are made in the call: set it up, or "
                "ask for a model of another provider"
            )
        return model
