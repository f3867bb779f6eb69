"""Many jobs at once, as an operator handles them: ask again for what failed, clear away what failed for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.principals import Principal
from imagetron_gateway.domain import commands
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.domain.pictures import pictures
from imagetron_gateway.ports import Jobs, JobViews, Place
from imagetron_gateway.usecases.auditing import Auditor
from imagetron_gateway.usecases.changing import retry_job
from imagetron_gateway.usecases.committing import JobMissing

# What one call reads at most to find what it may remove: failed jobs that still have pictures stay, and are passed over.
_EXAMINED_AT_MOST: Final = 1000
_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Act:
    """What became (or, in a dry run, would become) of one job. `refused` says why nothing did."""

    job_id: str
    name: str | None
    families: tuple[str, ...]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One bounded call. `is_all` is False if there may be more of the same to do."""

    acts: Sequence[Act]
    is_all: bool


async def retry_many(
    job_ids: Sequence[str],
    within: timedelta | None,
    principal: Principal,
    *,
    limit: int,
    dry_run: bool,
    jobs: Jobs,
    views: JobViews,
    auditor: Auditor,
    clock: Clock,
) -> Round:
    """Ask again for the failed families of these jobs, or of those that ended failed or partial within this time.

    One job that cannot be retried keeps no other from it.
    """
    wanted, is_all = list(job_ids), True
    if within is not None:
        both = (JobStatus.FAILED, JobStatus.PARTIAL)
        found = await views.ended(principal, statuses=both, since=clock.now() - within, limit=limit)
        wanted, is_all = [job.id for job in found.jobs], found.is_all
    if not dry_run and wanted:
        await auditor.note(principal, "jobs.retry", count=len(wanted), jobs=wanted)
    acts = [await _retried(job_id, principal, dry_run=dry_run, jobs=jobs, clock=clock) for job_id in wanted]
    if not dry_run and wanted:
        done = [act.job_id for act in acts if act.refused is None]
        await auditor.note(principal, "jobs.retried", count=len(done), jobs=done)
    return Round(acts, is_all)


async def clear_failed(
    older_than: timedelta,
    principal: Principal,
    *,
    limit: int,
    dry_run: bool,
    views: JobViews,
    auditor: Auditor,
    clock: Clock,
) -> Round:
    """Remove failed jobs that ended longer ago than that and left nothing public behind; their names are free again.

    A job with a picture of an earlier run, or with an event that the broker has not confirmed yet, stays.
    """
    # Stores keep milliseconds: what ended at this very moment has ended.
    before = clock.now() - older_than + timedelta(milliseconds=1)
    chosen, is_all = await _removable(before, principal, limit=limit, views=views)
    if not dry_run and chosen:
        ids = [job.id for job in chosen]
        await auditor.note(principal, "jobs.clear", count=len(ids), jobs=ids)
    acts = [await _cleared(job, principal, dry_run=dry_run, views=views) for job in chosen]
    if not dry_run and chosen:
        gone = [act.job_id for act in acts if act.refused is None]
        await auditor.note(principal, "jobs.cleared", count=len(gone), jobs=gone)
    return Round(acts, is_all)


async def _retried(job_id: str, principal: Principal, *, dry_run: bool, jobs: Jobs, clock: Clock) -> Act:
    try:
        job = await jobs.get(job_id, principal)
    except ChassisError as error:
        return Act(job_id, None, (), str(error))
    if job is None:
        return Act(job_id, None, (), "there is no such job")
    failed = tuple(name for name, family in job.families.items() if family.failure is not None)
    try:
        if dry_run:
            commands.retry(job, clock.now())
        else:
            await retry_job(job_id, (), principal, jobs=jobs, clock=clock)
    except (NotAllowed, ChassisError) as refusal:
        return Act(job_id, job.name, (), str(refusal))
    except JobMissing:
        return Act(job_id, job.name, (), "it was removed a moment ago")
    return Act(job_id, job.name, failed)


async def _cleared(job: Job, principal: Principal, *, dry_run: bool, views: JobViews) -> Act:
    if dry_run or await views.remove(job, principal):
        return Act(job.id, job.name, tuple(job.families))
    return Act(job.id, job.name, (), "it changed a moment ago")


def _leaves_nothing(job: Job) -> bool:
    return not job.published and not job.outbox and not any(pictures(job))


async def _removable(before: datetime, principal: Principal, *, limit: int, views: JobViews) -> tuple[list[Job], bool]:
    """Failed jobs that may go, those first that ended first; and whether these are all, as far as one call may read."""
    chosen: list[Job] = []
    last: Place | None = None
    for _ in range(_EXAMINED_AT_MOST // _PAGE):
        page = await views.ended(principal, statuses=(JobStatus.FAILED,), before=before, after=last, limit=_PAGE)
        chosen += [job for job in page.jobs if _leaves_nothing(job)]
        if len(chosen) > limit:
            return chosen[:limit], False
        if page.is_all:
            return chosen, True
        last = page.last
    return chosen, False
