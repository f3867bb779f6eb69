"""Take in what a worker says of its work."""

from datetime import datetime

from imagetron_chassis.clock import Clock
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.stages import FamilyMessage
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.decisions import Decision
from imagetron_gateway.domain.job import Job
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox
from imagetron_gateway.usecases.committing import SAGA, commit


async def take_in(
    message: FamilyMessage, *, cause: Envelope, jobs: Jobs, clock: Clock, outbox: Outbox, url_of: UrlOf
) -> Job | None:
    """Let a worker's message change its job. None if there is no such job or nothing changed."""

    def decide(job: Job, now: datetime) -> Decision | None:
        return saga.apply(job, message, now, url_of)

    return await commit(message.job_id, SAGA, decide, jobs=jobs, clock=clock, outbox=outbox, cause=cause)
