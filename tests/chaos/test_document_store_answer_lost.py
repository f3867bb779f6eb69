"""A write that happened although its caller saw an error: whoever tries again finds it done, and nothing happens twice."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imagetron_chassis.documents import Collection, Documents, DocumentsUnavailable, Duplicate
from imagetron_chassis.documents.mongo import MongoDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.outbox import LEFT_BEHIND_AFTER
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import cancelled_key
from imagetron_contracts.stages import FamilyMessage, Lane
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import Idempotency, Job
from imagetron_gateway.ports import NameTaken
from imagetron_gateway.usecases import cancel_job, regenerate_job, retry_job
from support.builders import (
    a_family_started,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)
from support.eventually import eventually
from support.mongo import running_nx
from support.ports import free_port
from support.toxics import Direction, LimitData, toxic_proxy
from unit.gateway.desks import ANNA, Office

LATER_SECONDS = LEFT_BEHIND_AFTER.total_seconds() + 1
REQUEST = Idempotency(key="key", fingerprint="this request")


class ForgetfulDocuments:
    """A real store whose next write happens, and its answer is lost on the way."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self.forgets_next = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def insert(self, collection: Collection, document: Mapping[str, Any]) -> None:
        await self._store.insert(collection, document)
        self._lose_the_answer()

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        was_replaced = await self._store.replace(collection, document, if_version=if_version)
        self._lose_the_answer()
        return was_replaced

    def _lose_the_answer(self) -> None:
        if self.forgets_next:
            self.forgets_next = False
            raise DocumentsUnavailable("the connection ended before the answer came")


@dataclass(frozen=True)
class Occasion:
    """What had happened before, the write whose answer is lost, and what a caller hears who asks for it again."""

    before: Callable[[Office], Awaitable[object]]
    write: Callable[[Office], Awaitable[object]]
    refusal: type[Exception] | None = None


async def nothing(_: Office) -> None:
    return


async def submit(office: Office, key: str | None = None) -> None:
    await office.submit(families=("square",), key=key)


async def the_job(office: Office) -> Job:
    job = await office.jobs.by_name("a-beach", ANNA)
    assert job is not None
    return job


async def submitted(office: Office) -> None:
    await submit(office)


async def admitted(office: Office) -> None:
    await submit(office)
    await office.admit()


async def failed(office: Office) -> None:
    await admitted(office)
    await office.take_in(stage_failed(await the_job(office), code=FailureCode.OUT_OF_MEMORY))


async def overdue(office: Office) -> None:
    await admitted(office)
    job = await the_job(office)
    assert job.next_check_at is not None
    office.clock.advance((job.next_check_at - office.clock.now()).total_seconds() + 1)


def told(message: Callable[[Job], FamilyMessage]) -> Callable[[Office], Awaitable[object]]:
    async def take_in(office: Office) -> None:
        await office.take_in(message(await the_job(office)))

    return take_in


async def cancel(office: Office) -> None:
    job = await the_job(office)
    await cancel_job(
        job.id, ANNA, jobs=office.jobs, specs=office.specs, clock=office.clock, outbox=office.relay, url_of=url_of
    )


async def regenerate(office: Office, idempotency: Idempotency | None = None) -> None:
    await regenerate_job(
        (await the_job(office)).id, ANNA, seed=11, jobs=office.jobs, clock=office.clock, idempotency=idempotency
    )


async def retry(office: Office, idempotency: Idempotency | None = None) -> None:
    await retry_job((await the_job(office)).id, (), ANNA, jobs=office.jobs, clock=office.clock, idempotency=idempotency)


OCCASIONS = {
    "a submission": Occasion(nothing, submit, NameTaken),
    "a submission with a key": Occasion(nothing, lambda office: submit(office, "key")),
    "an admission": Occasion(submitted, lambda office: office.admit(Lane.INTERACTIVE)),
    "a started family": Occasion(admitted, told(a_family_started)),
    "generated renders": Occasion(admitted, told(renders_generated)),
    "rendered derivatives": Occasion(admitted, told(derivatives_rendered)),
    "a published family": Occasion(admitted, told(family_published)),
    "a failed stage": Occasion(admitted, told(stage_failed)),
    "a check of overdue work": Occasion(overdue, lambda office: office.check()),
    "a cancellation": Occasion(admitted, cancel, NotAllowed),
    "a regeneration": Occasion(failed, regenerate, NotAllowed),
    "a regeneration with a key": Occasion(failed, lambda office: regenerate(office, REQUEST)),
    "a retry": Occasion(failed, retry, NotAllowed),
    "a retry with a key": Occasion(failed, lambda office: retry(office, REQUEST)),
}


async def outcome_of(occasion: Occasion, file: Path, *, is_answer_lost: bool) -> tuple[dict[str, Any], list[str], bool]:
    """The job, what was said to the workers and the world, and whether the marker of a cancelled job is there."""
    documents = ForgetfulDocuments(SqliteDocuments(file))
    jobs = DocumentJobs(documents)
    await jobs.prepare()
    office = Office(jobs)
    await occasion.before(office)
    if is_answer_lost:
        documents.forgets_next = True
        with pytest.raises(DocumentsUnavailable):
            await occasion.write(office)
        with pytest.raises(occasion.refusal) if occasion.refusal else nullcontext():
            await occasion.write(office)
    else:
        await occasion.write(office)
    await office.check()
    office.clock.advance(LATER_SECONDS)
    await office.relay.sweep()
    job = await the_job(office)
    marker = await office.work.head(cancelled_key(job.id, 1))
    await documents.close()
    return job.model_dump(), office.sent(), marker is not None


@pytest.mark.parametrize("occasion", OCCASIONS.values(), ids=OCCASIONS.keys())
async def test_a_write_that_happened_though_its_answer_was_lost_has_the_same_effect_as_one_that_was_answered(
    occasion: Occasion, tmp_path: Path
):
    answered, sent, marker = await outcome_of(occasion, tmp_path / "answered.sqlite", is_answer_lost=False)
    lost, sent_after_loss, marker_after_loss = await outcome_of(occasion, tmp_path / "lost.sqlite", is_answer_lost=True)

    assert lost == answered
    assert sorted(sent_after_loss) == sorted(sent)
    assert marker_after_loss == marker


async def test_a_store_that_answers_no_more_after_writing_refuses_the_repetition_by_its_version(tmp_path: Path):
    jobs, document = Collection("jobs"), {"_id": "job", "version": 1, "status": "queued"}
    changed = document | {"version": 2, "status": "cancelled"}
    with (
        running_nx(tmp_path, free_port()) as server,
        toxic_proxy("127.0.0.1", int(server.url.rpartition(":")[2])) as proxy,
    ):
        documents = MongoDocuments(proxy.redirect(server.url), "imagetron", is_trial=True)
        outside = MongoDocuments(server.url, "imagetron", is_trial=True)
        await documents.prepare(jobs)
        await documents.ping()  # a connection is open, so the next command travels at once

        async def answers() -> bool:
            with suppress(DocumentsUnavailable):
                await documents.ping()
                return True
            return False

        with proxy.toxic(LimitData(0), Direction.DOWNSTREAM), pytest.raises(DocumentsUnavailable):
            await documents.insert(jobs, document)
        assert await outside.get(jobs, "job") == document
        await eventually(answers, within_seconds=15)
        with pytest.raises(Duplicate):
            await documents.insert(jobs, document)

        with proxy.toxic(LimitData(0), Direction.DOWNSTREAM), pytest.raises(DocumentsUnavailable):
            await documents.replace(jobs, changed, if_version=1)
        await eventually(answers, within_seconds=15)
        assert not await documents.replace(jobs, changed, if_version=1)
        assert await outside.get(jobs, "job") == changed
        await documents.close()
        await outside.close()
