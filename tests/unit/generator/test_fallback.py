"""Images that another provider makes in place of the first one, where the caller allows it."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Serving
from imagetron_contracts.stages import RendersGenerated
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.ports import (
    ContentFiltered,
    ModelPaused,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
)
from imagetron_generator.usecases.choosing import DirectModels
from imagetron_generator.usecases.outside_model import MadeMeanwhile
from imagetron_generator.usecases.render_image import render_image
from unit.generator.bench import NEGATIVE_PROMPT, PROMPT, Bench, a_request, a_spec

OTHER_SIZE = Dimensions(width=4, height=4)
FALLBACK = Serving(
    provider="openai", model="gpt-image-1", steps=1, guidance_scale=0, sizes={"square": OTHER_SIZE, "hero": OTHER_SIZE}
)


@dataclass
class Two:
    """A bench with two providers: `triton` first, `openai` in its place."""

    bench: Bench = field(default_factory=Bench)

    async def render(
        self,
        *indexes: int,
        first: tuple[ChassisError | None, ...] = (),
        other: tuple[ChassisError | None, ...] = (),
        tries: int = 1,
        fallback: Serving | None = FALLBACK,
        **changes: object,
    ) -> RendersGenerated:
        spec = a_spec(fallback=fallback, **changes)
        await self.bench.has_spec(spec.model_dump_json(by_alias=True).encode())
        self.first, self.other = InMemoryImageModel(*first), InMemoryImageModel(*other)
        models = {"triton": self.first, "openai": self.other}
        self.bench.model = DirectModels(models, enlarger=InMemoryImageModel())  # type: ignore[assignment]
        (fact,) = await self.bench.render(a_request(*indexes or (0,)), tries=tries)
        assert isinstance(fact, RendersGenerated)
        return fact


@pytest.fixture
def two() -> Two:
    return Two()


async def test_the_other_provider_gets_the_same_prompt_and_seed_with_its_own_model_size_steps_and_guidance(two: Two):
    await two.render(1, first=(ModelPaused("resting"),))

    (asked,) = two.other.requests
    assert (asked.provider, asked.model, asked.size, asked.steps, asked.guidance_scale) == (
        "openai",
        "gpt-image-1",
        OTHER_SIZE,
        1,
        0,
    )
    assert (asked.prompt, asked.negative_prompt, asked.seed) == (PROMPT, NEGATIVE_PROMPT, 22)


async def test_each_image_says_who_made_it_and_the_family_names_both(two: Two):
    fact = await two.render(0, 1, first=(None, ModelPaused("resting")))

    assert [(image.provider, image.served_by, image.size) for image in fact.images] == [
        ("triton", "preview", Dimensions(width=8, height=6)),
        ("openai", "gpt-image-1", OTHER_SIZE),
    ]
    assert fact.served_by == "preview, gpt-image-1"
    assert fact.model == "photorealistic"


async def test_it_is_logged_with_both_providers_and_the_reason(two: Two):
    with capture_logs() as lines:
        await two.render(first=(ModelPaused("resting"),))

    (line,) = [line for line in lines if line["event"] == "image_failed_over"]
    assert (line["provider"], line["to"], line["model"], line["reason"]) == (
        "triton",
        "openai",
        "gpt-image-1",
        "resting",
    )


async def test_a_model_that_is_away_is_waited_for_once_before_another_provider_is_paid(two: Two):
    with pytest.raises(ModelUnavailable):
        await two.render(first=(ModelUnavailable("restarting"),), tries=1)
    assert not two.other.requests

    fact = await two.render(first=(ModelUnavailable("gone"),), tries=2)
    assert [image.provider for image in fact.images] == ["openai"]


async def test_without_the_callers_leave_nobody_else_is_asked(two: Two):
    with pytest.raises(ModelPaused):
        await two.render(first=(ModelPaused("resting"),), tries=6, fallback=None)

    assert not two.other.requests


async def test_a_provider_without_a_size_for_the_family_is_not_asked(two: Two):
    with pytest.raises(ModelPaused):
        await two.render(first=(ModelPaused("resting"),), fallback=FALLBACK.model_copy(update={"sizes": {}}))

    assert not two.other.requests


@pytest.mark.parametrize("error", [ContentFiltered("withheld"), ModelTimedOut("perhaps made")])
async def test_a_withheld_picture_and_one_that_may_have_been_made_stay_with_their_provider(two: Two, error):
    fact = await two.render(0, 1, first=(error, None), tries=6)

    assert not two.other.requests
    assert [failed.index for failed in fact.errors] == [0]


async def test_when_the_other_provider_fails_too_the_hopeful_error_decides(two: Two):
    with pytest.raises(ModelPaused, match="resting"):
        await two.render(first=(ModelPaused("resting"),), other=(ContentFiltered("withheld"),))


async def test_when_no_provider_leaves_hope_the_image_fails_with_the_first_ones_word(two: Two):
    fact = await two.render(
        0, 1, first=(None, ProviderMisconfigured("no such key")), other=(ContentFiltered("withheld"),)
    )

    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.MODEL_UNAVAILABLE)]


@pytest.mark.parametrize(("taken", "left"), [(20, [40]), (60, [])])
async def test_the_other_provider_gets_the_time_that_is_left_and_is_not_asked_when_none_is(two: Two, taken, left):
    class TakesItsTime(InMemoryImageModel):
        async def render(self, *args, **options):
            two.bench.seconds += taken
            raise ProviderBusy("slow down")

    other = InMemoryImageModel(ModelRefused("no"))
    two.bench.model = DirectModels({"triton": TakesItsTime(), "openai": other}, enlarger=other)  # type: ignore[assignment]
    await two.bench.has_spec(a_spec(fallback=FALLBACK).model_dump_json(by_alias=True).encode())

    with pytest.raises(ProviderBusy):
        await two.bench.render(a_request())

    assert other.deadlines == left


async def test_a_failed_over_image_is_there_when_the_message_comes_again(two: Two):
    first = await two.render(first=(ModelPaused("resting"),))

    again = await two.render()

    assert again == first
    assert not two.first.requests


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_picture_that_another_worker_has_made_meanwhile_is_taken_as_it_is(two: Two, is_first):
    theirs = await Two(Bench(work=two.bench.work)).render()
    outcomes = (MadeMeanwhile("made"),) if is_first else (ModelPaused("resting"),)

    record = await render_image(
        a_request(),
        0,
        a_spec(fallback=FALLBACK),
        tries=1,
        deadline_seconds=60,
        work=two.bench.work,
        model=DirectModels(
            {"triton": InMemoryImageModel(*outcomes), "openai": InMemoryImageModel(MadeMeanwhile("made"))},
            enlarger=InMemoryImageModel(),
        ),
        announce=two.bench.announce,
        calls=two.bench.calls,
        timer=two.bench.timer,
    )

    assert (record.image,) == theirs.images


async def test_a_picture_that_was_made_meanwhile_and_is_gone_is_asked_for_again(two: Two):
    with pytest.raises(ModelUnavailable):
        await two.render(first=(MadeMeanwhile("made"),))
