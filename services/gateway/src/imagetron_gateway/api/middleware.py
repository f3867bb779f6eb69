"""What wraps every request: one span, one log line, one measurement, safe headers, and limits on the body."""

import asyncio
import re
import time
import uuid
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagetron_chassis import semconv
from imagetron_chassis.logs import log
from imagetron_chassis.telemetry import context_of, traceparent
from imagetron_gateway.api.bodies import is_read_by_route
from imagetron_gateway.api.problems import problem

MAX_BODY_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 15.0
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
# What nginx and others log for a caller who left before the answer: no fault of ours, so no 500.
_CALLER_LEFT: Final = 499
_DEFAULT_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # A cache that keeps "not published (yet)" hides the picture; answers that may be kept say so themselves.
    "Cache-Control": "no-store",
}


class Observed:
    """A span in the caller's trace, `traceparent` and `X-Request-ID` out, a log line without query or body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        name, unit, description = semconv.HTTP_SECONDS
        self._seconds = metrics.get_meter(__name__).create_histogram(name, unit, description)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        # Callers choose the word; names of spans must stay few.
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        started = time.monotonic()
        status: int | None = None
        tracer = trace.get_tracer(__name__)
        parent = context_of(headers.get("traceparent"))
        with tracer.start_as_current_span(f"{method} request", context=parent, kind=trace.SpanKind.SERVER) as span:

            async def send_with_headers(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    answer = MutableHeaders(scope=message)
                    answer["X-Request-ID"] = request_id
                    if own := traceparent():
                        answer["traceparent"] = own
                    for name, value in _DEFAULT_HEADERS.items():
                        answer.setdefault(name, value)
                await send(message)

            try:
                await self._app(scope, receive, send_with_headers)
                status = status or _CALLER_LEFT
            finally:
                status = status or HTTPStatus.INTERNAL_SERVER_ERROR.value
                route = getattr(scope.get("route"), "path", "unmatched")
                seconds = time.monotonic() - started
                span.update_name(f"{method} {route}")
                span.set_attributes(
                    {semconv.HTTP_METHOD: method, semconv.HTTP_ROUTE: route, semconv.HTTP_STATUS: status}
                )
                self._seconds.record(seconds, {semconv.HTTP_ROUTE: route, semconv.HTTP_STATUS: status})
                log().info(
                    "request_handled",
                    method=method,
                    route=route,
                    status=status,
                    milliseconds=round(seconds * 1000, 1),
                    request_id=request_id,
                )


class LimitedBody:
    """Reads the body before anybody parses it; refuses what is too long, whatever Content-Length says, or takes too long."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] in {"GET", "HEAD", "OPTIONS"}
            or is_read_by_route(scope["method"], scope["path"])
        ):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._whole_body(receive)
        except TimeoutError:
            late = f"the body did not arrive within {self._seconds:g} s; nothing was stored"
            answer = problem(HTTPStatus.REQUEST_TIMEOUT, "body-too-slow", late, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        except _TooLong:
            limit = f"the body is longer than {self._max_bytes} bytes; nothing was stored"
            answer = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", limit)
            await answer(scope, receive, send)
            return
        if body is None:
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _whole_body(self, receive: Receive) -> bytes | None:
        """None if the caller left. Raises _TooLong as soon as that is certain."""
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                raise _TooLong
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)


class _TooLong(Exception):
    """The body has more bytes than the limit."""


class KnownHosts:
    """Answers only under names that are ours: a foreign page that points its own name at this address gets nothing, and one
    that sends a form here changes nothing.

    A browser trusts such a page to read from its own name, and callers on loopback need not prove who they are.
    """

    def __init__(self, app: ASGIApp, *, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            name = host.rpartition(":")[0] if re.search(r":[0-9]*$", host) else host
            if name.lower() not in self._names:
                answer = problem(
                    HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", "this service is not known by that name"
                )
                await answer(scope, receive, send)
                return
            if scope["method"] not in _SAFE_METHODS and self._is_foreign(Headers(scope=scope)):
                answer = problem(
                    HTTPStatus.FORBIDDEN, "cross-site-request", "a page of another site may not change anything here"
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: Headers) -> bool:
        """Browsers say where a request comes from; who is no browser says nothing, and is not misled by a page."""
        if headers.get("sec-fetch-site") == "cross-site":
            return True
        origin = headers.get("origin")
        return origin is not None and (urlsplit(origin).hostname or "") not in self._names
