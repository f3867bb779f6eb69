"""The inbox of callbacks, over each pair of stores that runs here without a server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from imagetron_chassis.blobs import Blobs, BlobsUnavailable
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_contracts.spec import callback_key
from imagetron_gateway.adapters.inbox import INBOX, DocumentInbox
from imagetron_gateway.domain.callbacks import InboxItem
from imagetron_gateway.domain.job import OutboxEntry
from support.builders import NOW, a_job_id

REFERENCE = "0123456789abcdef" * 2
LATER = NOW + timedelta(hours=1)


@dataclass(frozen=True)
class Stores:
    """Documents and objects, and the inbox over both; `reopened` is what a restarted process finds."""

    documents: Documents
    work: Blobs

    @property
    def inbox(self) -> DocumentInbox:
        return DocumentInbox(self.documents, self.work)

    async def body(self, number: int = 1, provider: str = "plain") -> bytes | None:
        key = callback_key(provider, a_job_id(number))
        return await self.work.get(key) if await self.work.head(key) else None


@pytest.fixture(params=["memory", "disk"])
async def stores(request, tmp_path: Path) -> AsyncIterator[Stores]:
    stores = Stores(InMemoryDocuments(), InMemoryBlobs()) if request.param == "memory" else on_disk(tmp_path)
    await stores.inbox.prepare()
    yield stores
    await stores.documents.close()
    await stores.work.close()


def on_disk(folder: Path) -> Stores:
    return Stores(SqliteDocuments(folder / "documents.sqlite3"), FilesystemBlobs(folder / "work"))


def an_item(number: int = 1, *, at: datetime = NOW, event: str | None = None, provider: str = "plain") -> InboxItem:
    identifier = a_job_id(number)
    return InboxItem(
        id=identifier,
        provider=provider,
        event=event or f"event {number}",
        task_reference=REFERENCE,
        is_signed=True,
        received_at=at,
        outbox=(OutboxEntry(id=identifier, exchange="imagetron.stages", routing_key="a.key", body='{"a": "ä"}'),),
    )


async def test_what_was_added_is_there_with_its_body_and_its_message(stores: Stores):
    assert not await stores.inbox.has(a_job_id(1))
    assert await stores.inbox.add(an_item(), b"the body")

    assert await stores.inbox.has(a_job_id(1))
    assert await stores.body() == b"the body"
    pending = await stores.inbox.pending(a_job_id(1))
    assert pending is not None
    [message] = pending.messages
    assert (message.message_id, message.exchange, message.routing_key) == (a_job_id(1), "imagetron.stages", "a.key")
    assert message.body.decode() == '{"a": "ä"}'


async def test_one_event_of_a_provider_is_added_once(stores: Stores):
    assert await stores.inbox.add(an_item(), b"the body")

    assert not await stores.inbox.add(an_item(), b"another body")
    assert not await stores.inbox.add(an_item(2, event="event 1"), b"another body")
    assert await stores.inbox.add(an_item(3, event="event 1", provider="other"), b"its own body")

    assert await stores.body() == b"the body"
    assert await stores.documents.count(INBOX) == 2


async def test_of_many_at_once_one_is_added(stores: Stores):
    added = await asyncio.gather(*(stores.inbox.add(an_item(), b"the body") for _ in range(20)))

    assert sorted(added) == [False] * 19 + [True]


async def test_callbacks_are_counted_for_each_task_of_each_provider(stores: Stores):
    for number in (1, 2):
        await stores.inbox.add(an_item(number), b"")
    await stores.inbox.add(an_item(3, provider="other"), b"")

    assert await stores.inbox.count("plain", REFERENCE) == 2
    assert await stores.inbox.count("other", REFERENCE) == 1
    assert await stores.inbox.count("plain", REFERENCE[::-1]) == 0


async def test_what_was_sent_is_pending_no_more_and_sending_it_twice_is_harmless(stores: Stores):
    await stores.inbox.add(an_item(), b"")
    await stores.inbox.mark_sent(a_job_id(1), frozenset({"another message"}))
    assert await stores.inbox.pending(a_job_id(1)) is not None

    for _ in range(2):
        await stores.inbox.mark_sent(a_job_id(1), frozenset({a_job_id(1)}))

    assert await stores.inbox.pending(a_job_id(1)) is None
    assert await stores.inbox.pending_since(LATER, 10) == []
    assert await stores.inbox.has(a_job_id(1))


async def test_nothing_is_pending_where_nothing_is(stores: Stores):
    assert await stores.inbox.pending(a_job_id(1)) is None
    await stores.inbox.mark_sent(a_job_id(1), frozenset({a_job_id(1)}))


async def test_what_was_left_behind_is_found_oldest_first_and_bounded(stores: Stores):
    for number in (3, 1, 2):
        await stores.inbox.add(an_item(number, at=NOW + timedelta(seconds=number)), b"")

    assert await stores.inbox.pending_since(LATER, 2) == [a_job_id(1), a_job_id(2)]
    assert await stores.inbox.pending_since(NOW + timedelta(seconds=2), 9) == [a_job_id(1)]


async def test_only_what_is_old_and_sent_is_forgotten_and_its_body_with_it(stores: Stores):
    for number, at in ((1, NOW), (2, NOW), (3, LATER)):
        await stores.inbox.add(an_item(number, at=at), b"the body")
    for number in (1, 3):
        await stores.inbox.mark_sent(a_job_id(number), frozenset({a_job_id(number)}))

    assert await stores.inbox.forget(LATER, limit=10) == 1

    assert [await stores.inbox.has(a_job_id(number)) for number in (1, 2, 3)] == [False, True, True]
    assert [await stores.body(number) for number in (1, 2, 3)] == [None, b"the body", b"the body"]


async def test_as_many_are_forgotten_at_once_as_are_asked_for(stores: Stores):
    for number in (1, 2, 3):
        await stores.inbox.add(an_item(number), b"")
        await stores.inbox.mark_sent(a_job_id(number), frozenset({a_job_id(number)}))

    assert [await stores.inbox.forget(LATER, limit=2) for _ in range(3)] == [2, 1, 0]


class StubbornBlobs(InMemoryBlobs):
    """Objects cannot be removed now."""

    async def delete(self, key: str) -> None:
        raise BlobsUnavailable("away")


async def test_what_cannot_be_removed_is_found_again():
    stores = Stores(InMemoryDocuments(), StubbornBlobs())
    await stores.inbox.add(an_item(), b"the body")
    await stores.inbox.mark_sent(a_job_id(1), frozenset({a_job_id(1)}))

    with pytest.raises(BlobsUnavailable):
        await stores.inbox.forget(LATER, limit=10)

    assert await stores.inbox.has(a_job_id(1))


async def test_an_unsent_message_outlives_the_process(tmp_path: Path):
    before = on_disk(tmp_path)
    await before.inbox.prepare()
    await before.inbox.add(an_item(), b"the body")
    await before.documents.close()
    await before.work.close()

    after = on_disk(tmp_path)
    await after.inbox.prepare()
    assert await after.inbox.pending_since(LATER, 10) == [a_job_id(1)]
    assert await after.body() == b"the body"
    assert not await after.inbox.add(an_item(), b"the body")
    await after.documents.close()
    await after.work.close()
