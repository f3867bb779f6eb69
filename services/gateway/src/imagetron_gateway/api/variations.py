"""`/api/images/variations`: submit, list, read, regenerate."""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.periodic import Periodic
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.models import ModelDesk
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.problems import InvalidRequest, Objection, Problem
from imagetron_gateway.domain.catalogue import Model
from imagetron_gateway.domain.job import Job, Parameters
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases import JobMissing, NewVariation, regenerate_variation, submit_variation

_PROBLEMS: schemas.Responses = {
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
_MISSING: schemas.Responses = {404: {"model": Problem, "description": "There is no such variation."}}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]
VariationId = Annotated[str, Path(max_length=100, description="The id that the submission answered.")]


@dataclass(frozen=True, slots=True)
class VariationsDesk:
    """What these routes need."""

    jobs: Jobs
    models: ModelDesk
    presenter: Presenter
    admission: Periodic
    clock: Clock
    new_id: NewId


def variations_router(desk: VariationsDesk) -> APIRouter:
    router = APIRouter(prefix="/api/images/variations", tags=["variations"])

    @router.post(
        "",
        status_code=HTTPStatus.ACCEPTED,
        summary="Submit a variation",
        response_description="Stored; the work goes on without the caller.",
        responses={**_PROBLEMS, 409: {"model": Problem, "description": "The name is taken."}},
    )
    async def submit(body: schemas.VariationBody, principal: Writer, response: Response) -> schemas.VariationAccepted:
        request = _checked(body, desk.models)
        job = await submit_variation(request, principal, jobs=desk.jobs, clock=desk.clock, new_id=desk.new_id)
        desk.admission.kick()
        accepted = desk.presenter.accepted(job)
        response.headers["Location"] = accepted.links.self
        return accepted

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
    async def by_id(variation_id: VariationId, principal: Reader, response: Response) -> schemas.VariationShown:
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
    async def regenerate(variation_id: VariationId, principal: Writer, response: Response) -> schemas.VariationAccepted:
        job = await regenerate_variation(variation_id, principal, jobs=desk.jobs, clock=desk.clock)
        desk.admission.kick()
        accepted = desk.presenter.accepted(job)
        response.headers["Location"] = accepted.links.self
        return accepted

    return router


def _found(job: Job | None, wanted: str) -> Job:
    if job is None:
        raise JobMissing(f"no variation {wanted[:100]!r}")
    return job


def _checked(body: schemas.VariationBody, models: ModelDesk) -> NewVariation:
    """The request with names resolved and defaults filled in. Raises InvalidRequest with every objection."""
    generation = body.generation
    model = models.catalogue.get(generation.model)
    if model is None:
        known = ", ".join(models.catalogue)
        raise InvalidRequest(Objection("/generation/model", f"no such model; use one of: {known}"))
    parameters, objections = _parameters(generation, model)
    if objections:
        raise InvalidRequest(*objections)
    return NewVariation(
        name=body.name,
        category=body.category,
        families=tuple(body.families),
        prompt=generation.prompt,
        negative_prompt=generation.negative_prompt,
        model=model,
        served_by=models.server_of(model),
        parameters=parameters,
        lane=Lane.INTERACTIVE if body.is_dx_job else Lane.BATCH,
    )


def _parameters(generation: schemas.GenerationBody, model: Model) -> tuple[Parameters, list[Objection]]:
    given = generation.model_fields_set
    steps = generation.inference_steps if "inference_steps" in given else model.steps.default
    guidance = generation.guidance_scale if "guidance_scale" in given else model.guidance.default
    # 53 bits: a drawn seed survives every JSON reader.
    seed = generation.seed if "seed" in given else secrets.randbits(53)
    objections = []
    if not model.steps.minimum <= steps <= model.steps.maximum:
        allowed = f"{model.steps.minimum} to {model.steps.maximum}"
        objections.append(Objection("/generation/inferenceSteps", f"is {steps}; {model.name} takes {allowed}"))
    if not model.guidance.minimum <= guidance <= model.guidance.maximum:
        allowed = f"{model.guidance.minimum:g} to {model.guidance.maximum:g}"
        objections.append(Objection("/generation/guidanceScale", f"is {guidance:g}; {model.name} takes {allowed}"))
    return Parameters(steps=steps, guidance_scale=guidance, seed=seed), objections
