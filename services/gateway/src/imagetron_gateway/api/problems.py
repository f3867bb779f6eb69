"""RFC 9457 problems: the one table from error to answer. HTTP status codes live in this package and nowhere else."""

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from imagetron_chassis.errors import ChassisError, Retryable
from imagetron_chassis.logs import log
from imagetron_contracts.rpc import Refusal
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.ports import InvalidCursor, KeyTaken, NameTaken, PromptsRefused, RenderGone, TooManyTails
from imagetron_gateway.usecases.committing import FamilyMissing, JobChanged, JobMissing, KeyReused
from imagetron_gateway.usecases.operating_letters import LetterMissing, QueueUnknown
from imagetron_gateway.usecases.previewing import ImageMissing
from imagetron_gateway.usecases.submitting import BacklogFull

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_AFTER_SECONDS: Final = 2
_BACKLOG_RETRY_AFTER_SECONDS: Final = 60
_STILL_RUNNING_RETRY_AFTER_SECONDS: Final = 5.0
# Nobody reads more; a body of nothing but mistakes must not make an answer many times its size.
_OBJECTIONS_AT_MOST: Final = 50
_MOST_SHOWN: Final = 100
# "Input should be at most 3" speaks of a place that the pointer names already.
_PYDANTICS_SUBJECT: Final = re.compile(r"^(Input|String|List|Value) should ")


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that is wrong with a request: a JSON pointer into the body (or the parameter's name), and the fix."""

    pointer: str
    detail: str


class InvalidRequest(Exception):
    """The request is readable, but not acceptable; every objection is listed."""

    def __init__(self, *objections: Objection) -> None:
        super().__init__("; ".join(f"{item.pointer}: {item.detail}" for item in objections))
        self.objections = objections


class BadHeader(Exception):
    """A header cannot be read; the sentence names it."""


class ModelCannotServe(Exception):
    """No generator vouches for this model now."""


class ProblemError(BaseModel):
    """A place and what is wrong there."""

    pointer: str = Field(description="JSON pointer into the request body, or `?name` for a query parameter.")
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem: what every error answer looks like."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="A URN naming the kind of problem.")
    title: str
    status: int
    detail: str
    code: str = Field(description="The kind of problem in one stable word, for programs.")
    trace_id: str | None = Field(description="Finds this request in logs and traces.")
    retryable: bool = Field(description="Whether the same request can succeed later.")
    errors: list[ProblemError] = []


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    objections: Sequence[Objection] = (),
    retryable: bool = False,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The answer itself."""
    span = trace.get_current_span().get_span_context()
    body = Problem(
        type=f"urn:imagetron:problem:{code}",
        title=code.replace("-", " ").capitalize(),
        status=status.value,
        detail=detail,
        code=code,
        trace_id=f"{span.trace_id:032x}" if span.is_valid else None,
        retryable=retryable,
        errors=[ProblemError(pointer=item.pointer, detail=item.detail) for item in objections],
    )
    retry = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if retryable else {}
    return JSONResponse(body.model_dump(), status.value, {**retry, **(headers or {})}, media_type=MEDIA_TYPE)


def _invalid(error: InvalidRequest) -> JSONResponse:
    count = len(error.objections)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-request",
        f"{count} problem{'s' if count > 1 else ''} in the request; nothing was stored",
        objections=error.objections,
    )


def _unreadable(error: RequestValidationError) -> JSONResponse:
    """FastAPI's own validation, in our words. The input is never echoed: it may be a prompt."""
    if isinstance(error.body, bytes):
        # FastAPI parses what is declared as JSON; anything else arrives as it came.
        return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "send the body as application/json")
    details = error.errors()
    if details and details[0]["type"] == "json_invalid":
        position = details[0]["loc"][-1]
        return problem(HTTPStatus.BAD_REQUEST, "invalid-json", f"the body is not JSON: error at character {position}")
    objections = [Objection(_pointer(item["loc"]), _said(item)) for item in details[:_OBJECTIONS_AT_MOST]]
    return _invalid(InvalidRequest(*objections))


def _pointer(place: Sequence[str | int]) -> str:
    where, *path = place
    if where != "body":
        return "?" + ".".join(map(str, path))
    return pointer_to(*path)


def pointer_to(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) to a place in the request body."""
    # A name of the caller's may be of any length, and hold what UTF-8 cannot.
    parts = (str(part)[:_MOST_SHOWN].encode("utf-8", "replace").decode() for part in path)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _said(item: Any) -> str:  # noqa: ANN401 - pydantic's error details
    match item["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "unknown field; remove it"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "must be a JSON object"
        case "too_long" if item.get("ctx", {}).get("field_type") == "Value":
            return f"must have at most {item['ctx']['max_length']} characters, not {item['ctx']['actual_length']}"
        case _:
            said = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
            return _PYDANTICS_SUBJECT.sub("must ", said)


def _http(error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    code = {HTTPStatus.NOT_FOUND: "not-found", HTTPStatus.BAD_REQUEST: "bad-request"}.get(
        status, status.phrase.lower().replace(" ", "-")
    )
    return problem(status, code, str(error.detail), headers=dict(error.headers or {}))


def _unavailable(error: ChassisError) -> JSONResponse:
    # The sentence may name hosts and drivers; callers get ours, the log gets that one.
    log().warning("request_failed", reason=str(error))
    if isinstance(error, Retryable):
        # An answer may be lost after the work was done: nobody can say that nothing was stored.
        detail = (
            "a part of the service is away for the moment; a request that changes something may have been carried out: "
            "look first, or send it again with the same Idempotency-Key"
        )
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, retryable=True)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the request could not be carried out")


def _refused(error: PromptsRefused) -> JSONResponse:
    """The prompt service's refusals; what it says is written for callers."""
    refusal = error.refusal
    # A newer service may have words that this reader does not know.
    kind = refusal.code or (Refusal.UNAVAILABLE if refusal.retryable else Refusal.INTERNAL)
    status, code = _REFUSALS[kind]
    wait = refusal.retry_after_seconds
    if kind is Refusal.STILL_RUNNING and wait is not None:
        # A lease is long because its worker may have died; most calls are done much sooner.
        wait = min(wait, _STILL_RUNNING_RETRY_AFTER_SECONDS)
    headers = {"Retry-After": str(max(1, math.ceil(wait)))} if refusal.retryable and wait is not None else None
    if kind is Refusal.INTERNAL:
        # Written for whoever operates this: it may speak of keys and models.
        log().error("prompt_service_failed", reason=refusal.message)
        return problem(status, code, "the prompt service could not carry out the request; quote the trace_id")
    field = "call" if kind is Refusal.KEY_REUSED else refusal.field
    objections = [Objection(_POINTERS.get(field, f"/{field}"), refusal.message)] if field else []
    return problem(status, code, refusal.message, objections=objections, retryable=refusal.retryable, headers=headers)


# The prompt service speaks of its request; what came as a header or in the query is said so.
_POINTERS: Final = {"after": "?after", "call": "Idempotency-Key"}
_REFUSALS: Final[dict[Refusal, tuple[HTTPStatus, str]]] = {
    Refusal.INVALID: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    Refusal.NOT_FOUND: (HTTPStatus.NOT_FOUND, "not-found"),
    Refusal.CHANGED: (HTTPStatus.PRECONDITION_FAILED, "changed"),
    Refusal.KEY_REUSED: (HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
    Refusal.STILL_RUNNING: (HTTPStatus.CONFLICT, "still-running"),
    Refusal.UNKNOWN_OUTCOME: (HTTPStatus.CONFLICT, "outcome-unknown"),
    Refusal.RATE_LIMITED: (HTTPStatus.SERVICE_UNAVAILABLE, "language-model-busy"),
    Refusal.QUOTA_EXCEEDED: (HTTPStatus.SERVICE_UNAVAILABLE, "quota-exceeded"),
    Refusal.CONTENT_FILTERED: (HTTPStatus.UNPROCESSABLE_ENTITY, "content-filtered"),
    Refusal.TIMED_OUT: (HTTPStatus.SERVICE_UNAVAILABLE, "language-model-timeout"),
    Refusal.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    Refusal.INTERNAL: (HTTPStatus.INTERNAL_SERVER_ERROR, "internal"),
}
_ANSWERS: Final[dict[type[Exception], Callable[[Any], JSONResponse]]] = {
    InvalidRequest: _invalid,
    RequestValidationError: _unreadable,
    HTTPException: _http,
    NameTaken: lambda error: problem(
        HTTPStatus.CONFLICT, "name-taken", str(error), objections=[Objection("/name", "is taken; choose another")]
    ),
    NotAllowed: lambda error: problem(HTTPStatus.CONFLICT, "not-allowed", str(error)),
    KeyReused: lambda error: problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        str(error),
        objections=[Objection("Idempotency-Key", "was used for another request")],
    ),
    # The job that had the key was removed between two looks: the next try is the first again.
    KeyTaken: lambda error: problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error), retryable=True),
    PromptsRefused: _refused,
    BadHeader: lambda error: problem(HTTPStatus.BAD_REQUEST, "bad-header", str(error)),
    BacklogFull: lambda error: problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "backlog-full",
        str(error),
        retryable=True,
        headers={"Retry-After": str(_BACKLOG_RETRY_AFTER_SECONDS)},
    ),
    JobMissing: lambda error: problem(HTTPStatus.NOT_FOUND, "not-found", str(error)),
    FamilyMissing: lambda error: problem(HTTPStatus.NOT_FOUND, "not-found", str(error)),
    ImageMissing: lambda error: problem(HTTPStatus.NOT_FOUND, "not-found", str(error)),
    RenderGone: lambda error: problem(HTTPStatus.GONE, "render-gone", str(error)),
    JobChanged: lambda error: problem(HTTPStatus.PRECONDITION_FAILED, "changed", str(error)),
    QueueUnknown: lambda error: problem(HTTPStatus.NOT_FOUND, "not-found", str(error)),
    LetterMissing: lambda error: problem(HTTPStatus.NOT_FOUND, "not-found", str(error)),
    TooManyTails: lambda error: problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-readers", str(error), retryable=True),
    InvalidCursor: lambda error: _invalid(InvalidRequest(Objection("?after", str(error)))),
    ModelCannotServe: lambda error: problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "model-unavailable", str(error), retryable=True
    ),
    ChassisError: _unavailable,
}


def answer_with_problems(app: FastAPI) -> None:
    """Register the table. Bugs are answered by the application's middleware, with `answer_bug`."""
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, _handler(answer))


async def answer_bug(_: Request, error: Exception) -> JSONResponse:
    """What a caller learns of a bug: that it is ours, and how to refer to it. No stack trace."""
    log().error("request_crashed", error_type=type(error).__name__, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side; quote the trace_id")


def openapi_with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI documents every answer under the media type of the good one; problems have their own."""
    problem_schema = {"$ref": "#/components/schemas/Problem"}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        for response in operation["responses"].values():
            content = response.get("content", {})
            for media_type, described in list(content.items()):
                if described.get("schema") == problem_schema:
                    content[MEDIA_TYPE] = content.pop(media_type)
    return document


def _handler(answer: Callable[[Any], JSONResponse]) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def handle(_: Request, error: Exception) -> JSONResponse:
        return answer(error)

    return handle
