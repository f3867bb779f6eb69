"""What a caller may do to a job that exists: cancel it, retry what failed, make everything again, cut it again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import Retryable
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_chassis.telemetry import traceparent
from imagetron_gateway.domain import commands
from imagetron_gateway.domain.decisions import Decision
from imagetron_gateway.domain.job import REQUESTS_LIMIT, Idempotency, Job, JobStatus, Policy
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox, Specs
from imagetron_gateway.usecases.committing import SAGA, JobChanged, JobMissing, KeyReused, commit
from imagetron_gateway.usecases.previewing import named


@dataclass(frozen=True, slots=True)
class Changed:
    """The job, and whether an earlier request with the same key had changed it already."""

    job: Job
    is_replay: bool = False


async def cancel_job(
    job_id: str,
    principal: Principal,
    *,
    expected: JobStatus | None = None,
    jobs: Jobs,
    specs: Specs,
    clock: Clock,
    outbox: Outbox,
    url_of: UrlOf,
) -> Job:
    """End the job, then leave the marker that workers look for. Raises JobMissing, NotAllowed.

    A crash in between, or a work store that is away, is made good by a later check: the document says that the marker is
    owed.
    """

    def decide(job: Job, now: datetime) -> Decision:
        return commands.cancel(job, now, url_of, expected)

    job = await commit(job_id, principal, decide, jobs=jobs, clock=clock, outbox=outbox)
    if job is None:
        raise JobMissing(f"no job {job_id}")
    fault_point("gateway.cancel_before_marker")
    try:
        await mark_cancelled(job, jobs=jobs, specs=specs, clock=clock)
    except Retryable as error:
        log().warning("marker_owed", job_id=job.id, revision=job.unmarked_revision, reason=str(error))
    return job


async def mark_cancelled(job: Job, *, jobs: Jobs, specs: Specs, clock: Clock) -> None:
    """Write the marker that a cancelled revision still owes, and note that it is there."""
    revision = job.unmarked_revision
    if revision is None:
        return
    await specs.mark_cancelled(job.id, revision)

    def decide(current: Job, now: datetime) -> Decision | None:
        return commands.marked(current, now) if current.unmarked_revision == revision else None

    await commit(job.id, SAGA, decide, jobs=jobs, clock=clock, outbox=None)


async def retry_job(
    job_id: str,
    families: Collection[str],
    principal: Principal,
    *,
    jobs: Jobs,
    clock: Clock,
    idempotency: Idempotency | None = None,
) -> Changed:
    """Ask again for what failed: of these families, or of all. Raises JobMissing, NotAllowed, KeyReused."""

    def decide(job: Job, now: datetime) -> Decision:
        return commands.retry(_traced(job), now, families)

    return await _change_once(job_id, principal, decide, idempotency, jobs=jobs, clock=clock)


async def regenerate_job(
    job_id: str,
    principal: Principal,
    *,
    seed: int | None = None,
    policy: Policy | None = None,
    jobs: Jobs,
    clock: Clock,
    idempotency: Idempotency | None = None,
) -> Changed:
    """Run the same inputs again as the next revision, with another seed if one is given and today's policy is the job's.

    Raises JobMissing, NotAllowed, KeyReused.
    """

    def decide(job: Job, now: datetime) -> Decision:
        return commands.regenerate(_traced(job), now, seed, policy=policy)

    return await _change_once(job_id, principal, decide, idempotency, jobs=jobs, clock=clock)


async def cut_family_again(
    job_id: str,
    family: str,
    said: Mapping[str, Any],
    principal: Principal,
    *,
    if_version: int | None = None,
    jobs: Jobs,
    clock: Clock,
    outbox: Outbox,
    idempotency: Idempotency | None = None,
) -> Changed:
    """Cut the family's renders again with these fields of its subject changed; no model is asked.

    Raises JobMissing, FamilyMissing, NotAllowed, KeyReused; JobChanged if the job is not in this version.
    """

    def decide(job: Job, now: datetime) -> Decision:
        if if_version is not None and if_version != job.version:
            raise JobChanged("the job has changed since you read it; read it again, and decide anew")
        return commands.cut_again(_traced(job), named(job, family).name, said, now)

    return await _change_once(job_id, principal, decide, idempotency, jobs=jobs, clock=clock, outbox=outbox)


async def _change_once(
    job_id: str,
    principal: Principal,
    decide: Callable[[Job, datetime], Decision],
    idempotency: Idempotency | None,
    *,
    jobs: Jobs,
    clock: Clock,
    outbox: Outbox | None = None,
) -> Changed:
    """Commit the decision, unless the same request was committed before."""

    def decide_once(job: Job, now: datetime) -> Decision | None:
        if idempotency is None:
            return decide(job, now)
        if _was_made(job, idempotency):
            return None
        decision = decide(job, now)
        remembered = (*decision.job.requests, idempotency)[-REQUESTS_LIMIT:]
        return Decision(decision.job.model_copy(update={"requests": remembered}), decision.emissions)

    job = await commit(job_id, principal, decide_once, jobs=jobs, clock=clock, outbox=outbox)
    if job is not None:
        return Changed(job)
    job = await jobs.get(job_id, principal)
    if job is None:
        raise JobMissing(f"no job {job_id}")
    return Changed(job, is_replay=True)


def _was_made(job: Job, idempotency: Idempotency) -> bool:
    known = [*job.requests, *([job.idempotency] if job.idempotency else [])]
    if any(request.key == idempotency.key and request != idempotency for request in known):
        raise KeyReused("this Idempotency-Key was used for another request; use a new one for each")
    return idempotency in known


def _traced(job: Job) -> Job:
    return job.model_copy(update={"traceparent": traceparent()})
