"""An outside provider's model as work may use it: so many calls at once, each counted as paid, none while it is failing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Final

from imagetron_chassis.errors import RateLimited
from imagetron_contracts.failures import FailureCode
from imagetron_generator.domain.renders import FamilyImage, Rendered, RenderRequest
from imagetron_generator.ports import ImageModel, ModelRefused, OnStep, Timer
from imagetron_generator.usecases.standing import Standing

PaidCall = Callable[[FamilyImage, float], AbstractAsyncContextManager[object]]
"""Around each call that costs money, which ends within so many seconds: raises instead of letting one image be paid for again
and again, or by two workers at once."""

IsKept = Callable[[FamilyImage], Awaitable[bool]]
"""Whether a picture of it lies in the work store, complete."""

_COME_BACK_SECONDS: Final = 5.0


class PlacesTaken(RateLimited):
    """As many calls as allowed are with outside providers already."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class MadeMeanwhile(RateLimited):
    """Another worker has made the picture while this one waited: it lies in the work store, and nothing was paid here."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class OutsideModel:
    """`places` bounds the calls of this process to outside providers, those of failed-over families included."""

    def __init__(
        self,
        model: ImageModel,
        standing: Standing,
        *,
        places: asyncio.Semaphore,
        paid: PaidCall,
        is_kept: IsKept,
        timer: Timer,
    ) -> None:
        self._model = model
        self._standing = standing
        self._places = places
        self._paid = paid
        self._is_kept = is_kept
        self._timer = timer

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        """Raises ModelPaused, PlacesTaken or MadeMeanwhile, without a call, and what the guard of paid calls raises."""
        image = request.image
        if image is None:
            raise ModelRefused(f"the model {request.model} costs money: a call must say which image it is for")
        came_at = self._timer()
        async with AsyncExitStack() as place:
            await self._take(place, deadline_seconds)
            waited = self._timer() - came_at
            left = deadline_seconds - waited
            # Whether it is paused is looked at first: a call that is not made must not be in the books.
            with self._standing.call():
                async with self._paid(image, left):
                    # Only now, when nobody else may pay for it, is it certain that nobody has.
                    if await self._is_kept(image):
                        raise MadeMeanwhile(f"image {image.index} was made by another worker meanwhile")
                    rendered = await self._model.render(request, on_step, deadline_seconds=left)
        return replace(rendered, waited_seconds=waited)

    async def close(self) -> None:
        await self._model.close()

    async def _take(self, place: AsyncExitStack, patience_seconds: float) -> None:
        try:
            async with asyncio.timeout(patience_seconds):
                await place.enter_async_context(self._places)
        except TimeoutError:
            raise PlacesTaken(
                f"no place for a call of {self._standing.provider} became free within {patience_seconds:.1f} s",
                retry_after_seconds=_COME_BACK_SECONDS,
            ) from None
