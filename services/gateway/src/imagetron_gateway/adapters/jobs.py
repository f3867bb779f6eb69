"""Job documents over the chassis' document store: mapping, queries, cursors, and the outbox as the relay wants it."""

import base64
import binascii
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from pydantic import ValidationError

from imagetron_chassis.documents import (
    Collection,
    Document,
    Documents,
    Duplicate,
    Equals,
    Filter,
    Range,
    Sort,
    UniqueKey,
)
from imagetron_chassis.errors import Permanent, Transient
from imagetron_chassis.logs import log
from imagetron_chassis.outbox import Pending
from imagetron_chassis.principals import Principal
from imagetron_chassis.publishing import Outgoing
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.job import Job
from imagetron_gateway.ports import InvalidCursor, NameTaken, Page

JOBS: Final = Collection(
    "jobs",
    unique=(UniqueKey("name", ("name",)),),
    indexes=(("owner", "createdAt"), ("lane", "waitingSince"), ("nextCheckAt",), ("outboxAt",), ("inFlightFamilies",)),
)
_MARK_TRIES: Final = 20
_FOREIGN_CURSOR: Final = "the cursor was not made by this API; start again without one"


class JobUnreadable(Permanent):
    """A document is no job, or one of a version that this gateway does not know."""


class DocumentJobs:
    """Implements the Jobs port and the relay's OutboxStore over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(JOBS)

    async def insert(self, job: Job, principal: Principal) -> None:
        if job.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot create a job of {job.owner}")
        try:
            await self._documents.insert(JOBS, _document(job))
        except Duplicate as error:
            raise NameTaken(f"a variation named {job.name!r} exists") from error

    async def get(self, job_id: str, principal: Principal) -> Job | None:
        document = await self._documents.get(JOBS, job_id, *_owned_by(principal))
        return _job(document) if document else None

    async def by_name(self, name: str, principal: Principal) -> Job | None:
        found = await self._documents.find(JOBS, Equals("name", name), *_owned_by(principal), limit=1)
        return _job(found[0]) if found else None

    async def page(self, principal: Principal, *, after: str | None, limit: int) -> Page:
        newest_first = Sort("createdAt", descending=True)
        found = await self._documents.find(
            JOBS, *_owned_by(principal), sort=newest_first, after=_opened(after), limit=limit + 1
        )
        shown = found[:limit]
        following = _encoded(shown[-1]["createdAt"], shown[-1]["_id"]) if len(found) > limit else None
        return Page(_readable(shown), following)

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        if not principal.sees_all_owners and job.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot change a job of {job.owner}")
        return await self._documents.replace(JOBS, _document(job), if_version=if_version)

    async def waiting(self, lane: Lane, principal: Principal, *, limit: int) -> Sequence[Job]:
        filters = (Equals("lane", lane.value), Range("waitingSince", at_least=_EPOCH), *_owned_by(principal))
        found = await self._documents.find(JOBS, *filters, sort=Sort("waitingSince"), limit=limit)
        return _readable(found)

    async def in_flight(self, principal: Principal) -> dict[str, int]:
        filters = (Range("inFlightFamilies", at_least=1), *_owned_by(principal))
        sums = await self._documents.sum_by(JOBS, "inFlightFamilies", "lane", *filters)
        return {lane: int(count) for lane, count in sums.items()}

    async def due(self, now: datetime, principal: Principal, *, limit: int) -> Sequence[Job]:
        # Stores keep milliseconds: this is "at or before now".
        just_after = now + timedelta(milliseconds=1)
        filters = (Range("nextCheckAt", at_least=_EPOCH, below=just_after), *_owned_by(principal))
        found = await self._documents.find(JOBS, *filters, sort=Sort("nextCheckAt"), limit=limit)
        return _readable(found)

    async def pending(self, document_id: str) -> Pending | None:
        document = await self._documents.get(JOBS, document_id)
        if document is None or not document["outbox"]:
            return None
        messages = [
            Outgoing(entry["id"], entry["exchange"], entry["routingKey"], entry["body"].encode())
            for entry in document["outbox"]
        ]
        return Pending(document_id, messages)

    async def pending_since(self, before: datetime, limit: int) -> Sequence[str]:
        filters = (Range("outboxAt", at_least=_EPOCH, below=before),)
        found = await self._documents.find(JOBS, *filters, sort=Sort("outboxAt"), limit=limit)
        return [document["_id"] for document in found]

    async def mark_sent(self, document_id: str, message_ids: frozenset[str]) -> None:
        for _ in range(_MARK_TRIES):
            document = await self._documents.get(JOBS, document_id)
            if document is None:
                return
            version = document["version"]
            kept = [entry for entry in document["outbox"] if entry["id"] not in message_ids]
            document.update(outbox=kept, outboxAt=document["outboxAt"] if kept else None, version=version + 1)
            if await self._documents.replace(JOBS, document, if_version=version):
                return
        raise Transient(
            f"job {document_id} changed under {_MARK_TRIES} tries to clear its outbox; they will be sent again"
        )


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _owned_by(principal: Principal) -> tuple[Filter, ...]:
    return () if principal.sees_all_owners else (Equals("owner", principal.owner),)


def _document(job: Job) -> Document:
    document = _plain(job.model_dump(by_alias=True, mode="python"))
    assert isinstance(document, dict)  # noqa: S101 - a model dumps to a dict; this tells the type checker
    document["_id"] = document.pop("id")
    return document


def _job(document: Mapping[str, Any]) -> Job:
    try:
        return Job.model_validate({**document, "id": document["_id"]})
    except ValidationError as error:
        # Neither the error nor its cause may go on: pydantic quotes what it read, and that is the prompt.
        fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
        raise JobUnreadable(f"job {document['_id']} cannot be read: {', '.join(fields)}") from None


def _readable(documents: Iterable[Document]) -> list[Job]:
    """Without those that cannot be read: one broken document must not hide all others from lists and sweeps."""
    jobs = []
    for document in documents:
        try:
            jobs.append(_job(document))
        except JobUnreadable as error:
            log().error("job_unreadable", job_id=document["_id"], reason=str(error))
    return jobs


def _plain(value: object) -> object:
    """Lists and plain strings: what every store keeps."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case Enum():
            return value.value
        case _:
            return value


def _encoded(created_at: datetime, job_id: str) -> str:
    place = json.dumps([created_at.isoformat(timespec="milliseconds"), job_id])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _opened(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = datetime.fromisoformat(created_at), str(uuid.UUID(job_id))
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise InvalidCursor(_FOREIGN_CURSOR) from error
    # Only what this API wrote reads back the same: no other time zone, precision or way to write an id gets through.
    if place[0].utcoffset() != timedelta(0) or _encoded(*place) != cursor:
        raise InvalidCursor(_FOREIGN_CURSOR)
    return place
