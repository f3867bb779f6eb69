"""The whole service with outside providers, over a real broker; they are doubles on loopback, and our own model is a twin."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagetron_chassis.breaker import BreakerRules
from imagetron_contracts import topology
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Serving, Source, Verb
from imagetron_contracts.stages import ModelHealth, Pool, RendersGenerated
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import Rendered
from imagetron_generator.domain.work_format import pack
from imagetron_generator.ports import ModelUnavailable
from integration.generator.neighbours import Neighbours
from support.eventually import eventually
from support.openai_images_double import GPT_MODEL, OpenAIImagesDouble, an_openai_images_double
from support.polled_double import PolledDouble, a_polled_double

SQUARE = Dimensions(width=1024, height=1024)
SMALL = Dimensions(width=8, height=8)
OPENAI = {"provider": "openai", "served_by": GPT_MODEL, "steps": 1, "guidance_scale": 0}
TO_OPENAI = Serving(provider="openai", model=GPT_MODEL, steps=1, guidance_scale=0, sizes={"square": SQUARE})
TO_TRITON = Serving(provider="triton", model="preview", steps=2, guidance_scale=7, sizes={"square": SMALL})


@pytest.fixture
def openai() -> Iterator[OpenAIImagesDouble]:
    with an_openai_images_double() as double:
        yield double


@pytest.fixture
def polled() -> Iterator[PolledDouble]:
    with a_polled_double() as double:
        yield double


Serve = Callable[..., contextlib.AbstractAsyncContextManager[None]]


@pytest.fixture
def serve(neighbours: Neighbours, openai: OpenAIImagesDouble, tmp_path: Path) -> Serve:
    """The service with OpenAI, and whatever else."""

    def serve(**changes: object) -> contextlib.AbstractAsyncContextManager[None]:
        values = {
            "documents_url": f"sqlite://{tmp_path}/generator.sqlite3",
            "openai_api_key": openai.api_key,
            "openai_base_url": openai.base_url,
            "openai_image_model": GPT_MODEL,
        }
        return neighbours.service(**{**values, **changes}).running()

    return serve


async def rendered(neighbours: Neighbours) -> RendersGenerated:
    fact: Envelope = await neighbours.next_in(topology.DERIVER_RENDERS, within_seconds=60)
    assert isinstance(fact.data, RendersGenerated)
    return fact.data


async def test_a_family_of_the_external_queue_is_made_and_paid_once_by_its_provider(neighbours, openai, serve: Serve):
    async with serve():
        await neighbours.ask(pool=Pool.EXTERNAL, size=SQUARE, **OPENAI)
        fact = await rendered(neighbours)

    assert [(image.provider, image.served_by, image.size) for image in fact.images] == [
        ("openai", GPT_MODEL, SQUARE)
    ] * 2
    assert all(image.gpu_seconds is None and image.answer_digest and image.seconds for image in fact.images)
    assert len(openai.paid) == 2
    assert not neighbours.renders_asked_of_the_model()


async def test_a_repeated_request_is_answered_again_and_not_paid_again(neighbours, openai, serve: Serve):
    async with serve():
        request = await neighbours.ask(pool=Pool.EXTERNAL, size=SQUARE, **OPENAI)
        first = await rendered(neighbours)

        await neighbours.facts.publish(request)
        again = await rendered(neighbours)

    assert again == first
    assert len(openai.paid) == 2


async def test_external_families_wait_where_no_outside_provider_is_configured(neighbours):
    async with neighbours.service().running():
        await neighbours.ask(pool=Pool.EXTERNAL, size=SQUARE, **OPENAI)
        await neighbours.ask()

        fact = await rendered(neighbours)

    assert fact.served_by == "preview"
    assert await neighbours.depth(topology.GENERATOR_EXTERNAL) == 1


async def test_a_family_whose_model_is_away_is_made_by_the_provider_that_its_owner_allows(
    neighbours, openai, serve: Serve
):
    neighbours.model = IsAway()
    async with serve(health_interval_seconds=600):
        await neighbours.ask(fallback=TO_OPENAI)
        fact = await rendered(neighbours)

    assert [(image.provider, image.served_by) for image in fact.images] == [("openai", GPT_MODEL)] * 2
    assert len(openai.paid) == 2


async def test_while_our_model_is_paused_families_with_another_provider_are_made_and_the_others_wait(
    neighbours, openai, serve: Serve
):
    neighbours.model = IsAway()
    neighbours.breaker = BreakerRules(silent_seconds=0.5, open_seconds=4)
    async with serve(health_interval_seconds=0.2):
        await eventually(lambda: is_paused(neighbours), within_seconds=10)
        patient = await neighbours.ask()
        await neighbours.ask(fallback=TO_OPENAI)

        fact = await rendered(neighbours)
        assert [image.provider for image in fact.images] == ["openai"] * 2

        neighbours.model.is_back()
        assert (await rendered(neighbours)).job_id == patient.job_id
        # It has not begun before: its deadline would have run.
        started = [await neighbours.next_in(topology.GATEWAY_STARTED) for _ in range(2)]

    assert {envelope.data.job_id for envelope in started} == {patient.job_id, fact.job_id}
    assert await neighbours.depth(topology.GATEWAY_STARTED) == 0
    assert len(openai.paid) == 2


async def test_a_family_of_a_provider_whose_account_is_spent_is_made_by_our_own_model(neighbours, openai, serve: Serve):
    openai.out_of_quota()
    async with serve():
        await neighbours.ask(pool=Pool.EXTERNAL, size=SQUARE, fallback=TO_TRITON, **OPENAI)
        fact = await rendered(neighbours)

        await eventually(
            lambda: [hint for hint in told(neighbours, GPT_MODEL) if not hint.is_available], within_seconds=20
        )

    assert [(image.provider, image.served_by, image.size) for image in fact.images] == [
        ("triton", "preview", SMALL)
    ] * 2
    assert all(image.gpu_seconds is not None for image in fact.images)
    assert not openai.paid


async def test_a_variation_sends_its_source_to_the_provider(neighbours, openai, serve: Serve):
    ours = pack(Rendered(bytes(30 * 20 * 3), Dimensions(width=30, height=20), "x"))
    await neighbours.work.put_if_absent("sources/1", ours.data, content_type="image/x-portable-pixmap")
    async with serve():
        await neighbours.ask(
            pool=Pool.EXTERNAL, size=SQUARE, verb=Verb.VARY, source=Source(key="sources/1", strength=0.5), **OPENAI
        )
        fact = await rendered(neighbours)

    assert len(fact.images) == 2
    assert all(call.is_edit for call in openai.requests)


async def test_a_picture_is_enlarged_by_the_filter_where_no_model_does_it(neighbours):
    ours = pack(Rendered(bytes(range(24)), Dimensions(width=4, height=2), "x"))
    await neighbours.work.put_if_absent("sources/1", ours.data, content_type="image/x-portable-pixmap")
    async with neighbours.service().running():
        await neighbours.ask(verb=Verb.UPSCALE, source=Source(key="sources/1"), size=Dimensions(width=16, height=8))
        fact = await rendered(neighbours)

    assert fact.fingerprint.startswith("lanczos pillow-")
    assert [(image.served_by, image.provider, str(image.size), image.gpu_seconds) for image in fact.images] == [
        ("lanczos", "triton", "16x8", 0)
    ] * 2


async def test_configured_providers_are_told_to_be_available_and_are_not_asked_for_it(neighbours, openai, serve: Serve):
    async with serve():
        await eventually(lambda: told(neighbours, GPT_MODEL), within_seconds=10)

    assert told(neighbours, GPT_MODEL)[0].is_available
    assert not openai.requests


async def test_a_provider_that_answers_later_is_asked_until_it_is_done(
    neighbours, polled: PolledDouble, tmp_path: Path
):
    settings = {
        "documents_url": f"sqlite://{tmp_path}/generator.sqlite3",
        "polled_provider_url": polled.base_url,
        "polled_provider_key": polled.api_key,
        "provider_poll_seconds": 0.1,
    }
    async with neighbours.service(**settings).running():
        request = await neighbours.ask(
            pool=Pool.EXTERNAL, size=Dimensions(width=64, height=64), provider="polled", served_by="nanobanana"
        )
        facts = [await rendered(neighbours)]
        while sum(len(fact.images) for fact in facts) < len(request.image_indexes):
            facts.append(await rendered(neighbours))
        await eventually(lambda: told(neighbours, "nanobanana"), within_seconds=10)

    assert {image.provider for fact in facts for image in fact.images} == {"polled"}
    assert {fact.job_id for fact in facts} == {request.job_id}


def told(neighbours: Neighbours, model: str) -> list[ModelHealth]:
    return [hint for hint in neighbours.hints if isinstance(hint, ModelHealth) and hint.model == model]


def is_paused(neighbours: Neighbours) -> bool:
    return any(hint.error and "paused" in hint.error for hint in told(neighbours, "watched"))


class IsAway(InMemoryImageModel):
    """Until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self._is_away = True

    def is_back(self) -> None:
        self._is_away = False

    async def render(self, request, on_step, *, deadline_seconds):
        if self._is_away:
            raise ModelUnavailable("the model is away")
        return await super().render(request, on_step, deadline_seconds=deadline_seconds)
