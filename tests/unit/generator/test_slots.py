import asyncio
from collections import Counter

import pytest

from imagetron_contracts.stages import Lane
from imagetron_generator.ports import ModelPaused
from imagetron_generator.usecases.slots import Slots, SlotsBusy
from support.eventually import eventually


class Families:
    """Families that come for a slot; each holds it until it is told to finish."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.began: list[str] = []
        self._may_end: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, lane: Lane) -> None:
        self._may_end[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._work(name, lane))
        await asyncio.sleep(0)

    async def _work(self, name: str, lane: Lane) -> None:
        async with self.slots.taken(lane):
            self.began.append(name)
            await self._may_end[name].wait()

    async def end(self, name: str) -> None:
        self._may_end[name].set()
        await self.tasks[name]

    async def begun(self, *names: str) -> None:
        await eventually(lambda: self.began == list(names), within_seconds=3)


async def test_no_more_families_work_at_once_than_there_are_slots():
    families = Families(Slots(2))
    for name in "abc":
        await families.come(name, Lane.INTERACTIVE)
    assert families.began == ["a", "b"]

    await families.end("b")

    await families.begun("a", "b", "c")


async def test_a_waiting_interactive_family_overtakes_waiting_batch_families():
    families = Families(Slots(1, handover_seconds=0))
    await families.come("running", Lane.BATCH)
    await families.come("batch", Lane.BATCH)
    await families.come("interactive", Lane.INTERACTIVE)

    await families.end("running")

    await families.begun("running", "interactive")


async def test_batch_gets_every_tenth_slot_however_many_interactive_families_wait():
    slots = Slots(1, handover_seconds=0)
    order: list[Lane] = []

    async def family(lane: Lane) -> None:
        async with slots.taken(lane):
            order.append(lane)

    async with slots.taken(Lane.BATCH):
        lanes = [Lane.INTERACTIVE] * 60 + [Lane.BATCH] * 6
        tasks = [asyncio.create_task(family(lane)) for lane in lanes]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    tens = [Counter(order[start : start + 10]) for start in range(0, 60, 10)]
    assert all(ten[Lane.BATCH] == 1 for ten in tens)


async def test_a_slot_that_an_interactive_family_leaves_waits_a_moment_for_the_next_one_before_batch_takes_it():
    families = Families(Slots(1, handover_seconds=0.2))
    await families.come("first", Lane.INTERACTIVE)
    await families.come("batch", Lane.BATCH)

    await families.end("first")
    await families.come("second", Lane.INTERACTIVE)

    assert families.began == ["first", "second"]
    await families.end("second")
    await families.begun("first", "second", "batch")


async def test_a_family_that_waits_too_long_goes_back_without_a_try_of_its_own():
    families = Families(Slots(1, patience_seconds=0.01))
    await families.come("running", Lane.BATCH)
    await families.come("impatient", Lane.BATCH)

    with pytest.raises(SlotsBusy, match=r"lane batch within 0\.01 s"):
        await families.tasks["impatient"]

    await families.come("next", Lane.BATCH)
    await families.end("running")
    await families.begun("running", "next")


async def test_a_family_that_leaves_the_queue_takes_no_slot_with_it():
    families = Families(Slots(1))
    await families.come("running", Lane.BATCH)
    await families.come("leaving", Lane.BATCH)
    await families.come("next", Lane.BATCH)

    families.tasks["leaving"].cancel()
    await families.end("running")

    await families.begun("running", "next")


async def test_a_slot_granted_in_the_moment_in_which_its_family_leaves_goes_to_the_next():
    families = Families(Slots(1))
    async with families.slots.taken(Lane.BATCH):
        await families.come("leaving", Lane.BATCH)
        await families.come("next", Lane.BATCH)

    # The slot is granted, and nobody has woken up yet.
    families.tasks["leaving"].cancel()

    await families.begun("next")


async def test_a_family_that_leaves_in_the_moment_before_its_slot_is_granted_is_passed_over():
    families = Families(Slots(1))
    async with families.slots.taken(Lane.BATCH):
        await families.come("leaving", Lane.BATCH)
        await families.come("next", Lane.BATCH)
        families.tasks["leaving"].cancel()

    await families.begun("next")


async def test_a_family_that_fails_gives_its_slot_back():
    slots = Slots(1)

    with pytest.raises(ValueError, match="bad"):
        async with slots.taken(Lane.BATCH):
            raise ValueError("bad")

    async with asyncio.timeout(1), slots.taken(Lane.BATCH):
        pass


async def test_closing_sends_everybody_away_who_waits_or_comes_later_and_leaves_the_working_ones_alone():
    families = Families(Slots(1))
    await families.come("running", Lane.BATCH)
    await families.come("batch", Lane.BATCH)
    await families.come("interactive", Lane.INTERACTIVE)

    families.slots.close()
    await families.come("late", Lane.BATCH)

    await asyncio.wait([families.tasks[name] for name in ("batch", "interactive", "late")], timeout=3)
    assert all(families.tasks[name].cancelled() for name in ("batch", "interactive", "late"))
    await families.end("running")
    assert families.began == ["running"]


async def test_pausing_sends_back_everybody_who_waits_or_comes_and_leaves_the_working_ones_alone():
    families = Families(Slots(1, handover_seconds=0))
    await families.come("running", Lane.BATCH)
    await families.come("batch", Lane.BATCH)
    await families.come("interactive", Lane.INTERACTIVE)

    families.slots.pause()
    await families.come("late", Lane.BATCH)

    for name in ("batch", "interactive", "late"):
        with pytest.raises(ModelPaused):
            await families.tasks[name]
    await families.end("running")
    families.slots.resume()
    await families.come("next", Lane.BATCH)
    await families.begun("running", "next")


async def test_a_family_that_is_cancelled_in_the_moment_of_a_pause_takes_no_slot_with_it():
    families = Families(Slots(1))
    await families.come("running", Lane.BATCH)
    await families.come("leaving", Lane.BATCH)

    families.slots.pause()
    families.tasks["leaving"].cancel()
    await asyncio.wait([families.tasks["leaving"]])
    families.slots.resume()
    await families.come("next", Lane.BATCH)
    assert families.began == ["running"]

    await families.end("running")
    await families.begun("running", "next")


async def test_a_family_that_has_left_before_the_pause_is_passed_over():
    families = Families(Slots(1))
    await families.come("running", Lane.BATCH)
    await families.come("leaving", Lane.BATCH)

    families.tasks["leaving"].cancel()
    families.slots.pause()

    await asyncio.wait([families.tasks["leaving"]])
    assert families.tasks["leaving"].cancelled()
    await families.end("running")
