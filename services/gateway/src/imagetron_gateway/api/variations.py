"""`/api/images/variations`: submit, list, read, regenerate."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from imagetron_chassis.clock import Clock
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.api.accepting import Accepted, in_formats
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.ids import JobId
from imagetron_gateway.api.output_schemas import in_own_names, output_of
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.api.submissions import Submissions, drawn_seed
from imagetron_gateway.api.variation_schemas import VariationBody
from imagetron_gateway.domain.job import Job
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases.changing import regenerate_job
from imagetron_gateway.usecases.committing import JobMissing
from imagetron_gateway.usecases.submitting import NewJob

_PROBLEMS: schemas.Responses = {
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
_MISSING: schemas.Responses = {404: {"model": Problem, "description": "There is no such variation."}}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]


@dataclass(frozen=True, slots=True)
class VariationsDesk:
    """What these routes need."""

    jobs: Jobs
    submissions: Submissions
    presenter: Presenter
    admission: Periodic
    clock: Clock


def variations_router(desk: VariationsDesk) -> APIRouter:
    router = APIRouter(prefix="/api/images/variations", tags=["variations"])

    @router.post(
        "",
        status_code=HTTPStatus.ACCEPTED,
        summary="Submit a variation",
        response_description="Stored; the work goes on without the caller.",
        responses={**_PROBLEMS, 409: {"model": Problem, "description": "The name is taken."}},
    )
    async def submit(
        body: VariationBody, accepted: Accepted, principal: Writer, key: Key, request: Request, response: Response
    ) -> schemas.VariationAccepted:
        output, table = in_formats(body.output, accepted), desk.submissions.table
        families = [table.canonical(name) for name in body.families]

        async def wanted() -> NewJob:
            chosen = desk.submissions.choose(body.generation, besides=desk.submissions.objections_to_families(families))
            return NewJob(
                name=body.name,
                category=body.category,
                families=tuple(families),
                table=table,
                prompt=body.generation.prompt,
                negative_prompt=body.generation.negative_prompt,
                chosen=chosen,
                policy=desk.submissions.policy,
                lane=Lane.INTERACTIVE if body.is_dx_job else Lane.BATCH,
                formats=tuple(output.formats),
                output=output_of(output),
                subjects=desk.submissions.subjects(body.crop, families),
            )

        crop = in_own_names(body.crop, table)
        meant = body.model_copy(update={"families": families, "output": output, "crop": crop})
        submitted = await desk.submissions.submit(wanted, principal, identified(key, request, meant))
        say_replayed(response, is_replay=submitted.is_replay)
        answer = desk.presenter.accepted(submitted.job)
        response.headers["Location"] = answer.links.self
        return answer

    @router.get("", summary="List variations, newest first", response_description="A page.", responses=_PROBLEMS)
    async def page(
        principal: Reader,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> schemas.VariationList:
        found = await desk.jobs.page(principal, after=after, limit=limit)
        return schemas.VariationList(items=[desk.presenter.variation(job) for job in found.jobs], next=found.next)

    @router.get(
        "/name/{name}",
        summary="Read a variation by its name",
        response_description="The variation.",
        responses=_MISSING,
    )
    async def by_name(name: str, principal: Reader) -> schemas.VariationShown:
        return desk.presenter.variation(_found(await desk.jobs.by_name(name, principal), name))

    @router.get(
        "/{variation_id}", summary="Read a variation", response_description="The variation.", responses=_MISSING
    )
    async def by_id(variation_id: JobId, principal: Reader, response: Response) -> schemas.VariationShown:
        job = _found(await desk.jobs.get(variation_id, principal), variation_id)
        response.headers["ETag"] = f'W/"{job.version}"'
        response.headers["Cache-Control"] = "no-cache"
        return desk.presenter.variation(job)

    @router.post(
        "/{variation_id}/regenerate",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make all pictures again from the same inputs",
        response_description="Stored as the next revision; names move when it ends.",
        responses={**_MISSING, 409: {"model": Problem, "description": "The variation has not ended yet."}},
    )
    async def regenerate(
        variation_id: JobId,
        principal: Writer,
        key: Key,
        request: Request,
        response: Response,
        reseed: Annotated[bool, Query(description="With a new seed: other pictures of the same idea.")] = False,  # noqa: FBT002
    ) -> schemas.VariationAccepted:
        changed = await regenerate_job(
            variation_id,
            principal,
            seed=drawn_seed() if reseed else None,
            policy=desk.submissions.policy,
            jobs=desk.jobs,
            clock=desk.clock,
            idempotency=identified(key, request, reseed=reseed),
        )
        desk.admission.kick()
        say_replayed(response, is_replay=changed.is_replay)
        accepted = desk.presenter.accepted(changed.job)
        response.headers["Location"] = accepted.links.self
        return accepted

    return router


def _found(job: Job | None, wanted: str) -> Job:
    if job is None:
        raise JobMissing(f"no variation {wanted[:100]!r}")
    return job
