"""Calls of outside providers: how many at once, counted as paid, held back while the provider is failing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from imagetron_chassis.breaker import BreakerRules
from imagetron_chassis.errors import ChassisError, QuotaExceeded
from imagetron_contracts.media import Dimensions
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import FamilyImage, Rendered, RenderRequest
from imagetron_generator.ports import ContentFiltered, ModelFailed, ModelPaused, ModelRefused
from imagetron_generator.usecases.outside_model import MadeMeanwhile, OutsideModel, PlacesTaken
from imagetron_generator.usecases.standing import Standing
from support.eventually import eventually
from unit.generator.bench import a_request

PICTURE = RenderRequest(
    model="gpt-image-1",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    steps=1,
    guidance_scale=0,
    provider="openai",
    image=FamilyImage(a_request(), 2),
)


class CapReached(QuotaExceeded):
    """The guard of paid calls lets no more through."""


class Desk:
    """Two places, and books in which every paid call is noted with its end."""

    def __init__(self, *outcomes: ChassisError | None) -> None:
        self.seconds = 0.0
        self.model = InMemoryImageModel(*outcomes)
        self.books: list[tuple[int, str]] = []
        self.is_capped = False
        self.are_kept: list[FamilyImage] = []
        self.standing = Standing(
            "openai", ("gpt-image-1",), lambda: self.seconds, chance=lambda: 0, rules=BreakerRules(least_calls=2)
        )
        self.outside = OutsideModel(
            self.model,
            self.standing,
            places=asyncio.Semaphore(2),
            paid=self.paid,
            is_kept=self.is_kept,
            timer=lambda: self.seconds,
        )

    @asynccontextmanager
    async def paid(self, image: FamilyImage, seconds: float) -> AsyncIterator[None]:
        self.longest = seconds
        if self.is_capped:
            raise CapReached("two calls were paid for this image already")
        try:
            yield
        except ChassisError as error:
            self.books.append((image.index, type(error).__name__))
            raise
        self.books.append((image.index, "made"))

    async def is_kept(self, image: FamilyImage) -> bool:
        return image in self.are_kept

    async def call(self, request: RenderRequest = PICTURE, *, deadline_seconds: float = 60) -> Rendered:
        return await self.outside.render(request, lambda _step, _steps: None, deadline_seconds=deadline_seconds)


async def test_every_call_is_in_the_books_of_its_image_with_its_end():
    desk = Desk(None, ContentFiltered("withheld"))

    await desk.call()
    with pytest.raises(ContentFiltered):
        await desk.call()

    assert desk.books == [(2, "made"), (2, "ContentFiltered")]


async def test_a_call_that_the_books_forbid_is_not_made():
    desk = Desk()
    desk.is_capped = True

    with pytest.raises(CapReached):
        await desk.call()

    assert not desk.model.requests


async def test_a_picture_that_another_worker_has_made_by_now_is_not_paid_for_again():
    desk = Desk()
    desk.are_kept = [FamilyImage(a_request(), 2)]

    with pytest.raises(MadeMeanwhile):
        await desk.call()

    assert not desk.model.requests
    assert desk.books == [(2, "MadeMeanwhile")]


async def test_a_call_for_nobodys_image_is_not_made():
    desk = Desk()

    with pytest.raises(ModelRefused, match="which image"):
        await desk.call(replace(PICTURE, image=None))

    assert not desk.model.requests


async def test_only_so_many_calls_are_made_at_once_and_the_next_has_the_time_that_is_left():
    desk = Desk()
    desk.model.hold()
    calls = [asyncio.create_task(desk.call()) for _ in range(3)]
    await eventually(lambda: len(desk.model.requests) == 2)
    for _ in range(20):  # more turns of the loop than the way to the model takes
        await asyncio.sleep(0)
    assert len(desk.model.requests) == 2

    desk.seconds = 10
    desk.model.release()
    rendered = await asyncio.gather(*calls)

    assert [picture.waited_seconds for picture in rendered] == [0, 0, 10]
    assert desk.model.deadlines == [60, 60, 50]
    assert desk.longest == 50


async def test_who_gets_no_place_in_time_comes_back_later_and_has_cost_nothing():
    desk = Desk()
    desk.model.hold()
    calls = [asyncio.create_task(desk.call()) for _ in range(2)]
    await eventually(lambda: len(desk.model.requests) == 2)

    with pytest.raises(PlacesTaken):
        await desk.call(deadline_seconds=0.01)

    desk.model.release()
    await asyncio.gather(*calls)
    assert len(desk.books) == 2


async def test_a_provider_that_fails_call_after_call_is_not_called_and_nothing_is_booked_until_its_time_is_over():
    desk = Desk(ModelFailed("broke"), ModelFailed("broke"))
    for _ in range(2):
        with pytest.raises(ModelFailed):
            await desk.call()

    with pytest.raises(ModelPaused):
        await desk.call()
    assert len(desk.books) == 2

    desk.seconds += 100
    await desk.call()
    await desk.call()
    assert [end for _, end in desk.books] == ["ModelFailed", "ModelFailed", "made", "made"]


async def test_closing_closes_the_model():
    desk = Desk()
    desk.model.hold()

    await desk.outside.close()

    await desk.call()
