"""Let waiting families into the broker: a bounded window per lane, owners in turn. What is not admitted costs nothing."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import Retryable
from imagetron_chassis.logs import log
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.admission import Candidate, choose
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import FamilyStatus, Job
from imagetron_gateway.ports import Jobs, Outbox, Specs
from imagetron_gateway.usecases.committing import SAGA, commit

# Beyond the room there is, so that jobs which cannot be admitted do not hide those behind them.
_LOOKAHEAD: Final = 20


class Turns:
    """Whose turn it is in each lane. In memory: a restart begins a new round, and each replica has its own."""

    def __init__(self) -> None:
        self._last: dict[Lane, str] = {}

    def last(self, lane: Lane) -> str | None:
        """The owner who was served last."""
        return self._last.get(lane)

    def served(self, lane: Lane, owner: str) -> None:
        self._last[lane] = owner


async def admit_waiting(
    lane: Lane, window: int, *, turns: Turns, jobs: Jobs, specs: Specs, clock: Clock, outbox: Outbox
) -> int:
    """Fill the lane's window with waiting families; say how many were admitted. Reads as much as fits, not the backlog.

    A job that cannot be admitted keeps no other one waiting; the first such error is raised at the end. Replicas that
    fill at the same moment may exceed the window, by at most what each of them had room for.
    """
    in_flight = (await jobs.in_flight(SAGA)).get(lane.value, 0)
    room = window - in_flight
    if room <= 0:
        return 0
    waiting = await _in_turn(lane, room, turns=turns, jobs=jobs)
    by_id = {job.id: job for job in waiting}
    candidates = [
        Candidate(job.id, family.name, job.owner)
        for job in waiting
        for family in job.families.values()
        if family.status is FamilyStatus.WAITING
    ]

    async def admit(job: Job, families: list[str]) -> None:
        # The spec must be there before any worker hears of the job.
        await specs.write(job)
        await commit(job.id, SAGA, _admit_all(families, job.revision), jobs=jobs, clock=clock, outbox=outbox)

    admitted, errors = 0, dict[str, BaseException]()
    while chosen := choose(candidates, window=window, in_flight=in_flight):
        turns.served(lane, chosen[-1].owner)
        by_job: dict[str, list[str]] = {}
        for candidate in chosen:
            by_job.setdefault(candidate.job_id, []).append(candidate.family)
        for job_id, families in by_job.items():
            [error] = await asyncio.gather(admit(by_id[job_id], families), return_exceptions=True)
            if error is not None:
                log().warning("job_not_admitted", job_id=job_id, reason=type(error).__name__)
                errors[job_id] = error
            else:
                admitted += len(families)
            # A store that is away is away for all. What only this job cannot do leaves its room to the others.
            if error is None or isinstance(error, Retryable):
                in_flight += len(families)
        candidates = [each for each in candidates if each not in chosen and each.job_id not in errors]
    if errors:
        raise next(iter(errors.values()))
    return admitted


async def _in_turn(lane: Lane, room: int, *, turns: Turns, jobs: Jobs) -> Sequence[Job]:
    """The oldest waiting jobs of each owner whose turn it is, in the order of the turns."""
    owners = await jobs.waiting_owners(lane, SAGA, after=turns.last(lane), limit=room)
    share = -(-room // max(1, len(owners))) + _LOOKAHEAD
    return [job for owner in owners for job in await jobs.waiting(lane, owner, SAGA, limit=share)]


def _admit_all(families: list[str], revision: int) -> Callable[[Job, datetime], Decision | None]:
    def decide(job: Job, now: datetime) -> Decision | None:
        if job.revision != revision:
            return None  # another replica was faster; the spec of this revision is not written yet
        emissions: tuple[Emission, ...] = ()
        admitted = job
        for name in families:
            decision = saga.admit(admitted, name, now)
            if decision is not None:
                admitted, emissions = decision.job, (*emissions, *decision.emissions)
        return Decision(admitted, emissions) if emissions else None

    return decide
