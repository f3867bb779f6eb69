"""`/api/admin/queue` and `/api/admin/audit`: the queue as operators run it, and what they did."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from imagetron_chassis.clock import Clock
from imagetron_chassis.letters import DeadLetters, DeadLettersUnavailable
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import admin_schemas as shown
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.domain.job import Job
from imagetron_gateway.domain.naming import job_id_of
from imagetron_gateway.ports import Audit, AuditLine, Controls, EventTails, Jobs, JobViews, Pause
from imagetron_gateway.usecases.auditing import Auditor
from imagetron_gateway.usecases.operating_jobs import Round, clear_failed, retry_many
from imagetron_gateway.usecases.operating_lanes import LaneState, lane_states, pause_lane, resume_lane

PROBLEMS: schemas.Responses = {
    403: {"model": Problem, "description": "The caller lacks the scope `admin`."},
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}


class Order(StrEnum):
    """Of a list of jobs."""

    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class AdminDesk:
    """What operators' routes need."""

    jobs: Jobs
    views: JobViews
    controls: Controls
    audit: Audit
    auditor: Auditor
    letters: DeadLetters
    tails: EventTails
    windows: Mapping[Lane, int]
    why_closed: Callable[[Lane], Awaitable[str | None]]
    admission: Periodic
    clock: Clock


async def operator(principal: Annotated[Principal, Depends(Allowed(Scope.ADMIN))]) -> Principal:
    """The caller, who by this scope sees the jobs of all owners."""
    return replace(principal, sees_all_owners=True)


Operator = Annotated[Principal, Depends(operator)]


def admin_router(desk: AdminDesk) -> APIRouter:
    router = APIRouter(prefix="/api/admin", tags=["operating"])

    @router.get(
        "/queue",
        summary="The queue at a glance",
        response_description="Lanes, work queues and how many dead letters there are.",
        responses=PROBLEMS,
    )
    async def status(_: Operator) -> shown.QueueStatusShown:
        states = await lane_states(desk.windows, jobs=desk.jobs, views=desk.views, controls=desk.controls)
        lanes = [_lane(state, await desk.why_closed(state.lane)) for state in states]
        return shown.QueueStatusShown(lanes=lanes, queues=await _queues(desk.letters))

    @router.get(
        "/queue/jobs",
        summary="List the jobs that have not ended",
        response_description="A page.",
        responses=PROBLEMS,
    )
    async def active(
        principal: Operator,
        lane: Annotated[Lane | None, Query(description="Only of this lane.")] = None,
        order: Annotated[Order, Query(description="By the time of their submission.")] = Order.OLDEST,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> shown.ActiveJobList:
        page = await desk.views.active(
            principal,
            lanes=[lane] if lane else list(Lane),
            newest_first=order is Order.NEWEST,
            after=after,
            limit=limit,
        )
        return shown.ActiveJobList(items=[_active(job, desk.clock) for job in page.jobs], next=page.next)

    @router.post(
        "/queue/lanes/{lane}/pause",
        summary="Admit nothing of a lane any more",
        response_description="Paused; what was admitted before finishes. A lane that was paused keeps its first pause.",
        responses=PROBLEMS,
    )
    async def pause(lane: Lane, body: shown.PauseBody, principal: Operator) -> shown.LaneControlShown:
        was_paused = await desk.controls.pause_of(lane) is not None
        paused = await pause_lane(
            lane, body.reason, principal, controls=desk.controls, auditor=desk.auditor, clock=desk.clock
        )
        return shown.LaneControlShown(lane=lane.value, paused=_pause(paused), was_paused=was_paused)

    @router.post(
        "/queue/lanes/{lane}/resume",
        summary="Admit a lane's jobs again",
        response_description="Not paused any more; this replica admits at once, others within seconds.",
        responses=PROBLEMS,
    )
    async def resume(lane: Lane, principal: Operator) -> shown.LaneControlShown:
        lifted = await resume_lane(lane, principal, controls=desk.controls, auditor=desk.auditor)
        desk.admission.kick()
        return shown.LaneControlShown(lane=lane.value, paused=None, was_paused=lifted is not None)

    @router.post(
        "/queue/clear",
        summary="Remove failed jobs that left no pictures",
        response_description="What was removed, or would be.",
        responses=PROBLEMS,
    )
    async def clear(body: shown.ClearBody, principal: Operator) -> shown.RoundShown:
        cleared = await clear_failed(
            timedelta(hours=body.older_than_hours),
            principal,
            limit=body.limit,
            dry_run=body.dry_run,
            views=desk.views,
            auditor=desk.auditor,
            clock=desk.clock,
        )
        return _round(cleared, dry_run=body.dry_run)

    @router.post(
        "/queue/retry",
        summary="Ask again for the failed families of many jobs",
        response_description="What was asked again, or would be.",
        responses=PROBLEMS,
    )
    async def retry(body: shown.RetryManyBody, principal: Operator) -> shown.RoundShown:
        retried = await retry_many(
            [job_id_of(job_id) for job_id in body.ids],
            None if body.within_hours is None else timedelta(hours=body.within_hours),
            principal,
            limit=body.limit,
            dry_run=body.dry_run,
            jobs=desk.jobs,
            views=desk.views,
            auditor=desk.auditor,
            clock=desk.clock,
        )
        desk.admission.kick()
        return _round(retried, dry_run=body.dry_run)

    @router.get(
        "/audit", summary="What operators did, newest first", response_description="A page.", responses=PROBLEMS
    )
    async def audit(
        _: Operator,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> shown.AuditList:
        page = await desk.audit.page(after=after, limit=limit)
        return shown.AuditList(items=[_audit_line(line) for line in page.lines], next=page.next)

    return router


async def _queues(letters: DeadLetters) -> list[shown.WorkQueueShown] | None:
    """The lanes are worth showing while the broker is away, more than ever."""
    try:
        depths = await letters.depths()
    except DeadLettersUnavailable:
        return None
    return [
        shown.WorkQueueShown(
            queue=depth.queue.name, messages=depth.messages, consumers=depth.consumers, dead_letters=depth.dead
        )
        for depth in depths
    ]


def _lane(state: LaneState, closed: str | None) -> shown.LaneShown:
    return shown.LaneShown(
        lane=state.lane.value,
        waiting_jobs=state.waiting_jobs,
        oldest_waiting_since=state.oldest_waiting_since,
        families_in_flight=state.families_in_flight,
        window=state.window,
        paused=_pause(state.pause) if state.pause else None,
        closed=closed,
    )


def _pause(pause: Pause) -> shown.PauseShown:
    return shown.PauseShown(by=pause.by, at=pause.at, reason=pause.reason)


def _active(job: Job, clock: Clock) -> shown.ActiveJobShown:
    return shown.ActiveJobShown(
        id=job.id,
        name=job.name,
        owner=job.owner,
        status=job.status,
        lane=job.lane.value,
        families_done=sum(family.status.is_terminal for family in job.families.values()),
        families_total=len(job.families),
        created_at=job.created_at,
        age_seconds=round((clock.now() - job.created_at).total_seconds(), 3),
        waiting_since=job.waiting_since,
    )


def _round(done: Round, *, dry_run: bool) -> shown.RoundShown:
    items = [
        shown.ActShown(id=act.job_id, name=act.name, families=list(act.families), refused=act.refused)
        for act in done.acts
    ]
    return shown.RoundShown(
        dry_run=dry_run, items=items, done=sum(act.refused is None for act in done.acts), complete=done.is_all
    )


def _audit_line(line: AuditLine) -> shown.AuditLineShown:
    return shown.AuditLineShown(id=line.id, at=line.at, by=line.by, what=line.what, details=line.details)
