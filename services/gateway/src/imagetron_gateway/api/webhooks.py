"""`/webhooks/providers/{provider}/{token}`: where providers tell how their tasks go. The token in the path is the proof."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.clock import Clock
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.bodies import BodyRefused, read_body
from imagetron_gateway.api.problems import InvalidRequest, Objection, Problem, problem
from imagetron_gateway.domain.callbacks import (
    MAX_BODY_BYTES,
    Callback,
    NotJson,
    NotSigned,
    Signature,
    Signers,
    objection_to_body,
)
from imagetron_gateway.ports import Inbox, Outbox
from imagetron_gateway.usecases.calling_back import Outcome, TooManyCallbacks, count_callback, take_callback

_BODY_SECONDS: Final = 10.0
# Each with a body of its own in memory; who finds no place tries again, as providers do.
_AT_ONCE: Final = 64
_TOO_MANY_RETRY_AFTER_SECONDS: Final = 600
# RFC 9110 section 15.5.2 wants one; there is no registered word for this scheme.
_CHALLENGE: Final = {"WWW-Authenticate": "Webhook-Signature"}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": f"What the provider says, in its own words: a JSON object of at most {MAX_BODY_BYTES} bytes.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_ANSWERS: Final[schemas.Responses] = {
    401: {"model": Problem, "description": "The provider signs its callbacks, and this one is not signed, or not now."},
    404: {"model": Problem, "description": "The address is none that was given to this provider."},
    413: {"model": Problem, "description": f"The body has more than {MAX_BODY_BYTES} bytes."},
    429: {"model": Problem, "description": "The task has had too many callbacks already."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
Anyone = Annotated[Principal, Depends(Allowed(Scope.EVERYBODY))]


@dataclass(frozen=True, slots=True)
class CallbacksDesk:
    """What this route needs. `signers` are the providers that may call back."""

    tokens: CallbackTokens
    signers: Signers = field(repr=False)
    inbox: Inbox
    outbox: Outbox
    clock: Clock
    count: Callable[[Outcome, str | None], None] = count_callback
    """Measures what became of each."""


class Received(BaseModel):
    """What a provider is told, whether it says something for the first time or again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"received": True}]})

    received: bool = Field(default=True, description="It is kept; there is no need to send it again.")


def webhooks_router(desk: CallbacksDesk) -> APIRouter:
    router = APIRouter(prefix="/webhooks/providers", tags=["webhooks"])
    places = asyncio.Semaphore(_AT_ONCE)

    @router.post(
        "/{provider}/{token}",
        status_code=HTTPStatus.ACCEPTED,
        summary="Take in what a provider says of a task",
        response_description="It is kept.",
        responses=_ANSWERS,
        response_model=Received,
        openapi_extra=_BODY,
    )
    async def called_back(
        provider: Annotated[str, Path(description="The provider's name.")],
        token: Annotated[str, Path(description="From the callback URL that the provider was given for the task.")],
        _: Anyone,
        request: Request,
    ) -> Received | Response:
        # Whatever is wrong with the address, it takes the same way to one and the same answer.
        reference = desk.tokens.reference(provider, token)
        keys = desk.signers.get(provider)
        if reference is None or keys is None:
            desk.count(Outcome.UNKNOWN, None)
            raise HTTPException(HTTPStatus.NOT_FOUND, "no callback is awaited here")
        if places.locked():
            desk.count(Outcome.REFUSED, provider)
            busy = "too many callbacks come at once; nothing was stored"
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", busy, retryable=True)
        async with places:
            try:
                body = await read_body(request, max_bytes=MAX_BODY_BYTES, seconds=_BODY_SECONDS)
                callback = _checked(provider, reference, body, request.headers, keys, desk.clock.now())
                is_news = await take_callback(callback, inbox=desk.inbox, outbox=desk.outbox, clock=desk.clock)
            except BodyRefused as refusal:
                desk.count(Outcome.REFUSED, provider)
                return refusal.answer()
            except TooManyCallbacks as refusal:
                desk.count(Outcome.REFUSED, provider)
                later = {"Retry-After": str(_TOO_MANY_RETRY_AFTER_SECONDS)}
                return problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-callbacks", str(refusal), headers=later)
            except NotSigned as refusal:
                desk.count(Outcome.NOT_SIGNED, provider)
                log().warning("callback_not_signed", provider=provider, reason=str(refusal))
                return problem(HTTPStatus.UNAUTHORIZED, "not-signed", str(refusal), headers=_CHALLENGE)
            except NotJson as refusal:
                desk.count(Outcome.UNREADABLE, provider)
                return problem(HTTPStatus.BAD_REQUEST, "invalid-json", str(refusal))
            except InvalidRequest:
                desk.count(Outcome.UNREADABLE, provider)
                raise
        desk.count(Outcome.TAKEN if is_news else Outcome.DUPLICATE, provider)
        return Received()

    return router


def _checked(
    provider: str, reference: str, body: bytes, headers: Headers, keys: Sequence[bytes], now: datetime
) -> Callback:
    """Raises NotSigned, before anything looks into the body; NotJson, InvalidRequest."""
    signature = Signature(
        event_id=_once(headers, "webhook-id"),
        timestamp=_once(headers, "webhook-timestamp"),
        signatures=_once(headers, "webhook-signature"),
    )
    callback = Callback.of(provider, reference, body, signature=signature, keys=keys, now=now)
    if objection := objection_to_body(body):
        raise InvalidRequest(Objection("", objection))
    return callback


def _once(headers: Headers, name: str) -> str | None:
    found = headers.getlist(name)
    return found[0] if len(found) == 1 else None
