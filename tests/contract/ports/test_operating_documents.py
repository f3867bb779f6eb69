"""Controls, audit and operators' views of jobs, over each document store that runs here without a server."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagetron_chassis.documents import Documents, Equals, Filter, Range, Sort, _sql
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.principals import Principal, system
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.audit import DocumentAudit
from imagetron_gateway.adapters.controls import DocumentControls
from imagetron_gateway.adapters.job_views import DocumentJobViews
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.ports import AuditLine, InvalidCursor, Pause
from support.builders import NOW, a_job, a_job_id

EVERYBODY = system("test")
ANNAS_PAUSE = Pause("anna", NOW, "a new model is being loaded")


@dataclass(frozen=True)
class Store:
    """One store and what stands on it; `reopened` is what a restarted process finds."""

    documents: Documents
    path: Path

    @property
    def controls(self) -> DocumentControls:
        return DocumentControls(self.documents)

    @property
    def audit(self) -> DocumentAudit:
        return DocumentAudit(self.documents)

    @property
    def views(self) -> DocumentJobViews:
        return DocumentJobViews(self.documents)

    async def insert(self, number: int, **fields: Any) -> Job:
        job = a_job(id=a_job_id(number), name=f"job-{number}", owner="anna").model_copy(update=fields)
        await DocumentJobs(self.documents).insert(job, Principal("anna"))
        return job


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path) -> AsyncIterator[Store]:
    path = tmp_path / "documents.sqlite3"
    documents: Documents = InMemoryDocuments() if request.param == "memory" else SqliteDocuments(path)
    for collection in (DocumentJobs(documents), DocumentControls(documents), DocumentAudit(documents)):
        await collection.prepare()
    yield Store(documents, path)
    await documents.close()


async def test_a_lane_that_nobody_paused_is_not_paused(store: Store):
    assert await store.controls.pause_of(Lane.BATCH) is None
    assert await store.controls.resume(Lane.BATCH) is None


async def test_a_pause_holds_for_its_lane_alone_until_it_is_lifted(store: Store):
    assert await store.controls.pause(Lane.BATCH, ANNAS_PAUSE) == ANNAS_PAUSE

    assert await store.controls.pause_of(Lane.BATCH) == ANNAS_PAUSE
    assert await store.controls.pause_of(Lane.INTERACTIVE) is None
    assert await store.controls.resume(Lane.BATCH) == ANNAS_PAUSE
    assert await store.controls.pause_of(Lane.BATCH) is None


async def test_pausing_a_paused_lane_answers_the_pause_in_force(store: Store):
    await store.controls.pause(Lane.BATCH, ANNAS_PAUSE)

    assert await store.controls.pause(Lane.BATCH, Pause("bert", NOW, "me too")) == ANNAS_PAUSE
    assert await store.controls.pause_of(Lane.BATCH) == ANNAS_PAUSE


async def test_a_lane_can_be_paused_again(store: Store):
    await store.controls.pause(Lane.BATCH, ANNAS_PAUSE)
    await store.controls.resume(Lane.BATCH)
    again = Pause("bert", NOW + timedelta(hours=1), "once more")

    assert await store.controls.pause(Lane.BATCH, again) == again


async def test_of_many_who_pause_at_once_one_is_right_and_all_are_told_of_it(store: Store):
    pauses = [Pause(f"operator {number}", NOW, "") for number in range(8)]

    answers = await asyncio.gather(*(store.controls.pause(Lane.BATCH, pause) for pause in pauses))

    assert len(set(answers)) == 1
    assert await store.controls.pause_of(Lane.BATCH) == answers[0]


async def test_a_pause_outlives_the_process(tmp_path):
    path = tmp_path / "documents.sqlite3"
    before = SqliteDocuments(path)
    await DocumentControls(before).prepare()
    await DocumentControls(before).pause(Lane.BATCH, ANNAS_PAUSE)
    await before.close()

    after = SqliteDocuments(path)
    await DocumentControls(after).prepare()
    assert await DocumentControls(after).pause_of(Lane.BATCH) == ANNAS_PAUSE
    await after.close()


async def test_the_audit_is_read_newest_first_page_by_page(store: Store):
    lines = [
        AuditLine(a_job_id(number), NOW + timedelta(seconds=number // 2), "anna", "lane.pause", {"count": number})
        for number in range(5)
    ]
    for line in lines:
        await store.audit.add(line)

    first = await store.audit.page(after=None, limit=3)
    second = await store.audit.page(after=first.next, limit=3)

    assert [*first.lines, *second.lines] == lines[::-1]
    assert second.next is None
    with pytest.raises(InvalidCursor):
        await store.audit.page(after="x", limit=3)


@pytest.mark.parametrize("newest_first", [True, False])
async def test_active_jobs_of_all_lanes_and_statuses_come_in_one_order_page_by_page(store: Store, newest_first):
    kinds = [(lane, status) for lane in Lane for status in (JobStatus.QUEUED, JobStatus.RUNNING)]
    jobs = [
        # Two submissions share each moment: ties are ordered by id.
        await store.insert(
            number,
            lane=kinds[number % 4][0],
            status=kinds[number % 4][1],
            created_at=NOW + timedelta(seconds=number // 2),
        )
        for number in range(10)
    ]
    for number, status in enumerate((JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PARTIAL, JobStatus.CANCELLED)):
        await store.insert(90 + number, status=status)

    listed, after = [], None
    for _ in range(4):
        page = await store.views.active(EVERYBODY, lanes=list(Lane), newest_first=newest_first, after=after, limit=3)
        listed += [job.id for job in page.jobs]
        after = page.next

    assert listed == [job.id for job in (jobs[::-1] if newest_first else jobs)]
    assert after is None


async def test_active_jobs_of_one_lane_are_listed_alone_and_strangers_see_none(store: Store):
    batch = await store.insert(1, lane=Lane.BATCH)
    await store.insert(2, lane=Lane.INTERACTIVE)

    only = await store.views.active(EVERYBODY, lanes=[Lane.BATCH], newest_first=True, after=None, limit=9)
    none = await store.views.active(Principal("bert"), lanes=list(Lane), newest_first=True, after=None, limit=9)

    assert [job.id for job in only.jobs] == [batch.id]
    assert none.jobs == []


async def test_the_longest_wait_of_a_lane_is_known(store: Store):
    await store.insert(1, lane=Lane.BATCH, waiting_since=NOW + timedelta(seconds=5))
    await store.insert(2, lane=Lane.BATCH, waiting_since=NOW + timedelta(seconds=3))
    await store.insert(3, lane=Lane.BATCH, waiting_since=None)

    assert await store.views.oldest_waiting(Lane.BATCH, EVERYBODY) == NOW + timedelta(seconds=3)
    assert await store.views.oldest_waiting(Lane.INTERACTIVE, EVERYBODY) is None


async def test_ended_jobs_come_by_the_time_of_their_end_within_the_span_page_by_page(store: Store):
    statuses = (JobStatus.FAILED, JobStatus.PARTIAL)
    jobs = [
        await store.insert(number, status=statuses[number % 2], finished_at=NOW + timedelta(hours=number))
        for number in range(6)
    ]
    await store.insert(9, status=JobStatus.COMPLETED, finished_at=NOW + timedelta(hours=2))
    span: dict[str, Any] = {"since": NOW + timedelta(hours=1), "before": NOW + timedelta(hours=5)}

    first = await store.views.ended(EVERYBODY, statuses=statuses, **span, limit=3)
    assert not first.is_all
    second = await store.views.ended(EVERYBODY, statuses=statuses, **span, after=first.last, limit=3)

    assert [job.id for job in (*first.jobs, *second.jobs)] == [job.id for job in jobs[1:5]]


async def test_a_job_that_changed_meanwhile_is_not_removed(store: Store):
    job = await store.insert(1)
    changed = job.model_copy(update={"version": 2})
    assert await DocumentJobs(store.documents).replace(changed, EVERYBODY, if_version=1)

    assert not await store.views.remove(job, EVERYBODY)
    assert not await store.views.remove(changed, Principal("bert"))
    assert await store.views.remove(changed, EVERYBODY)
    assert await DocumentJobs(store.documents).get(job.id, EVERYBODY) is None


@pytest.mark.parametrize("newest_first", [True, False])
async def test_an_index_gives_what_operators_look_for_in_its_order(tmp_path, newest_first):
    """A look over a backlog of any length neither scans nor sorts it: SQLite itself is asked how it would go about it."""
    path = tmp_path / "documents.sqlite3"
    documents = SqliteDocuments(path)
    await DocumentJobs(documents).prepare()
    await documents.close()
    looks: list[tuple[tuple[Filter, ...], Sort]] = [
        ((Equals("status", "queued"), Equals("lane", "batch")), Sort("createdAt", descending=newest_first)),
        ((Equals("status", "failed"), Range("finishedAt", at_least=NOW)), Sort("finishedAt")),
        ((Equals("lane", "batch"), Range("waitingSince", at_least=NOW)), Sort("waitingSince")),
    ]

    with closing(sqlite3.connect(path)) as connection:
        for filters, sort in looks:
            condition, parameters = _sql.where(filters)
            query = f"SELECT body FROM jobs WHERE {condition} ORDER BY {_sql.order_by(sort)} LIMIT 50"  # noqa: S608
            [plan] = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)]
            assert plan.startswith("SEARCH jobs USING INDEX"), (sort.path, plan)
