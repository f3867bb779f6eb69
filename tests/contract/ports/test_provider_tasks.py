"""Our tasks at other people's servers and the books of paid calls, over each document store that runs here without a server."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.ids import JobId
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import image_prefix, spec_key
from imagetron_contracts.stages import FamilyRequested, ImageError, Lane, Pool, RenderedImage, RendersGenerated
from imagetron_generator.adapters.provider_tasks import (
    PROVIDER_TASKS,
    DocumentPaidCalls,
    DocumentProviderTasks,
    TaskUnreadable,
)
from imagetron_generator.domain.orders import TaskNews, TaskPhase, TaskRules
from imagetron_generator.domain.paid_calls import PaidCall, no_call_yet
from imagetron_generator.domain.provider_tasks import ProviderTask, TaskState, intended
from imagetron_generator.ports import TaskIdTaken
from support.builders import JOB_ID, NOW, a_job_id
from support.mongo import MongoServer, drop_database, running_mongo

RULES = TaskRules(images_per_task=2)


@dataclass(frozen=True)
class Stores:
    documents: Documents

    @property
    def tasks(self) -> DocumentProviderTasks:
        return DocumentProviderTasks(self.documents)

    @property
    def calls(self) -> DocumentPaidCalls:
        return DocumentPaidCalls(self.documents)


@pytest.fixture(scope="module")
def mongo(tmp_path_factory) -> Iterator[MongoServer]:
    with running_mongo(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "mongo"])
async def stores(request, tmp_path) -> AsyncIterator[Stores]:
    database = f"t{uuid.uuid4().hex[:12]}"
    documents: Documents
    server: MongoServer | None = None
    if request.param == "memory":
        documents = InMemoryDocuments()
    elif request.param == "sqlite":
        documents = SqliteDocuments(tmp_path / "documents.sqlite3")
    else:
        server = request.getfixturevalue("mongo")
        assert server is not None
        if not server.is_real and request.node.name.startswith("test_what_is_due"):
            pytest.skip("nx-27017 compares dates by whole seconds")
        documents = MongoDocuments(server.url, database, is_trial=not server.is_real)
    made = Stores(documents)
    await made.tasks.prepare()
    await made.calls.prepare()
    yield made
    await documents.close()
    if server is not None:
        drop_database(server, database)


def a_request(job_id: JobId = JOB_ID, **changes: Any) -> FamilyRequested:
    values = {
        "job_id": job_id,
        "revision": 1,
        "family": "square",
        "attempt": 1,
        "lane": Lane.BATCH,
        "pool": Pool.EXTERNAL,
        "spec_key": spec_key(job_id, changes.get("revision", 1)),
        "image_indexes": (0, 1),
        "budget_seconds": 60.5,
    }
    return FamilyRequested.model_validate({**values, **changes})


def a_task(number: int = 1, provider: str = "callback", **changes: Any) -> ProviderTask:
    request = changes.pop("request", None) or a_request(a_job_id(number))
    (task,) = intended(request, provider, (0, 1), 2, NOW + timedelta(seconds=number))
    return replace(task, **changes)


def collected(task: ProviderTask) -> ProviderTask:
    request = task.request
    key = f"{image_prefix(request.job_id, 1, 'square', 1, 0)}/render"
    size = Dimensions(width=8, height=6)
    result = RendersGenerated(
        job_id=request.job_id,
        revision=1,
        family="square",
        attempt=1,
        errors=(ImageError(index=1, code=FailureCode.CONTENT_FILTERED, message="withheld"),),
        spec_key=request.spec_key,
        images=(RenderedImage(index=0, key=key, size=size, seed=7, digest="d", provider="callback", seconds=3.5),),
        model="midjourney",
        served_by="mj-7",
        fingerprint="callback/mj-7",
        model_seconds=3.5,
    )
    return task.collected(result, NOW)


def every_state() -> list[ProviderTask]:
    new = a_task()
    claimed = new.claimed_to_submit("w", 90.5, NOW, RULES)
    taken = claimed.accepted(TaskNews(TaskPhase.PROCESSING, "t-1", 0.25, answer_digest="d"), NOW, RULES)
    error = ImageError(index=1, code=FailureCode.RENDER_UNREADABLE, message="no picture")
    made = (taken.heard(TaskNews(TaskPhase.SUCCEEDED), NOW, RULES) or taken).with_errors([error], NOW)
    failed = taken.failed(FailureCode.DEADLINE_EXCEEDED, "too late", NOW)
    return [new, claimed, claimed.doubted(NOW, RULES), taken, made, collected(made), failed, failed.given_up(NOW)]


@pytest.mark.parametrize("number", range(8))
async def test_a_task_comes_back_as_it_was_kept(stores, number):
    task = every_state()[number]

    assert await stores.tasks.add(task)

    assert await stores.tasks.get(task.reference) == task


async def test_a_task_is_kept_once(stores):
    assert await stores.tasks.add(a_task())

    assert not await stores.tasks.add(a_task(provider="callback", tries=3))
    assert (await stores.tasks.get(a_task().reference)).tries == 1
    assert await stores.tasks.get("0" * 32) is None


async def test_of_two_that_change_a_task_at_once_one_wins(stores):
    task = a_task()
    await stores.tasks.add(task)

    outcomes = await asyncio.gather(
        *(stores.tasks.replace(task.claimed(str(n), 9, NOW), if_version=task.version) for n in range(5))
    )

    assert sorted(outcomes) == [False] * 4 + [True]


async def test_a_providers_id_belongs_to_one_task(stores):
    first, second = a_task(1, provider_task_id="t-1"), a_task(2)
    for task in (first, second, a_task(3), a_task(4, provider="other", provider_task_id="t-1")):
        assert await stores.tasks.add(task)

    with pytest.raises(TaskIdTaken, match=second.reference):
        await stores.tasks.replace(replace(second, provider_task_id="t-1", version=2), if_version=1)
    assert (await stores.tasks.get(second.reference)).provider_task_id is None


async def test_what_is_due_comes_longest_overdue_first_and_of_its_own_provider(stores):
    dues = {number: NOW + timedelta(seconds=offset) for number, offset in ((1, 3), (2, 1), (3, 2), (4, 9))}
    for number, at in dues.items():
        await stores.tasks.add(a_task(number, next_check_at=at))
    await stores.tasks.add(a_task(5, next_check_at=None, state=TaskState.COLLECTED))
    await stores.tasks.add(a_task(6, provider="other", next_check_at=NOW))

    async def due(seconds, limit=9):
        found = await stores.tasks.due("callback", NOW + timedelta(seconds=seconds), limit=limit)
        return [int(task.request.job_id[-12:], 16) for task in found]

    assert await due(3) == [2, 3, 1]
    assert await due(3, limit=2) == [2, 3]
    assert await due(0) == []


async def test_a_jobs_tasks_are_found_by_revision_and_family(stores):
    requests = [a_request(), a_request(attempt=2), a_request(family="landscape"), a_request(revision=2)]
    tasks = [a_task(request=request) for request in [*requests, a_request(a_job_id(9))]]
    for task in tasks:
        await stores.tasks.add(task)

    async def found(*words):
        return {task.reference for task in await stores.tasks.of_job(*words)}

    assert await found(JOB_ID, 1, "square") == {task.reference for task in tasks[:2]}
    assert await found(JOB_ID, 1) == {task.reference for task in tasks[:3]}
    assert await found(JOB_ID, 2, "landscape") == set()


async def test_one_document_that_cannot_be_read_keeps_no_other_waiting(stores):
    good, bad = a_task(1), a_task(2)
    await stores.tasks.add(good)
    await stores.tasks.add(bad)
    document = await stores.documents.get(PROVIDER_TASKS, bad.reference)
    assert await stores.documents.replace(
        PROVIDER_TASKS, {**document, "state": "of a later version", "version": 2}, if_version=1
    )

    with capture_logs() as logs:
        found = await stores.tasks.due("callback", NOW + timedelta(hours=1), limit=9)

    assert [task.reference for task in found] == [good.reference]
    assert [line["event"] for line in logs] == ["provider_task_unreadable"]
    with pytest.raises(TaskUnreadable, match=bad.reference):
        await stores.tasks.get(bad.reference)


async def test_the_books_of_a_call_come_back_as_they_were_kept_and_one_writer_wins(stores):
    new: PaidCall = no_call_yet(a_request(), 0, "openai", NOW)
    assert await stores.calls.add(new)
    assert not await stores.calls.add(new)
    assert await stores.calls.get("0" * 32) is None

    begun = new.begun("w", 90, NOW)
    outcomes = await asyncio.gather(*(stores.calls.replace(begun, if_version=1) for _ in range(3)))

    assert sorted(outcomes) == [False, False, True]
    assert await stores.calls.get(new.id) == begun
