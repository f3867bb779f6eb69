"""Pictures by name (`/api/images/{variation}/{picture}`, movable aliases) and by key (`/cdn/...`, immutable)."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from imagetron_chassis.blobs import BlobMissing, Blobs, InvalidKey
from imagetron_chassis.principals import Principal, system
from imagetron_contracts.families import AmbiguousName, picture_named
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.stages import PublishedFile
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.negotiating import chosen
from imagetron_gateway.api.schemas import Responses
from imagetron_gateway.domain.pictures import UrlOf, pictures, pictures_of
from imagetron_gateway.ports import Jobs

# A name moves when the next revision ends; a cache may show the old picture this long.
ALIAS_CACHE: Final = "public, max-age=60"
IMMUTABLE_CACHE: Final = "public, max-age=31536000, immutable"
Anyone = Annotated[Principal, Depends(Allowed(Scope.EVERYBODY))]
# Published names are public: whoever may read the picture may resolve its name.
_NAMES: Final = system("names")


@dataclass(frozen=True, slots=True)
class PicturesDesk:
    """What these routes need. `public` is None where a CDN serves the objects: then names redirect to it."""

    jobs: Jobs
    url_of: UrlOf
    public: Blobs | None


def pictures_router(desk: PicturesDesk) -> APIRouter:
    router = APIRouter(tags=["pictures"])
    answers: Responses = {
        200: {"content": {form.content_type: {} for form in ImageFormat}, "description": "The picture."},
        304: {"description": "Not modified."},
    }

    @router.head("/api/images/{variation_name}/{picture_name}", include_in_schema=False)
    @router.get(
        "/api/images/{variation_name}/{picture_name}",
        summary="A picture of a variation by name",
        description="In the format that `Accept` wants most among those that there are; in the first of them where it says "
        "nothing, or nothing that fits.",
        response_class=Response,
        responses={**answers, 302: {"description": "It lies on the CDN."}},
    )
    async def by_name(
        variation_name: str,
        picture_name: str,
        request: Request,
        _: Anyone,
        image: Annotated[int | None, Query(ge=0, description="Of a family's images the one with this index.")] = None,
        form: Annotated[
            ImageFormat | None, Query(alias="format", description="This format and no other, whatever `Accept` says.")
        ] = None,
    ) -> Response:
        files = await _resolve(desk.jobs, variation_name, picture_name, image)
        file = chosen(files, ",".join(request.headers.getlist("accept"))) if form is None else _exactly(form, files)
        etag = f'"{file.digest}"'
        headers = {"Cache-Control": ALIAS_CACHE, "ETag": etag}
        if len(files) > 1 and form is None:
            headers["Vary"] = "Accept"
        if desk.public is None:
            if _matches(request, etag):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            return RedirectResponse(desk.url_of(file.key), HTTPStatus.FOUND, headers)
        return await _object(desk.public, file.key, request, headers)

    if desk.public is not None:
        public = desk.public

        @router.head("/cdn/{job_id}/{file_name}", include_in_schema=False)
        @router.get(
            "/cdn/{job_id}/{file_name}",
            summary="A public object by its immutable key",
            response_class=Response,
            responses=answers,
        )
        async def by_key(job_id: str, file_name: str, request: Request, _: Anyone) -> Response:
            etag = f'"{file_name.partition(".")[0]}"'
            headers = {"Cache-Control": IMMUTABLE_CACHE, "ETag": etag, "Access-Control-Allow-Origin": "*"}
            return await _object(public, f"{job_id}/{file_name}", request, headers)

    return router


async def _resolve(jobs: Jobs, variation_name: str, picture_name: str, image: int | None) -> list[PublishedFile]:
    """The picture in all its formats, by the names of the table that the job was made with."""
    job = await jobs.by_name(variation_name, _NAMES)
    # Anybody may ask: what is not published does not exist, and neither does the name of a variation without pictures.
    hidden = f"no picture {picture_name[:100]!r} of a variation {variation_name[:100]!r} is published (yet)"
    if job is None or not any(pictures(job)):
        raise HTTPException(HTTPStatus.NOT_FOUND, hidden)
    try:
        rows = {name: family.shape for name, family in job.families.items()}
        name = picture_named(picture_name, job.families, families=rows)
    except AmbiguousName as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    if name is None:
        raise HTTPException(
            HTTPStatus.NOT_FOUND,
            f"{job.name} has no picture {picture_name[:100]!r}; its families: {', '.join(job.families)}",
        )
    found = pictures_of(job, name, image)
    if not found:
        raise HTTPException(HTTPStatus.NOT_FOUND, hidden)
    return [picture.file for picture in found]


def _exactly(form: ImageFormat, files: list[PublishedFile]) -> PublishedFile:
    for file in files:
        if file.format is form:
            return file
    there_are = ", ".join(file.format.value for file in files)
    raise HTTPException(HTTPStatus.NOT_FOUND, f"{files[0].name} is published as {there_are}, not as {form.value}")


async def _object(public: Blobs, key: str, request: Request, headers: dict[str, str]) -> Response:
    """The object as asked for. It is looked up before anything is said of it: what is gone must not revalidate."""
    missing = HTTPException(HTTPStatus.NOT_FOUND, "no such object")
    try:
        info = await public.head(key)
    except InvalidKey:
        info = None
    if info is None:
        raise missing
    if _matches(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":
        return Response(media_type=info.content_type, headers={**headers, "Content-Length": str(info.size_bytes)})
    try:
        return Response(await public.get(key), media_type=info.content_type, headers=headers)
    except BlobMissing as error:
        raise missing from error


def _matches(request: Request, etag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in {item.strip().removeprefix("W/") for item in given.split(",")}
