"""The queue as callers see it: whether there is room for one more, which place a job has, and how long that may take."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.job import Job
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases.committing import SAGA
from imagetron_gateway.usecases.submitting import BacklogFull

# Long enough to see several slow jobs end, short enough to follow a model that has become slower.
_PACE_SPAN: Final = timedelta(minutes=5)
# Of fewer ends no pace can be told.
_ENDS_FOR_A_PACE: Final = 3
_COUNT_KEPT_FOR: Final = timedelta(seconds=2)
_meter = metrics.get_meter(__name__)
_waiting_jobs = _meter.create_gauge(*semconv.WAITING_JOBS)
_families_in_flight = _meter.create_gauge(*semconv.FAMILIES_IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class Place:
    """A waiting job's place among the jobs of its lane, 1 is next; and an estimate from the lane's pace of late, if any.

    Owners take turns, so a job may be served before others that have waited longer, but hardly ever after its place.
    """

    position: int
    estimated_wait_seconds: int | None


async def place_of(job: Job, *, jobs: Jobs, clock: Clock) -> Place | None:
    """None for a job of which nothing waits."""
    if job.waiting_since is None:
        return None
    now = clock.now()
    position = 1 + await jobs.count_waiting(job.lane, SAGA, before=job.waiting_since)
    pace = await jobs.finished(job.lane, SAGA, since=now - _PACE_SPAN)
    if pace.first_at is None or pace.count < _ENDS_FOR_A_PACE or pace.first_at >= now:
        return Place(position, None)
    seconds_each = (now - pace.first_at).total_seconds() / pace.count
    return Place(position, math.ceil(position * seconds_each))


async def measure_backlog(*, jobs: Jobs) -> dict[Lane, tuple[int, int]]:
    """Jobs that wait and families in flight, by lane; set as gauges too, for people to watch and machines to scale by:
    what waits in the store shows in no queue of the broker.
    """
    in_flight = await jobs.in_flight(SAGA)
    counts = {lane: (await jobs.count_waiting(lane, SAGA), in_flight.get(lane.value, 0)) for lane in Lane}
    for lane, (waiting, flying) in counts.items():
        _waiting_jobs.set(waiting, {semconv.LANE: lane.value})
        _families_in_flight.set(flying, {semconv.LANE: lane.value})
    return counts


class Backlog:
    """How many jobs wait, counted afresh every two seconds at most: each submission asks."""

    def __init__(self, limit: int, *, jobs: Jobs, clock: Clock) -> None:
        self._limit = limit
        self._jobs = jobs
        self._clock = clock
        self._counts: dict[Lane, tuple[datetime, int]] = {}

    async def waiting(self, lane: Lane) -> int:
        now = self._clock.now()
        counted_at, count = self._counts.get(lane, (None, 0))
        if counted_at is None or abs(now - counted_at) > _COUNT_KEPT_FOR:
            count = await self._jobs.count_waiting(lane, SAGA)
            self._counts[lane] = (now, count)
        return count

    async def check_room(self, lane: Lane) -> None:
        """Raises BacklogFull."""
        waiting = await self.waiting(lane)
        if waiting >= self._limit:
            raise BacklogFull(
                f"{waiting} jobs wait in the lane {lane.value}, which is as many as are taken; try again later"
            )
