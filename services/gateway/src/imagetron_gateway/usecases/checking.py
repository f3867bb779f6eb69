"""The net under everything: ask again for work that is overdue, write markers that are owed."""

from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.periodic import for_each
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox, Specs
from imagetron_gateway.usecases.changing import mark_cancelled
from imagetron_gateway.usecases.committing import SAGA, commit

_SWEEP_LIMIT: Final = 200


async def check_due(*, jobs: Jobs, specs: Specs, clock: Clock, outbox: Outbox, url_of: UrlOf) -> int:
    """Ask again for work that should have answered by now; say how many jobs were due.

    Only admitted families have a check, so a long backlog costs nothing here.
    """
    due = {job.id: job for job in await jobs.due(clock.now(), SAGA, limit=_SWEEP_LIMIT)}

    async def check(job_id: str) -> None:
        await mark_cancelled(due[job_id], jobs=jobs, specs=specs, clock=clock)
        await commit(job_id, SAGA, lambda job, now: saga.tick(job, now, url_of), jobs=jobs, clock=clock, outbox=outbox)

    await for_each(due, check)
    return len(due)
