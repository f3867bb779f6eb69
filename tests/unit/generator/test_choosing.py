"""Each request goes to its provider's model."""

from dataclasses import replace

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import ProviderMisconfigured
from imagetron_generator.usecases.choosing import DirectModels

PICTURE = RenderRequest(
    model="sdxl/anime",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    steps=1,
    guidance_scale=1,
)


class Desk:
    """Two providers and the filter that enlarges."""

    def __init__(self) -> None:
        self.triton, self.openai, self.filter = InMemoryImageModel(), InMemoryImageModel(), InMemoryImageModel()
        self.models = DirectModels({"triton": self.triton, "openai": self.openai}, enlarger=self.filter)

    async def asked(self, **changes: object) -> InMemoryImageModel:
        """Who made the picture."""
        await self.models.render(replace(PICTURE, **changes), lambda _step, _steps: None, deadline_seconds=7)  # type: ignore[arg-type]
        (model,) = [model for model in (self.triton, self.openai, self.filter) if model.requests]
        assert model.deadlines == [7]
        return model


async def test_a_request_goes_to_the_provider_that_it_names():
    assert await (first := Desk()).asked(provider="triton") is first.triton
    assert await (second := Desk()).asked(provider="openai") is second.openai


@pytest.mark.parametrize("provider", ["polled", "nobody"])
async def test_a_provider_that_is_not_configured_or_answers_later_is_named_in_the_error(provider):
    with pytest.raises(ProviderMisconfigured, match=f"the provider {provider} is not configured"):
        await Desk().asked(provider=provider)


@pytest.mark.parametrize("model", ["sdxl/anime", "preview"])
async def test_models_of_ours_that_do_not_enlarge_leave_it_to_the_filter(model):
    desk = Desk()

    assert await desk.asked(verb=Verb.UPSCALE, model=model) is desk.filter


async def test_the_upscaling_model_is_asked_itself_and_outside_providers_are_too():
    assert await (first := Desk()).asked(verb=Verb.UPSCALE, model="upscaler") is first.triton
    assert await (second := Desk()).asked(verb=Verb.UPSCALE, provider="openai") is second.openai


async def test_closing_closes_all_of_them():
    desk = Desk()
    for model in (desk.triton, desk.openai, desk.filter):
        model.hold()

    await desk.models.close()

    await desk.asked()
    await desk.models.render(replace(PICTURE, provider="openai"), lambda _step, _steps: None, deadline_seconds=7)
    await desk.models.render(replace(PICTURE, verb=Verb.UPSCALE), lambda _step, _steps: None, deadline_seconds=7)
