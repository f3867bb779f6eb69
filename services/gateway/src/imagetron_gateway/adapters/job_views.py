"""The jobs as operators look for them: every query walks an index and stops at its limit."""

import heapq
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from imagetron_chassis.cursors import closed, opened
from imagetron_chassis.documents import Document, Documents, Equals, Filter, Range, Sort
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.jobs import EPOCH, JOBS, owned_by, readable
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.ports import Ended, Page, Place

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


class DocumentJobViews:
    """Implements the JobViews port."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def active(
        self, principal: Principal, *, lanes: Sequence[Lane], newest_first: bool, after: str | None, limit: int
    ) -> Page:
        # No index gives several statuses in one order: one walk for each, and as many of each as could be shown.
        walks = [
            await self._documents.find(
                JOBS,
                Equals("status", status.value),
                Equals("lane", lane.value),
                *owned_by(principal),
                sort=Sort("createdAt", descending=newest_first),
                after=opened(after),
                limit=limit + 1,
            )
            for status in _ACTIVE
            for lane in lanes
        ]
        documents = sorted(
            (document for walk in walks for document in walk),
            key=lambda document: (document["createdAt"], document["_id"]),
            reverse=newest_first,
        )
        shown = documents[:limit]
        following = closed((shown[-1]["createdAt"], shown[-1]["_id"])) if len(documents) > limit else None
        return Page(readable(shown), following)

    async def oldest_waiting(self, lane: Lane, principal: Principal) -> datetime | None:
        filters = (Equals("lane", lane.value), Range("waitingSince", at_least=EPOCH), *owned_by(principal))
        found = await self._documents.find(JOBS, *filters, sort=Sort("waitingSince"), limit=1)
        return found[0]["waitingSince"] if found else None

    async def ended(
        self,
        principal: Principal,
        *,
        statuses: Sequence[JobStatus],
        since: datetime | None = None,
        before: datetime | None = None,
        after: Place | None = None,
        limit: int,
    ) -> Ended:
        span = Range("finishedAt", at_least=since or EPOCH, below=before)
        walks: list[Sequence[Document]] = []
        for status in statuses:
            filters: tuple[Filter, ...] = (Equals("status", status.value), span, *owned_by(principal))
            sort = Sort("finishedAt")
            walks.append(await self._documents.find(JOBS, *filters, sort=sort, after=after, limit=limit + 1))
        found = list(heapq.merge(*walks, key=itemgetter("finishedAt", "_id")))
        shown = found[:limit]
        last = (shown[-1]["finishedAt"], shown[-1]["_id"]) if shown else None
        return Ended(readable(shown), last, is_all=len(found) <= limit)

    async def remove(self, job: Job, principal: Principal) -> bool:
        return await self._documents.delete(JOBS, job.id, Equals("version", job.version), *owned_by(principal))
