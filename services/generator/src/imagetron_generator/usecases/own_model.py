"""Our own models as any work may use them: work of other people's servers waits for a slot here, like all work of ours."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

from imagetron_contracts.stages import Lane, Pool
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import ImageModel, OnStep, Timer
from imagetron_generator.usecases.slots import Slots, SlotsBusy

_COME_BACK_SECONDS = 5.0


class OwnModel:
    """A family of the GPU's queues holds its slot already; one of the external queue takes it for the call alone.

    A model that does not say how long the device worked is taken to have worked all the time.
    """

    def __init__(self, model: ImageModel, slots: Slots, timer: Timer) -> None:
        self._model = model
        self._slots = slots
        self._timer = timer

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        """Raises SlotsBusy if no slot became free within the deadline."""
        came_at = self._timer()
        async with AsyncExitStack() as slot:
            family = request.image.family if request.image else None
            if family is not None and family.pool is Pool.EXTERNAL:
                await self._take(family.lane, slot, deadline_seconds)
            began_at = self._timer()
            waited = began_at - came_at
            rendered = await self._model.render(request, on_step, deadline_seconds=deadline_seconds - waited)
            worked = self._timer() - began_at if rendered.gpu_seconds is None else rendered.gpu_seconds
        return replace(rendered, gpu_seconds=worked, waited_seconds=waited)

    async def close(self) -> None:
        await self._model.close()

    async def _take(self, lane: Lane, slot: AsyncExitStack, patience_seconds: float) -> None:
        try:
            async with asyncio.timeout(patience_seconds):
                await slot.enter_async_context(self._slots.taken(lane))
        except TimeoutError:
            raise SlotsBusy(
                f"no slot became free within the {patience_seconds:.1f} s that were left for the image",
                retry_after_seconds=_COME_BACK_SECONDS,
            ) from None
