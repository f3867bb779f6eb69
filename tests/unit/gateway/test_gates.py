"""Who is let in when: an operator's pause closes a lane, peak hours close the batch lane only."""

import pytest

from imagetron_chassis.testing import FakeClock
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.peak_hours import PeakHours
from imagetron_gateway.usecases.gates import Gates
from support.builders import NOW

PEAK = PeakHours.parse("11:00-13:00")  # NOW is noon


def gates(peak_hours: PeakHours | None = None, **paused: str) -> Gates:
    async def why_paused(lane: Lane) -> str | None:
        return paused.get(lane.value)

    return Gates(peak_hours=peak_hours, why_paused=why_paused, clock=FakeClock(NOW))


@pytest.mark.parametrize("lane", Lane)
async def test_without_pause_and_peak_hours_both_lanes_are_open(lane):
    assert await gates().why_closed(lane) is None


async def test_in_peak_hours_batch_work_waits_and_people_do_not():
    both = gates(PEAK)
    assert await both.why_closed(Lane.INTERACTIVE) is None
    said = await both.why_closed(Lane.BATCH)
    assert said == "batch work waits for the end of the peak hours (daily 11:00-13:00 UTC)"


async def test_outside_of_them_nobody_waits():
    assert await gates(PeakHours.parse("13:00-14:00")).why_closed(Lane.BATCH) is None


async def test_a_paused_lane_is_closed_with_the_operators_words():
    one = gates(interactive="paused by ops: driver update")
    assert await one.why_closed(Lane.INTERACTIVE) == "paused by ops: driver update"
    assert await one.why_closed(Lane.BATCH) is None
