"""`/api/admin/dead-letters`: look at what could not be handled, send it home, drop it."""

import asyncio
import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from imagetron_chassis.letters import Handled, printable
from imagetron_contracts.topology import Queue
from imagetron_gateway.api import admin_schemas as shown
from imagetron_gateway.api import schemas
from imagetron_gateway.api.admin import PROBLEMS, AdminDesk, Operator
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.usecases.operating_letters import (
    KnownLetter,
    drop_letters,
    look_at_letter,
    look_at_letters,
    queue_named,
    replay_letters,
)

BODY_BYTES: Final = 16_384
"""Of a letter's body that is shown: more than any message of ours has."""
_HEADER_CHARACTERS: Final = 500
_HEADER_DEPTH: Final = 4
_MISSING: schemas.Responses = {404: {"model": Problem, "description": "There is no such queue, or no such letter."}}
_RESPONSES: schemas.Responses = {**PROBLEMS, **_MISSING}
QueueName = Annotated[str, Path(max_length=100, description="A work queue's name, or that of its dead-letter queue.")]


def dead_letters_router(desk: AdminDesk) -> APIRouter:
    router = APIRouter(prefix="/api/admin/dead-letters", tags=["operating"])

    @router.get(
        "",
        summary="How many dead letters each queue has",
        response_description="Every work queue, also those without any.",
        responses=PROBLEMS,
    )
    async def queues(_: Operator) -> shown.DeadQueueList:
        depths = await desk.letters.depths()
        items = await asyncio.gather(*(_dead_queue(desk, depth.queue, depth.dead) for depth in depths))
        return shown.DeadQueueList(items=items)

    @router.get(
        "/{queue}",
        summary="Look at the oldest dead letters of a queue",
        response_description="The letters; they stay where they are.",
        responses=_RESPONSES,
    )
    async def letters(
        queue: QueueName, principal: Operator, limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> shown.LetterList:
        named = queue_named(queue)
        known = await look_at_letters(named, principal, limit=limit, letters=desk.letters, jobs=desk.jobs)
        return shown.LetterList(
            queue=named.name,
            items=[shown.LetterShown(**_letter(letter)) for letter in known.letters],
            complete=known.is_all,
        )

    @router.get(
        "/{queue}/{letter_id}",
        summary="Look at one dead letter",
        response_description="The letter with its headers and its body; it stays where it is.",
        responses=_RESPONSES,
    )
    async def letter(
        queue: QueueName, letter_id: Annotated[str, Path(max_length=100)], principal: Operator
    ) -> shown.LetterDetails:
        named = queue_named(queue)
        known = await look_at_letter(named, letter_id, principal, letters=desk.letters, jobs=desk.jobs)
        return _details(named, known)

    @router.post(
        "/{queue}/replay",
        summary="Send dead letters home to their work queue",
        response_description="Which were sent, or would be. Each keeps its event id: sending one twice does no harm.",
        responses=_RESPONSES,
    )
    async def replay(queue: QueueName, body: shown.ReplayBody, principal: Operator) -> shown.HandledShown:
        named = queue_named(queue)
        handled = await replay_letters(
            named,
            body.wanted,
            principal,
            limit=body.limit,
            per_second=body.per_second,
            dry_run=body.dry_run,
            letters=desk.letters,
            auditor=desk.auditor,
        )
        return _handled(named, handled, dry_run=body.dry_run)

    @router.post(
        "/{queue}/drop",
        summary="Drop dead letters for good",
        response_description="Which were dropped, or would be.",
        responses=_RESPONSES,
    )
    async def drop(queue: QueueName, body: shown.DropBody, principal: Operator) -> shown.HandledShown:
        named = queue_named(queue)
        handled = await drop_letters(
            named,
            body.wanted,
            principal,
            limit=body.limit,
            dry_run=body.dry_run,
            letters=desk.letters,
            auditor=desk.auditor,
        )
        return _handled(named, handled, dry_run=body.dry_run)

    return router


async def _dead_queue(desk: AdminDesk, queue: Queue, depth: int) -> shown.DeadQueueShown:
    look = await desk.letters.look(queue, limit=1) if depth else None
    oldest = look.letters[0] if look and look.letters else None
    return shown.DeadQueueShown(
        queue=queue.name,
        depth=depth,
        oldest_died_at=oldest.died_at if oldest else None,
        oldest_reason=oldest.reason if oldest else None,
    )


def _letter(known: KnownLetter) -> dict[str, Any]:
    letter = known.letter
    kind = letter.envelope.get("type")
    return {
        "id": letter.id,
        "type": kind if isinstance(kind, str) else None,
        "reason": letter.reason,
        "deaths": letter.deaths,
        "first_died_at": letter.died_at,
        "body_bytes": len(letter.body),
        "unreadable": letter.unreadable,
        "job_id": letter.job_id,
        "job_status": known.job.status if known.job else None,
        "hint": known.hint,
    }


def _details(queue: Queue, known: KnownLetter) -> shown.LetterDetails:
    letter = known.letter
    text = letter.body[:BODY_BYTES].decode("utf-8", "backslashreplace")
    return shown.LetterDetails(
        **_letter(known),
        queue=queue.name,
        headers={printable(name[:_HEADER_CHARACTERS]): _plain(value) for name, value in letter.headers.items()},
        content_type=printable(letter.content_type) if letter.content_type else None,
        envelope=letter.envelope,
        body=printable(text),
        body_is_json=_is_json(letter.body),
        body_is_complete=len(letter.body) <= BODY_BYTES,
    )


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """An AMQP header's value as JSON; whoever published it chose it, so it is escaped and bounded."""
    match value:
        case None | bool() | int():
            return value
        case float() | Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case dict() if depth < _HEADER_DEPTH:
            return {printable(str(name)[:_HEADER_CHARACTERS]): _plain(item, depth + 1) for name, item in value.items()}
        case list() if depth < _HEADER_DEPTH:
            return [_plain(item, depth + 1) for item in value]
        case bytes():
            return printable(value[:_HEADER_CHARACTERS].decode("utf-8", "backslashreplace"))
        case _:
            return printable(str(value)[:_HEADER_CHARACTERS])


def _handled(queue: Queue, handled: Handled, *, dry_run: bool) -> shown.HandledShown:
    return shown.HandledShown(
        queue=queue.name, dry_run=dry_run, ids=list(handled.ids), done=len(handled.ids), stopped=handled.stopped
    )
