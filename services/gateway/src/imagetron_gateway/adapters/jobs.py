"""Job documents over the chassis' document store: mapping, queries, cursors, and the outbox as the relay wants it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from pydantic import ValidationError

from imagetron_chassis.cursors import closed, opened
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
from imagetron_gateway.domain.job import Job, JobKind
from imagetron_gateway.ports import KeyTaken, NameTaken, Pace, Page

JOBS: Final = Collection(
    "jobs",
    unique=(UniqueKey("name", ("name",)), UniqueKey("idempotency", ("owner", "idempotency.key"))),
    indexes=(
        ("owner", "createdAt"),
        ("createdAt",),
        ("owner", "kind", "createdAt"),
        ("kind", "createdAt"),
        ("lane", "waitingSince"),
        # One for the next owner, one for an owner's next job: without its own, the first would read all of an owner's.
        ("lane", "waitingOwner"),
        ("lane", "waitingOwner", "waitingSince"),
        ("lane", "finishedAt"),
        ("status", "lane", "createdAt"),
        ("status", "finishedAt"),
        ("nextCheckAt",),
        ("outboxAt",),
        ("inFlightFamilies",),
    ),
)
_MARK_TRIES: Final = 20


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
            if error.key == "idempotency":
                raise KeyTaken("this Idempotency-Key was used before") from error
            raise NameTaken(f"a variation named {job.name!r} exists") from error

    async def get(self, job_id: str, principal: Principal) -> Job | None:
        document = await self._documents.get(JOBS, job_id, *owned_by(principal))
        return _job(document) if document else None

    async def by_name(self, name: str, principal: Principal) -> Job | None:
        found = await self._documents.find(JOBS, Equals("name", name), *owned_by(principal), limit=1)
        return _job(found[0]) if found else None

    async def by_key(self, key: str, principal: Principal) -> Job | None:
        mine = (Equals("owner", principal.owner), Equals("idempotency.key", key))
        found = await self._documents.find(JOBS, *mine, limit=1)
        return _job(found[0]) if found else None

    async def page(self, principal: Principal, *, after: str | None, limit: int, kind: JobKind | None = None) -> Page:
        filters = (*owned_by(principal), *([Equals("kind", kind.value)] if kind else []))
        newest_first = Sort("createdAt", descending=True)
        found = await self._documents.find(JOBS, *filters, sort=newest_first, after=opened(after), limit=limit + 1)
        shown = found[:limit]
        following = closed((shown[-1]["createdAt"], shown[-1]["_id"])) if len(found) > limit else None
        return Page(readable(shown), following)

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        if not principal.sees_all_owners and job.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot change a job of {job.owner}")
        return await self._documents.replace(JOBS, _document(job), if_version=if_version)

    async def waiting_owners(self, lane: Lane, principal: Principal, *, after: str | None, limit: int) -> Sequence[str]:
        owners: list[str] = []
        while len(owners) < limit:
            # One step of the index for each owner, however many jobs it has.
            last = owners[-1] if owners else after
            owner = await self._waiting_owner_after(lane, principal, last)
            if owner is None and last is not None:
                owner = await self._waiting_owner_after(lane, principal, None)
            if owner is None or owner in owners:
                break
            owners.append(owner)
        return owners

    async def _waiting_owner_after(self, lane: Lane, principal: Principal, last: str | None) -> str | None:
        following = "" if last is None else last + _NEXT_TEXT
        filters = (Equals("lane", lane.value), Range("waitingOwner", at_least=following), *owned_by(principal))
        found = await self._documents.find(JOBS, *filters, sort=Sort("waitingOwner"), limit=1)
        return str(found[0]["waitingOwner"]) if found else None

    async def waiting(self, lane: Lane, owner: str, principal: Principal, *, limit: int) -> Sequence[Job]:
        filters = (
            Equals("lane", lane.value),
            Equals("waitingOwner", owner),
            Range("waitingSince", at_least=EPOCH),
            *owned_by(principal),
        )
        found = await self._documents.find(JOBS, *filters, sort=Sort("waitingSince"), limit=limit)
        return readable(found)

    async def count_waiting(self, lane: Lane, principal: Principal, *, before: datetime | None = None) -> int:
        since = Range("waitingSince", at_least=EPOCH, below=before)
        return await self._documents.count(JOBS, Equals("lane", lane.value), since, *owned_by(principal))

    async def finished(self, lane: Lane, principal: Principal, *, since: datetime) -> Pace:
        filters = (Equals("lane", lane.value), Range("finishedAt", at_least=since), *owned_by(principal))
        first = await self._documents.find(JOBS, *filters, sort=Sort("finishedAt"), limit=1)
        if not first:
            return Pace(0, None)
        return Pace(await self._documents.count(JOBS, *filters), first[0]["finishedAt"])

    async def in_flight(self, principal: Principal) -> dict[str, int]:
        filters = (Range("inFlightFamilies", at_least=1), *owned_by(principal))
        sums = await self._documents.sum_by(JOBS, "inFlightFamilies", "lane", *filters)
        return {lane: int(count) for lane, count in sums.items()}

    async def due(self, now: datetime, principal: Principal, *, limit: int) -> Sequence[Job]:
        # Stores keep milliseconds: this is "at or before now".
        just_after = now + timedelta(milliseconds=1)
        filters = (Range("nextCheckAt", at_least=EPOCH, below=just_after), *owned_by(principal))
        found = await self._documents.find(JOBS, *filters, sort=Sort("nextCheckAt"), limit=limit)
        return readable(found)

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
        filters = (Range("outboxAt", at_least=EPOCH, below=before),)
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


# The smallest text that a document may append: what begins with more than this comes after.
_NEXT_TEXT: Final = "\x01"
EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def owned_by(principal: Principal) -> tuple[Filter, ...]:
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


def readable(documents: Iterable[Document]) -> list[Job]:
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
