"""`/api/images`: each image by itself, and what can be made from it: reroll, vary, upscale."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from imagetron_chassis.principals import Principal
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.derived_jobs import DerivedJobs
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.api.verb_schemas import ImageList, ImageShown, RerollBody, UpscaleBody, VaryBody
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases.submitting import NewJob

Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]
ImageId = Annotated[
    str,
    Path(description="`img_...`, as `id` of an image; to vary also `src_...`, an uploaded picture.", max_length=200),
]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such image (any more)."}
}
_VERB: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    409: {"model": Problem, "description": "The image's state does not allow it, or the name is taken."},
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "The model cannot serve now, or too much work waits."},
}


@dataclass(frozen=True, slots=True)
class ImagesDesk:
    """What these routes need."""

    jobs: Jobs
    derived: DerivedJobs
    submissions: Submissions
    presenter: Presenter


def images_router(desk: ImagesDesk) -> APIRouter:
    router = APIRouter(prefix="/api/images", tags=["images"])

    @router.get("", summary="List images, newest first", response_description="The images of a page of jobs.")
    async def page(
        principal: Reader,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="Jobs, not images.")] = 50,
    ) -> ImageList:
        found = await desk.jobs.page(principal, after=after, limit=limit)
        return ImageList(items=[image for job in found.jobs for image in desk.presenter.images(job)], next=found.next)

    @router.get("/{image_id}", summary="One image", response_description="All that is known of it.", responses=_MISSING)
    async def read(image_id: ImageId, principal: Reader, response: Response) -> ImageShown:
        parent = await desk.derived.parent(image_id, principal)
        response.headers["Cache-Control"] = "no-cache"
        return desk.presenter.image(parent.job, parent.place, parent.image)

    @router.post(
        "/{image_id}/reroll",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make other pictures of the same inputs",
        response_description="Stored as a job of its own.",
        responses=_VERB,
    )
    async def reroll(
        image_id: ImageId,
        principal: Writer,
        key: Key,
        request: Request,
        response: Response,
        body: Annotated[RerollBody | None, Body()] = None,
    ) -> schemas.VariationAccepted:
        wanted = partial(desk.derived.reroll, image_id, body or RerollBody(), principal)
        return await _accepted(desk, wanted, principal, identified(key, request, body), response)

    @router.post(
        "/{image_id}/vary",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make pictures that begin with this one",
        response_description="Stored as a job of its own.",
        responses=_VERB,
    )
    async def vary(
        image_id: ImageId,
        principal: Writer,
        key: Key,
        request: Request,
        response: Response,
        body: Annotated[VaryBody | None, Body()] = None,
    ) -> schemas.VariationAccepted:
        if body and body.family is not None:
            body = body.model_copy(update={"family": desk.submissions.table.canonical(body.family)})
        wanted = partial(desk.derived.vary, image_id, body or VaryBody(), principal)
        return await _accepted(desk, wanted, principal, identified(key, request, body), response)

    @router.post(
        "/{image_id}/upscale",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make a larger one",
        response_description="Stored as a job of its own.",
        responses=_VERB,
    )
    async def upscale(
        image_id: ImageId,
        principal: Writer,
        key: Key,
        request: Request,
        response: Response,
        body: Annotated[UpscaleBody | None, Body()] = None,
    ) -> schemas.VariationAccepted:
        wanted = partial(desk.derived.upscale, image_id, body or UpscaleBody(), principal)
        return await _accepted(desk, wanted, principal, identified(key, request, body), response)

    return router


async def _accepted(
    desk: ImagesDesk,
    wanted: Callable[[], Awaitable[NewJob]],
    principal: Principal,
    identity: Idempotency | None,
    response: Response,
) -> schemas.VariationAccepted:
    submitted = await desk.submissions.submit(wanted, principal, identity)
    say_replayed(response, is_replay=submitted.is_replay)
    accepted = desk.presenter.accepted(submitted.job)
    response.headers["Location"] = accepted.links.self
    return accepted
