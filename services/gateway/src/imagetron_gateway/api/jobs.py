"""`/api/jobs/{id}`: read, cancel, retry, replay. What every kind of job has in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response

from imagetron_chassis.clock import Clock
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.ids import JobId
from imagetron_gateway.api.job_schemas import CancelBody, JobAccepted, JobShown, RetryBody
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.problems import InvalidRequest, Problem
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.domain.job import Job
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox, Specs
from imagetron_gateway.usecases.changing import cancel_job, retry_job
from imagetron_gateway.usecases.committing import JobMissing
from imagetron_gateway.usecases.queueing import place_of

_MISSING: schemas.Responses = {404: {"model": Problem, "description": "There is no such job."}}
_UNAVAILABLE: schemas.Responses = {
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."}
}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]

WhyClosed = Callable[[Lane], Awaitable[str | None]]
"""Why nothing of a lane is admitted just now; None if something is."""


@dataclass(frozen=True, slots=True)
class JobsDesk:
    """What these routes need."""

    jobs: Jobs
    submissions: Submissions
    specs: Specs
    outbox: Outbox
    presenter: Presenter
    admission: Periodic
    clock: Clock
    url_of: UrlOf
    why_closed: WhyClosed


def jobs_router(desk: JobsDesk) -> APIRouter:
    router = APIRouter(prefix="/api/jobs", tags=["jobs"])

    @router.get(
        "/{job_id}", summary="Read a job", response_description="The job.", responses={**_MISSING, **_UNAVAILABLE}
    )
    async def read(job_id: JobId, principal: Reader, response: Response) -> JobShown:
        job = await desk.jobs.get(job_id, principal)
        if job is None:
            raise JobMissing(f"no job {job_id!r}")
        response.headers["ETag"] = f'W/"{job.version}"'
        response.headers["Cache-Control"] = "no-cache"
        return await _shown(desk, job)

    @router.post(
        "/{job_id}/cancel",
        summary="Cancel a job",
        response_description="It is cancelled; what was published before stays readable.",
        responses={
            **_MISSING,
            **_UNAVAILABLE,
            409: {"model": Problem, "description": "It has ended, or its status is not the expected one."},
        },
    )
    async def cancel(job_id: JobId, principal: Writer, body: Annotated[CancelBody | None, Body()] = None) -> JobShown:
        job = await cancel_job(
            job_id,
            principal,
            expected=body.expected_status if body else None,
            jobs=desk.jobs,
            specs=desk.specs,
            clock=desk.clock,
            outbox=desk.outbox,
            url_of=desk.url_of,
        )
        desk.admission.kick()
        return await _shown(desk, job)

    @router.post(
        "/{job_id}/retry",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make again what failed, and only that",
        response_description="Stored as the families' next attempt; good images stay as they are.",
        responses={
            **_MISSING,
            **_UNAVAILABLE,
            409: {"model": Problem, "description": "None of these families failed, or the job was cancelled."},
            422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
        },
    )
    async def retry(
        job_id: JobId,
        principal: Writer,
        key: Key,
        request: Request,
        response: Response,
        body: Annotated[RetryBody | None, Body()] = None,
    ) -> JobAccepted:
        body = await _in_own_names(desk, job_id, body, principal) if body and body.families else body
        changed = await retry_job(
            job_id,
            body.families if body else [],
            principal,
            jobs=desk.jobs,
            clock=desk.clock,
            idempotency=identified(key, request, body),
        )
        desk.admission.kick()
        say_replayed(response, is_replay=changed.is_replay)
        accepted = desk.presenter.job_accepted(changed.job)
        response.headers["Location"] = accepted.links.self
        return accepted

    @router.post(
        "/{job_id}/replay",
        status_code=HTTPStatus.ACCEPTED,
        summary="Run the stored inputs again, as a new job",
        response_description="A new job with the same prompts, model, parameters and seeds: the same pictures.",
        responses={
            **_MISSING,
            503: {"model": Problem, "description": "The model that made the pictures cannot serve."},
        },
    )
    async def replay(job_id: JobId, principal: Writer, key: Key, request: Request, response: Response) -> JobAccepted:
        submitted = await desk.submissions.replay(job_id, principal, identified(key, request))
        say_replayed(response, is_replay=submitted.is_replay)
        accepted = desk.presenter.job_accepted(submitted.job)
        response.headers["Location"] = accepted.links.self
        return accepted

    return router


async def _in_own_names(desk: JobsDesk, job_id: str, body: RetryBody, principal: Principal) -> RetryBody:
    """The families by their names in the job: it may have been made with another table. Raises InvalidRequest."""
    job = await desk.jobs.get(job_id, principal)
    if job is None:
        raise JobMissing(f"no job {job_id!r}")
    own = {word: name for name, family in job.families.items() for word in (name, *family.shape.aliases)}
    families = [own.get(name) or desk.submissions.table.canonical(name) for name in body.families]
    if objections := desk.submissions.objections_to_families(families, also=job.families):
        raise InvalidRequest(*objections)
    return body.model_copy(update={"families": families})


async def _shown(desk: JobsDesk, job: Job) -> JobShown:
    place = await place_of(job, jobs=desk.jobs, clock=desk.clock)
    closed = await desk.why_closed(job.lane) if place else None
    return desk.presenter.job(job, place, closed)
