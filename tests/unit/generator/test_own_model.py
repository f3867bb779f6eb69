"""Calls of our own models: whose wait for a slot, and how long the device is taken to have worked."""

import asyncio
from dataclasses import replace

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import Lane, Pool
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import FamilyImage, Rendered, RenderRequest
from imagetron_generator.ports import ModelPaused
from imagetron_generator.usecases.own_model import OwnModel
from imagetron_generator.usecases.slots import Slots, SlotsBusy
from support.eventually import eventually
from unit.generator.bench import a_request

PICTURE = RenderRequest(
    model="sdxl",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    steps=1,
    guidance_scale=1,
    image=FamilyImage(a_request(), 0),
)
FROM_OUTSIDE = replace(PICTURE, image=FamilyImage(a_request(pool=Pool.EXTERNAL), 0))


class Takes(InMemoryImageModel):
    """So many seconds for a picture, of which the device says so many, if anything."""

    def __init__(self, desk: "Desk", seconds: float, said: float | None) -> None:
        super().__init__()
        self._desk, self._seconds, self._said = desk, seconds, said

    async def render(self, request, on_step, *, deadline_seconds):
        rendered = await super().render(request, on_step, deadline_seconds=deadline_seconds)
        self._desk.seconds += self._seconds
        return replace(rendered, gpu_seconds=self._said)


class Desk:
    """One slot, and a clock that is moved by hand."""

    def __init__(self, *, takes: float = 0, said: float | None = None) -> None:
        self.seconds = 0.0
        self.model = Takes(self, takes, said)
        self.slots = Slots(1, handover_seconds=0)
        self.own = OwnModel(self.model, self.slots, lambda: self.seconds)

    async def call(self, request: RenderRequest = PICTURE, *, deadline_seconds: float = 60) -> Rendered:
        return await self.own.render(request, lambda _step, _steps: None, deadline_seconds=deadline_seconds)


async def test_a_family_of_the_gpus_queues_holds_its_slot_already_and_a_probe_needs_none():
    desk = Desk()

    async with desk.slots.taken(Lane.INTERACTIVE):
        await desk.call()
        await desk.call(replace(PICTURE, image=None))

    assert len(desk.model.requests) == 2


async def test_a_family_of_the_external_queue_takes_a_slot_for_its_call():
    desk = Desk()
    desk.model.hold()
    async with desk.slots.taken(Lane.INTERACTIVE):
        call = asyncio.create_task(desk.call(FROM_OUTSIDE))
        for _ in range(20):  # more turns of the loop than the way to the model takes
            await asyncio.sleep(0)
        assert not desk.model.requests
        desk.seconds = 10
    await eventually(lambda: desk.model.requests)
    neighbour = asyncio.create_task(_takes_a_slot(desk.slots))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not neighbour.done()

    desk.model.release()
    rendered = await call
    await neighbour

    assert rendered.waited_seconds == 10
    assert desk.model.deadlines == [50]


async def _takes_a_slot(slots: Slots) -> None:
    async with slots.taken(Lane.BATCH):
        pass


async def test_who_gets_no_slot_in_the_images_time_comes_back_later():
    desk = Desk()

    async with desk.slots.taken(Lane.INTERACTIVE):
        with pytest.raises(SlotsBusy, match=r"0\.0 s"):
            await desk.call(FROM_OUTSIDE, deadline_seconds=0.01)

    assert not desk.model.requests
    await desk.call(FROM_OUTSIDE)


async def test_while_no_slots_are_given_nobody_from_outside_waits_for_one():
    desk = Desk()
    desk.slots.pause()

    with pytest.raises(ModelPaused):
        await desk.call(FROM_OUTSIDE)


async def test_the_device_worked_as_long_as_the_model_says_and_else_as_long_as_the_call_took():
    assert (await Desk(takes=3, said=2.5).call()).gpu_seconds == 2.5
    assert (await Desk(takes=3, said=0.0).call()).gpu_seconds == 0
    assert (await Desk(takes=3).call()).gpu_seconds == 3


async def test_closing_closes_the_model():
    desk = Desk()
    desk.model.hold()

    await desk.own.close()

    await desk.call()
