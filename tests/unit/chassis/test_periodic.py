"""Work that repeats: rounds, kicks, errors that it survives, and its end."""

import asyncio
import math

import pytest

from imagetron_chassis.errors import Transient
from imagetron_chassis.periodic import Periodic, for_each
from support.eventually import eventually


class Work:
    """Counts its rounds; a round waits at the gate and ends in the error that was laid out for it."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.begun = 0
        self.ended = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._errors = list(errors)

    async def __call__(self) -> None:
        self.begun += 1
        await self.gate.wait()
        error = self._errors.pop(0) if self._errors else None
        if error:
            raise error
        self.ended += 1


async def test_work_is_done_at_once_and_again_after_each_interval():
    work = Work()
    periodic = Periodic("work", 0.001, work)

    await periodic.start()
    await eventually(lambda: work.ended >= 3)

    await periodic.stop()


async def test_a_kick_does_not_wait_for_the_interval():
    work = Work()
    periodic = Periodic("work", math.inf, work)
    await periodic.start()
    await eventually(lambda: work.ended == 1)

    periodic.kick()

    await eventually(lambda: work.ended == 2)
    await periodic.stop()


async def test_many_kicks_during_one_round_are_one_more_round():
    work = Work()
    work.gate.clear()
    periodic = Periodic("work", math.inf, work)
    await periodic.start()
    await eventually(lambda: work.begun == 1)

    for _ in range(50):
        periodic.kick()
    work.gate.set()

    await eventually(lambda: work.ended == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert work.begun == 2
    await periodic.stop()


@pytest.mark.parametrize(
    "error",
    [Transient("the store is away"), KeyError("a bug"), asyncio.CancelledError()],
    ids=lambda e: type(e).__name__,
)
async def test_a_round_that_fails_is_followed_by_the_next(error: BaseException):
    work = Work(error)
    periodic = Periodic("work", 0.001, work)

    await periodic.start()

    await eventually(lambda: work.ended >= 1)
    await periodic.stop()


async def test_stop_ends_a_round_in_the_middle_and_nothing_runs_after():
    work = Work()
    work.gate.clear()
    periodic = Periodic("work", 0.001, work)
    await periodic.start()
    await eventually(lambda: work.begun == 1)

    await periodic.stop()
    work.gate.set()
    for _ in range(20):
        await asyncio.sleep(0)

    assert (work.begun, work.ended) == (1, 0)


async def test_stop_before_start_and_a_second_stop_do_nothing():
    periodic = Periodic("work", 1, Work())

    await periodic.stop()
    await periodic.start()
    await periodic.stop()
    await periodic.stop()


async def test_one_item_that_fails_keeps_no_other_waiting_and_its_error_is_raised_at_the_end():
    done: list[str] = []

    async def work(item: str) -> None:
        done.append(item)
        if item in "bc":
            raise Transient(f"{item} failed")

    with pytest.raises(Transient, match="b failed"):
        await for_each("abcd", work)

    assert done == ["a", "b", "c", "d"]


async def test_items_that_all_go_well_raise_nothing():
    done: list[str] = []

    async def work(item: str) -> None:
        done.append(item)

    await for_each("ab", work)

    assert done == ["a", "b"]
