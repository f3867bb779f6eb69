"""A store full of waiting batch jobs, and what the queue's benchmarks ask of it beside the gateway. No figures."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from imagetron_chassis.clock import SystemClock
from imagetron_chassis.documents import Equals, Range
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.principals import Principal
from imagetron_cli.embedded.stack import Stack
from imagetron_contracts.ids import new_job_id
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.catalogue import BUILT_IN, load_catalogue
from imagetron_gateway.adapters.jobs import JOBS, DocumentJobs
from imagetron_gateway.domain.choosing import Chosen
from imagetron_gateway.domain.job import Job, Parameters
from imagetron_gateway.usecases import NewJob, submit_job

# As long as people write them.
PROMPT = "Professional sunset beach scene, warm golden hour lighting, serene ocean waves, a lighthouse far away"
OWNER = Principal(owner="batch")
_AT_ONCE = 256
_EVERYTHING = 100_000


class Store:
    """The gateway's documents, opened beside it: SQLite's file may be shared."""

    def __init__(self, documents: SqliteDocuments) -> None:
        self.documents = documents
        self.jobs = DocumentJobs(documents)

    async def fill(self, count: int, *, families: tuple[str, ...], steps: int) -> list[Job]:
        """Batch jobs of one owner as a submission stores them: the same code, without HTTP."""
        model = load_catalogue(BUILT_IN)["preview"]
        clock = SystemClock()

        async def one(number: int) -> Job:
            request = NewJob(
                name=f"waiting-{number}",
                category="benchmarks",
                families=families,
                prompt=PROMPT,
                negative_prompt="people, text, watermark, low quality",
                chosen=Chosen(model, model, "preview", Parameters(steps=steps, guidance_scale=7.5, seed=number)),
                lane=Lane.BATCH,
            )
            submitted = await submit_job(
                request, OWNER, jobs=self.jobs, clock=clock, new_id=lambda: new_job_id(time.time_ns() // 1_000_000)
            )
            return submitted.job

        stored: list[Job] = []
        for first in range(0, count, _AT_ONCE):
            numbers = range(first, min(count, first + _AT_ONCE))
            stored += await asyncio.gather(*(one(number) for number in numbers))
        return stored

    async def ended(self, lane: Lane, *, since: datetime, before: datetime | None = None) -> int:
        """How many jobs of the lane have ended in this span."""
        span = Range("finishedAt", at_least=since, below=before)
        return await self.documents.count(JOBS, Equals("lane", lane.value), span)

    async def begun(self, lane: Lane, *, since: datetime, before: datetime) -> int:
        """How many families of the lane's jobs a generator began with in this span."""
        in_lane = Equals("lane", lane.value)
        # Those at work first: whatever ends meanwhile is found again among the ended.
        at_work = await self.documents.find(JOBS, in_lane, Range("inFlightFamilies", at_least=1), limit=_EVERYTHING)
        ended = await self.documents.find(JOBS, in_lane, Range("finishedAt", at_least=since), limit=_EVERYTHING)
        jobs = {job["_id"]: job for job in (*at_work, *ended)}
        families = [family for job in jobs.values() for family in job["families"].values()]
        return sum(1 for family in families if family["startedAt"] and since <= family["startedAt"] < before)


@asynccontextmanager
async def store_of(stack: Stack) -> AsyncIterator[Store]:
    """The store of a stack that runs, or that has not started yet."""
    path: Path = stack.state.documents / "gateway.sqlite3"
    store = Store(SqliteDocuments(path))
    await store.jobs.prepare()
    try:
        yield store
    finally:
        await store.documents.close()
