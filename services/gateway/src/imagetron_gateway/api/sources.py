"""`/api/images/sources`: pictures that callers upload to have images made from them."""

import asyncio
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.exceptions import HTTPException

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.principals import Principal
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.bodies import BodyRefused, read_body
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.problems import Problem, problem
from imagetron_gateway.api.source_schemas import SourceShown
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.sources import MAX_PIXELS, MAX_SIDE, MAX_UPLOAD_BYTES, MIN_SIDE
from imagetron_gateway.ports import PictureRefused, ReadPicture, Sources
from imagetron_gateway.usecases.taking_sources import (
    PictureUnsupported,
    SourceMissing,
    Taken,
    TooManySources,
    remove_source,
    source_of,
    take_source,
)

PATH: Final = "/api/images/sources"
_UPLOAD_SECONDS: Final = 60.0
# Uploads that are in memory at once, 20 MiB each.
_UPLOADS_AT_ONCE: Final = 4
# Of those, pictures whose pixels are: some 150 MiB each until they are stored.
_PICTURES_AT_ONCE: Final = 1
_TOO_MANY_RETRY_AFTER_SECONDS: Final = 3600
_PICTURES: Final = ("image/png", "image/jpeg", "image/webp")
_MEDIA_TYPES: Final = frozenset({*_PICTURES, "application/octet-stream", ""})
_HOW_TO_SEND: Final = (
    "send the picture's own bytes as the body, with Content-Type image/png, image/jpeg or image/webp "
    "(curl --data-binary @picture.png -H 'Content-Type: image/png'); forms are not read"
)
_MISSING: Final[schemas.Responses] = {404: {"model": Problem, "description": "There is no such source."}}
_ANSWERS: Final[schemas.Responses] = {
    413: {"model": Problem, "description": f"The body has more than {MAX_UPLOAD_BYTES} bytes."},
    415: {"model": Problem, "description": "The body is neither PNG, JPEG nor WebP."},
    422: {"model": Problem, "description": "The picture cannot be read, moves, or has too few or too many pixels."},
    429: {"model": Problem, "description": "You have as many sources as one may have."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": f"The bytes of a still picture: at most {MAX_UPLOAD_BYTES} bytes, each side {MIN_SIDE} to "
        f"{MAX_SIDE} pixels, at most {MAX_PIXELS} pixels in all. What it is, its first bytes say.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _PICTURES},
    }
}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]
SourceId = Annotated[str, Path(max_length=100, description="The id that the upload answered.")]


@dataclass(frozen=True, slots=True)
class SourcesDesk:
    """What these routes need. `base_url` is that of this API, without a slash at the end."""

    sources: Sources
    read_picture: ReadPicture
    clock: Clock
    new_id: NewId
    base_url: str


def sources_router(desk: SourcesDesk) -> APIRouter:
    router = APIRouter(prefix=PATH, tags=["images"])
    places, pictures = asyncio.Semaphore(_UPLOADS_AT_ONCE), asyncio.Semaphore(_PICTURES_AT_ONCE)

    @router.post(
        "",
        status_code=HTTPStatus.CREATED,
        summary="Upload a picture to make images from",
        response_description="Stored without loss; nobody but you can use it.",
        responses=_ANSWERS,
        response_model=SourceShown,
        openapi_extra=_BODY,
    )
    async def upload(principal: Writer, key: Key, request: Request, response: Response) -> SourceShown | Response:
        _check_media_type(request)
        if places.locked():
            busy = "too many pictures are being uploaded at once; nothing was stored"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", busy, retryable=True)
        async with places:
            try:
                body = await read_body(request, max_bytes=MAX_UPLOAD_BYTES, seconds=_UPLOAD_SECONDS)
                idempotency = await _identified(key, request, body)
                async with pictures:
                    taken = await _take(desk, body, principal, idempotency)
            except _REFUSALS as refusal:
                return _refused(refusal)
        say_replayed(response, is_replay=taken.is_replay)
        response.headers["Location"] = f"{desk.base_url}{PATH}/{taken.source.id}"
        return SourceShown.of(taken.source)

    @router.get(
        "/{source_id}",
        summary="Read what is known of an upload",
        response_description="The upload.",
        responses=_MISSING,
    )
    async def read(source_id: SourceId, principal: Reader) -> SourceShown:
        try:
            return SourceShown.of(await source_of(source_id, principal, sources=desk.sources))
        except SourceMissing as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error

    @router.delete(
        "/{source_id}",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Remove an upload",
        response_description="It is gone. Images that were made from it stay; those still to be made from it fail.",
        responses=_MISSING,
    )
    async def remove(source_id: SourceId, principal: Writer) -> None:
        try:
            await remove_source(source_id, principal, sources=desk.sources)
        except SourceMissing as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error

    return router


_REFUSALS: Final = (BodyRefused, PictureUnsupported, PictureRefused, TooManySources)


def _refused(refusal: Exception) -> Response:
    match refusal:
        case BodyRefused():
            return refusal.answer()
        case PictureUnsupported():
            return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", str(refusal))
        case TooManySources():
            later = {"Retry-After": str(_TOO_MANY_RETRY_AFTER_SECONDS)}
            return problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-sources", str(refusal), headers=later)
        case _:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "picture-refused", str(refusal))


def _check_media_type(request: Request) -> None:
    """Before a byte of the body is read. Which of the pictures it is, the bytes say."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in _MEDIA_TYPES:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _HOW_TO_SEND)


async def _identified(key: str | None, request: Request, body: bytes) -> Idempotency | None:
    if key is None:
        return None
    digest = await asyncio.to_thread(hashlib.sha256, body)
    return identified(key, request, sha256=digest.hexdigest())


async def _take(desk: SourcesDesk, body: bytes, principal: Principal, idempotency: Idempotency | None) -> Taken:
    return await take_source(
        body,
        principal,
        idempotency=idempotency,
        sources=desk.sources,
        read_picture=desk.read_picture,
        clock=desk.clock,
        new_id=desk.new_id,
    )
