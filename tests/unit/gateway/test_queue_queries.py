"""The queue's queries stay cheap however many jobs wait: each walks an index, and admission reads what it may admit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from imagetron_chassis.cursors import closed
from imagetron_chassis.documents import AFTER_LAST, Collection, Document, Filter, Sort
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import FamilyRequested, Lane
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.domain.job import Job
from imagetron_gateway.usecases import SAGA
from support.builders import NOW, a_job, a_job_id
from unit.gateway.desks import ANNA, Office

WINDOW: Final = 16
CURSOR: Final = closed((NOW, a_job_id(1)))

Query = Callable[[DocumentJobs], Awaitable[object]]
COUNTS: Final[dict[str, Query]] = {
    "how many wait": lambda jobs: jobs.count_waiting(Lane.BATCH, SAGA),
    "the place of one": lambda jobs: jobs.count_waiting(Lane.BATCH, SAGA, before=NOW),
    "the pace": lambda jobs: jobs.finished(Lane.BATCH, SAGA, since=NOW),
}
QUERIES: Final[dict[str, Query]] = COUNTS | {
    "the next owners": lambda jobs: jobs.waiting_owners(Lane.BATCH, SAGA, after="bert", limit=WINDOW),
    "an owner's next jobs": lambda jobs: jobs.waiting(Lane.BATCH, "anna", SAGA, limit=WINDOW),
    "what is in flight": lambda jobs: jobs.in_flight(SAGA),
    "what is due": lambda jobs: jobs.due(NOW, SAGA, limit=200),
    "a job": lambda jobs: jobs.get(a_job_id(1), SAGA),
    "one's own job": lambda jobs: jobs.get(a_job_id(1), ANNA),
    "the job of a key": lambda jobs: jobs.by_key("key", ANNA),
    "the job of a name": lambda jobs: jobs.by_name("hero", SAGA),
    "one's own job of a name": lambda jobs: jobs.by_name("hero", ANNA),
    "an outbox": lambda jobs: jobs.pending(a_job_id(1)),
    "outboxes left behind": lambda jobs: jobs.pending_since(NOW, 200),
    "the newest jobs": lambda jobs: jobs.page(SAGA, after=None, limit=20),
    "one's own newest jobs": lambda jobs: jobs.page(ANNA, after=None, limit=20),
    "older jobs": lambda jobs: jobs.page(SAGA, after=CURSOR, limit=20),
    "one's own older jobs": lambda jobs: jobs.page(ANNA, after=CURSOR, limit=20),
}


class WatchedDocuments(SqliteDocuments):
    """Counts the documents that leave the store, and tells how SQLite finds them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read = 0

    async def find(
        self,
        collection: Collection,
        *filters: Filter,
        sort: Sort | None = None,
        after: tuple[Any, str] | None = AFTER_LAST,
        limit: int = 50,
    ) -> Sequence[Document]:
        found = await super().find(collection, *filters, sort=sort, after=after, limit=limit)
        self.read += len(found)
        return found

    async def statements(self, query: Query) -> list[str]:
        """What a query asks of SQLite."""
        asked: list[str] = []
        await self._thread.read(lambda connection: connection.set_trace_callback(asked.append))
        await query(DocumentJobs(self))
        await self._thread.read(lambda connection: connection.set_trace_callback(None))
        return [statement for statement in asked if statement.startswith("SELECT")]

    async def plan(self, statement: str) -> list[str]:
        rows = await self._thread.read(lambda connection: list(connection.execute(f"EXPLAIN QUERY PLAN {statement}")))
        return [detail for *_, detail in rows]

    async def program(self, statement: str) -> list[str]:
        """The operations of the statement's bytecode."""
        rows = await self._thread.read(lambda connection: list(connection.execute(f"EXPLAIN {statement}")))
        return [operation for _, operation, *_ in rows]

    async def become_hasty(self) -> None:
        """Nothing here is about power cuts: thousands of commits need not wait for the disk."""
        await self._thread.read(lambda connection: connection.execute("PRAGMA synchronous=OFF").close())


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[WatchedDocuments]:
    store = WatchedDocuments(tmp_path / "jobs.sqlite3")
    await DocumentJobs(store).prepare()
    await store.become_hasty()
    yield store
    await store.close()


def a_waiting_job(number: int, owner: str, **fields: Any) -> Job:
    """The higher the number, the later it began to wait."""
    now = NOW + timedelta(milliseconds=number)
    return a_job("square", id=a_job_id(number), name=f"job-{number}", owner=owner, lane=Lane.BATCH, now=now, **fields)


async def store_all(documents: SqliteDocuments, jobs: Iterable[Job]) -> None:
    repository = DocumentJobs(documents)
    await asyncio.gather(*(repository.insert(job, Principal(owner=job.owner)) for job in jobs))


def owners_asked_for(office: Office, owner_of: dict[str, str]) -> list[str]:
    """Whose work the workers were told of, in order."""
    messages = [envelope.data for envelope in office.publisher.envelopes()]
    return [owner_of[message.job_id] for message in messages if isinstance(message, FamilyRequested)]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
async def test_no_query_looks_through_all_jobs_or_sorts_them(documents, query):
    await store_all(documents, [a_waiting_job(1, "anna"), a_waiting_job(2, "bert", finished_at=NOW)])
    plans = [await documents.plan(statement) for statement in await documents.statements(query)]

    assert plans
    for steps in plans:
        # A walk along an index is fine where it ends after a page, and one job needs no sorting.
        assert [step for step in steps if step.startswith("SCAN") and "USING INDEX" not in step] == []
        is_one = "USING INDEX unique-jobs-" in steps[0]
        assert is_one or [step for step in steps if "TEMP B-TREE FOR" in step and "GROUP BY" not in step] == []


@pytest.mark.parametrize("query", COUNTS.values(), ids=COUNTS.keys())
async def test_what_is_counted_is_counted_in_an_index_without_a_look_into_the_jobs(documents, query):
    await store_all(documents, [a_waiting_job(1, "anna", finished_at=NOW)])
    counts = [statement for statement in await documents.statements(query) if "count(*)" in statement]

    assert len(counts) == 1
    assert all(step.startswith("SEARCH") for step in await documents.plan(counts[0]))
    # Reading a job's body shows as a column that goes through a JSON function.
    assert {"Column", "Function"}.isdisjoint(await documents.program(counts[0]))


@pytest.mark.parametrize("window", [5, 40], ids=["fewer places than owners", "more places than owners"])
async def test_an_owner_with_a_long_backlog_keeps_nobody_else_waiting_for_more_than_one_round(documents, window):
    big = [a_waiting_job(number, "giant") for number in range(1_000)]
    # They come before and after the giant in the alphabet, and all of them began to wait after its last job.
    small = [a_waiting_job(1_000 + each, f"{'af'[each % 2]}-{each}") for each in range(10)]
    small += [a_waiting_job(1_010 + each, f"owner-{each}") for each in range(10)]
    await store_all(documents, [*big, *small])
    owner_of = {job.id: job.owner for job in [*big, *small]}
    office = Office(jobs=DocumentJobs(documents))

    room = 0
    while (served := owners_asked_for(office, owner_of))[20:] == []:
        room += window
        assert await office.admit(Lane.BATCH, window=room) == window

    assert sorted(served[:21]) == sorted(set(owner_of.values()))


async def test_each_of_many_owners_gets_a_turn_before_anybody_gets_a_second(documents):
    jobs = [a_waiting_job(number, f"owner-{number % 160}") for number in range(320)]
    await store_all(documents, jobs)
    office = Office(jobs=DocumentJobs(documents))

    for room in range(WINDOW, 160 + WINDOW, WINDOW):
        assert await office.admit(Lane.BATCH, window=room) == WINDOW

    served = owners_asked_for(office, {job.id: job.owner for job in jobs})
    assert sorted(served) == sorted({job.owner for job in jobs})


@pytest.mark.parametrize("owners", [1, 500], ids=["one owner", "many owners"])
async def test_a_round_of_admission_reads_what_fits_and_not_the_backlog(documents, owners):
    await store_all(documents, [a_waiting_job(number, f"owner-{number % owners}") for number in range(1_000)])
    office = Office(jobs=DocumentJobs(documents))
    reads = []

    for room in (WINDOW, WINDOW + 1):  # all places are free, then one is
        documents.read = 0
        await office.admit(Lane.BATCH, window=room)
        reads.append(documents.read)

    assert reads[0] <= 30 * WINDOW
    assert reads[1] <= 30
