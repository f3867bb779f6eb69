"""`/api/admin/events`: the public events as they happen, as server-sent events. Nothing is replayed: it is a window."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from imagetron_contracts.envelope import Envelope
from imagetron_contracts.events import EVENTS
from imagetron_gateway.api import schemas
from imagetron_gateway.api.admin import PROBLEMS, AdminDesk, Operator
from imagetron_gateway.api.problems import InvalidRequest, Objection
from imagetron_gateway.ports import Tail, TailEnded

HEARTBEAT_SECONDS: Final = 15.0
"""Proxies cut connections that are silent for a minute; a reader who vanished is noticed by then too."""
PATIENCE_SECONDS: Final = 30.0
"""How long a reader may leave a full socket unread."""
_ANSWER: schemas.Responses = {
    200: {
        "description": "A stream that ends only when its reader leaves, is too slow, or the gateway stops. `id` is the "
        "event's id, `event` its type, `data` the CloudEvents envelope in one line of JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_KNOWN: Final = frozenset(event.TYPE for event in EVENTS)


def events_router(desk: AdminDesk, *, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> APIRouter:
    router = APIRouter(prefix="/api/admin", tags=["operating"])

    @router.get(
        "/events",
        summary="Follow the public events of all jobs",
        response_class=StreamingResponse,
        responses={**PROBLEMS, **_ANSWER},
    )
    async def events(
        _: Operator,
        kind: Annotated[
            list[str] | None, Query(alias="type", max_length=20, description="Only events of these types.")
        ] = None,
        job: Annotated[str | None, Query(max_length=100, description="Only of this job.")] = None,
    ) -> EventStream:
        types = frozenset(kind or ())
        if unknown := sorted(types - _KNOWN):
            raise InvalidRequest(
                Objection("?type", f"no such event: {unknown[0]}; there are: {', '.join(sorted(_KNOWN))}")
            )
        opening = desk.tails.open()
        # Before the answer begins: what cannot be opened is a problem with a status, not a stream that ends at once.
        tail = await opening.__aenter__()
        return EventStream(_told(tail, types, job, heartbeat_seconds), opening)

    return router


class EventStream(StreamingResponse):
    """Closes the tail however the stream ends: the reader left, was too slow, or the request was cancelled."""

    media_type = "text/event-stream"

    def __init__(
        self,
        content: AsyncGenerator[str],
        tail: AbstractAsyncContextManager[Tail],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._patience_seconds = patience_seconds
        self._content = content
        self._tail = tail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._patience_seconds):
                await send(message)

        try:
            async with aclosing(self._content):
                # The server sees an answer without an end, and cuts the connection of a reader who does not read.
                with suppress(TimeoutError):
                    await super().__call__(scope, receive, send_in_time)
        finally:
            await self._tail.__aexit__(None, None, None)


async def _told(tail: Tail, types: frozenset[str], job: str | None, heartbeat_seconds: float) -> AsyncGenerator[str]:
    # A comment at once: readers and proxies see that the stream has begun.
    yield ": the public events from now on\n\n"
    said_at = time.monotonic()
    while True:
        try:
            event = await tail.next(within_seconds=heartbeat_seconds)
        except TailEnded as end:
            yield f": ended: {end}\n\n"
            return
        if event is not None and (not types or event.type in types) and job in {None, event.subject}:
            said_at = time.monotonic()
            yield _as_text(event)
        # Also while there are events, but none that this reader wants.
        elif time.monotonic() - said_at >= heartbeat_seconds:
            said_at = time.monotonic()
            yield ": still here\n\n"


def _as_text(event: Envelope) -> str:
    # The encoder escapes line breaks, so that one event is one `data` line, whatever is in it.
    identifier = event.id.replace("\0", "").replace("\r", " ").replace("\n", " ")
    return f"id: {identifier}\nevent: {event.type}\ndata: {event.encode().decode()}\n\n"
