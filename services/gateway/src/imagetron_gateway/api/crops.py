"""`/api/jobs/{id}/families/{family}/crops`: how pictures were cut from their renders; to look at, and to cut again."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from imagetron_chassis.clock import Clock
from imagetron_chassis.principals import Principal
from imagetron_contracts.crops import Subject
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.crop_schemas import CropsShown, RecutAccepted, crops_shown, recut_accepted
from imagetron_gateway.api.etags import IfVersion, etag
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.ids import JobId
from imagetron_gateway.api.output_schemas import SubjectBody, subject_of
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox, Previews
from imagetron_gateway.usecases.changing import cut_family_again
from imagetron_gateway.usecases.previewing import drawn_preview, family_of, named

_PATH: Final = "/{job_id}/families/{family}/crops"
_PNG: Final = "image/png"
_JSON: Final = "application/json"
_PROBLEMS: Final[schemas.Responses] = {
    404: {"model": Problem, "description": "There is no such job, or it has no such family."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
_LOOKING: Final[schemas.Responses] = {
    **_PROBLEMS,
    200: {"content": {_PNG: {"schema": {"type": "string", "format": "binary"}}}},
    410: {
        "model": Problem,
        "description": "The render is no longer kept; what is known of it can still be read as JSON.",
    },
}
_CUTTING: Final[schemas.Responses] = {
    **_PROBLEMS,
    409: {"model": Problem, "description": "The family has not ended, or has no pictures, or the job was cancelled."},
    412: {"model": Problem, "description": "The job is not as `If-Match` says; nothing was changed."},
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
}
_HOW_TO_LOOK: Final = """
As JSON: where each picture's window lies in the render, what decided that, and what was found. As PNG (`Accept: image/png` or
`format=png`): the render of one image, at most 1024 pixels a side, with windows, faces, safe zone and focal point drawn on it.
"""
_HOW_TO_CUT: Final = """
The renders of all published images are cut again with another subject in mind; no model is asked, and nothing is charged. The
body is a JSON merge patch (RFC 7396) of the subject that `GET` shows: a field that is left out stays as it is, `null` takes it
back, and `safeZone` and `focalPoint` are sent whole. An empty object cuts again as it is, for instance after a failure.

Until the new files are public, and if that fails, the pictures stay as they are. Then names point to the new files, and
FAMILY_COMPLETED is told again with its `derivation`. The earlier files stay under their immutable URLs, which may be in use,
until their job is removed. Another change meanwhile takes the place of this one.
"""
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]
FamilyName = Annotated[str, Path(max_length=100, description="A family of the job, by its name or an alias.")]


@dataclass(frozen=True, slots=True)
class CropsDesk:
    """What these routes need. `base_url` is that of this API, without a slash at the end."""

    jobs: Jobs
    previews: Previews
    outbox: Outbox
    clock: Clock
    url_of: UrlOf
    base_url: str


def crops_router(desk: CropsDesk) -> APIRouter:
    router = APIRouter(prefix="/api/jobs", tags=["jobs"])

    @router.get(
        _PATH,
        summary="See how a family's pictures were cut",
        description=_HOW_TO_LOOK,
        response_description="Of the current revision.",
        responses=_LOOKING,
        response_model=CropsShown,
    )
    async def look(
        job_id: JobId,
        family: FamilyName,
        principal: Reader,
        response: Response,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
        form: Annotated[
            Literal["json", "png"] | None, Query(alias="format", description="Left out: what `Accept` prefers.")
        ] = None,
        image: Annotated[int | None, Query(ge=0, description="The image of the PNG. Left out: the first one.")] = None,
    ) -> CropsShown | Response:
        job, found = await family_of(job_id, family, principal, jobs=desk.jobs)
        headers = {"Cache-Control": "private, no-cache", "Vary": "Accept"}
        if form == "png" or (form is None and _prefers_png(accept)):
            png = await drawn_preview(job, found, image, previews=desk.previews)
            return Response(png, media_type=_PNG, headers={**headers, "ETag": f'W/"{job.version}-{image or 0}"'})
        response.headers.update({**headers, "ETag": etag(job.version)})
        return crops_shown(job, found, base_url=desk.base_url, url_of=desk.url_of)

    @router.patch(
        _PATH,
        status_code=HTTPStatus.ACCEPTED,
        summary="Cut a family's pictures again",
        description=_HOW_TO_CUT,
        response_description="Asked for.",
        responses=_CUTTING,
    )
    async def cut(
        job_id: JobId,
        family: FamilyName,
        body: SubjectBody,
        principal: Writer,
        key: Key,
        if_version: IfVersion,
        request: Request,
        response: Response,
    ) -> RecutAccepted:
        subject = subject_of(body) or Subject()
        changed = await cut_family_again(
            job_id,
            family,
            {name: getattr(subject, name) for name in body.model_fields_set},
            principal,
            if_version=if_version,
            jobs=desk.jobs,
            clock=desk.clock,
            outbox=desk.outbox,
            # To take a field back and to say nothing of it are two requests, with one meaning for defaults.
            idempotency=identified(key, request, body, said=sorted(body.model_fields_set)),
        )
        say_replayed(response, is_replay=changed.is_replay)
        accepted = recut_accepted(changed.job, named(changed.job, family), desk.base_url)
        response.headers["Location"] = accepted.links.self
        return accepted

    return router


def _prefers_png(accept: str) -> bool:
    """Whether a PNG is wanted more than JSON: programs that say nothing of either get JSON."""
    weights = dict(_weighed(entry) for entry in accept.lower().split(","))

    def weight(media_type: str) -> float:
        ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
        return next((weights[each] for each in ranges if each in weights), 0.0)

    return weight(_PNG) > weight(_JSON)


def _weighed(entry: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in entry.split(";"))
    weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
    try:
        return media_type, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type, 0.0
