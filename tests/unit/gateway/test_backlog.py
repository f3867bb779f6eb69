"""How full it is: what operators and autoscalers read, and when a further job is turned away."""

import pytest

from imagetron_contracts.stages import Lane
from imagetron_gateway.usecases import BacklogFull
from imagetron_gateway.usecases.queueing import Backlog, measure_backlog
from unit.gateway.desks import Office


async def test_the_backlog_counts_waiting_jobs_and_families_in_flight_of_each_lane():
    office = Office()
    await office.submit("one")
    await office.submit("two")
    await office.submit("slow", lane=Lane.BATCH)
    await office.admit(window=2)

    assert await measure_backlog(jobs=office.jobs) == {Lane.INTERACTIVE: (1, 2), Lane.BATCH: (1, 0)}


async def test_a_lane_that_is_full_turns_jobs_away_and_the_other_does_not():
    office = Office()
    backlog = Backlog(1, jobs=office.jobs, clock=office.clock)
    await backlog.check_room(Lane.BATCH)
    await office.submit("slow", lane=Lane.BATCH)
    office.clock.advance(3)

    with pytest.raises(BacklogFull, match="1 jobs wait in the lane batch"):
        await backlog.check_room(Lane.BATCH)
    await backlog.check_room(Lane.INTERACTIVE)


async def test_a_count_is_kept_for_two_seconds_so_that_submissions_do_not_count_each_time():
    office = Office()
    backlog = Backlog(1, jobs=office.jobs, clock=office.clock)
    assert await backlog.waiting(Lane.INTERACTIVE) == 0
    await office.submit()
    office.clock.advance(1.9)
    assert await backlog.waiting(Lane.INTERACTIVE) == 0
    office.clock.advance(0.2)
    assert await backlog.waiting(Lane.INTERACTIVE) == 1
