"""What each outcome of a call means for the circuit and for the slots."""

import asyncio

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.breaker import BreakerRules
from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import Lane
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import (
    ModelFailed,
    ModelOutOfMemory,
    ModelPaused,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    QueueFull,
)
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.guarded_model import GuardedModel
from imagetron_generator.usecases.slots import Slots
from support.eventually import eventually

PICTURE = RenderRequest(
    model="sdxl",
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    steps=1,
    guidance_scale=1,
)


class Desk:
    """A guarded model on a clock that is moved by hand, with four slots."""

    def __init__(self, *outcomes: ChassisError | None) -> None:
        self.seconds = 0.0
        self.model = InMemoryImageModel(*outcomes)
        self.slots = Slots(4, handover_seconds=0)
        self.said: list[str] = []
        self.circuit = Circuit(
            self.timer,
            chance=lambda: 0,
            opened=lambda: self.said.append("opened"),
            closed=lambda: self.said.append("closed"),
            rules=BreakerRules(least_calls=4),
        )
        self.guarded = GuardedModel(self.model, self.circuit, self.slots, self.timer)

    def timer(self) -> float:
        self.seconds += 0.01
        return self.seconds

    async def call(self) -> None:
        await self.guarded.render(PICTURE, lambda _step, _steps: None, deadline_seconds=1)

    async def calls(self, times: int) -> None:
        for _ in range(times):
            await asyncio.gather(self.call(), return_exceptions=True)

    async def slots_given(self) -> int:
        """How many families get a slot when many come."""
        working = 0

        async def family() -> None:
            nonlocal working
            async with self.slots.taken(Lane.BATCH):
                working += 1
                await asyncio.Event().wait()

        families = [asyncio.create_task(family()) for _ in range(9)]
        for _ in range(20):
            await asyncio.sleep(0)
        for task in families:
            task.cancel()
        await asyncio.wait(families)
        return working


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelTimedOut("hangs"), ModelFailed("broke")])
async def test_a_server_that_fails_call_after_call_is_given_a_rest(error: ChassisError):
    desk = Desk(*[error] * 9)

    await desk.calls(9)

    assert desk.said == ["opened"]
    assert len(desk.model.requests) == 4
    with pytest.raises(ModelPaused):
        await desk.call()


@pytest.mark.parametrize("error", [ModelRefused("no"), QueueFull("full"), ModelOutOfMemory("too big")])
async def test_what_says_nothing_about_the_server_opens_nothing_and_hides_no_failure(error: ChassisError):
    desk = Desk(*[error] * 9, *[ModelFailed("broke")] * 4)

    await desk.calls(9)
    assert not desk.said

    await desk.calls(4)
    assert desk.said == ["opened"]


async def test_cancelled_calls_open_nothing():
    desk = Desk()
    desk.model.hold()
    calls = [asyncio.create_task(desk.call()) for _ in range(9)]
    await eventually(lambda: len(desk.model.requests) == 9)

    for call in calls:
        call.cancel()
    await asyncio.wait(calls)

    assert not desk.said
    assert await desk.slots_given() == 4


@pytest.mark.parametrize(
    ("error", "slots"),
    [
        (ModelUnavailable("away"), 2),
        (QueueFull("full"), 2),
        (ModelOutOfMemory("too big"), 2),
        (ModelTimedOut("hangs"), 4),
        (ModelFailed("broke"), 4),
        (ModelRefused("no"), 4),
    ],
)
async def test_a_server_that_pushes_back_gets_half_as_many_calls_at_once(error: ChassisError, slots: int):
    desk = Desk(error)

    await desk.calls(1)

    assert await desk.slots_given() == slots


async def test_good_images_bring_the_slots_back_one_by_one():
    desk = Desk(QueueFull("full"))

    await desk.calls(1 + 20)
    assert await desk.slots_given() == 3

    await desk.calls(200)
    assert await desk.slots_given() == 4


async def test_a_family_that_waits_gets_the_slot_that_good_images_made():
    desk = Desk(*[QueueFull("full")] * 3)
    await desk.calls(3)
    began = []

    async def family(name: str) -> None:
        async with desk.slots.taken(Lane.BATCH):
            began.append(name)
            await asyncio.Event().wait()

    families = [asyncio.create_task(family(name)) for name in "ab"]
    await eventually(lambda: began == ["a"])

    await desk.calls(20)

    await eventually(lambda: began == ["a", "b"])
    for task in families:
        task.cancel()
    await asyncio.wait(families)


async def test_each_change_of_the_circuit_is_logged_with_the_model_that_is_to_blame():
    desk = Desk(*[ModelFailed("broke")] * 4)

    with capture_logs() as lines:
        await desk.calls(4)
        desk.seconds += 10
        assert desk.circuit.canary_may_go()
        desk.circuit.canary_ended(has_failed=True, began_at=desk.seconds)
        desk.seconds += 20
        assert desk.circuit.canary_may_go()
        desk.circuit.canary_ended(has_failed=False, began_at=desk.seconds)

    told = [(line["event"], line.get("model"), line.get("openings")) for line in lines]
    assert told == [
        ("circuit_opened", "sdxl", 1),
        ("circuit_half_open", "sdxl", None),
        ("circuit_opened", "sdxl", 2),
        ("circuit_half_open", "sdxl", None),
        ("circuit_closed", None, None),
    ]
    assert desk.said == ["opened", "closed"]


async def test_closing_closes_the_model():
    desk = Desk()
    desk.model.hold()

    await desk.guarded.close()

    await desk.call()
