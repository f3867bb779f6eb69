"""Uploaded pictures, over each pair of stores that runs here without a server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from imagetron_chassis.blobs import Blobs, BlobsUnavailable
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import Documents
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_chassis.principals import Principal, system
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.sources import SOURCES, DocumentSources
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.sources import Source, source_key
from imagetron_gateway.ports import KeyTaken
from support.builders import NOW

ANNA, BERT = Principal(owner="anna"), Principal(owner="bert")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Stores:
    """Documents and objects, and the sources over both."""

    documents: Documents
    work: Blobs
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    @property
    def sources(self) -> DocumentSources:
        return DocumentSources(self.documents, self.work, self.clock)

    async def has_picture(self, source: Source) -> bool:
        return await self.work.head(source.key) is not None


@pytest.fixture(params=["memory", "disk"])
async def stores(request, tmp_path: Path) -> AsyncIterator[Stores]:
    on_disk = request.param == "disk"
    stores = Stores(
        SqliteDocuments(tmp_path / "documents.sqlite3") if on_disk else InMemoryDocuments(),
        FilesystemBlobs(tmp_path / "work") if on_disk else InMemoryBlobs(),
    )
    await stores.sources.prepare()
    yield stores
    await stores.documents.close()
    await stores.work.close()


def a_source(number: int = 1, *, owner: str = "anna", key: str | None = None, kept: timedelta = DAY) -> Source:
    source_id = f"src_{number:032x}"
    return Source(
        id=source_id,
        owner=owner,
        size=Dimensions(width=70, height=65),
        digest="0" * 64,
        key=source_key(source_id),
        created_at=NOW,
        expires_at=NOW + kept,
        idempotency=Idempotency(key=key, fingerprint="these bytes") if key else None,
    )


@pytest.mark.parametrize("key", [None, "order-17"])
async def test_what_was_added_is_read_back_as_it_was(stores: Stores, key):
    source = a_source(key=key)
    await stores.sources.add(source, b"a picture", ANNA)

    assert await stores.sources.get(source.id, ANNA) == source
    assert await stores.work.get(source.key) == b"a picture"
    assert await stores.sources.by_key("order-17", ANNA) == (source if key else None)


async def test_only_its_owner_and_the_service_itself_see_a_source(stores: Stores):
    source = a_source(key="order-17")
    await stores.sources.add(source, b"", ANNA)

    assert await stores.sources.get(source.id, system("test")) == source
    assert await stores.sources.get(source.id, BERT) is None
    assert await stores.sources.by_key("order-17", BERT) is None
    assert await stores.sources.count(BERT) == 0
    assert not await stores.sources.remove(source.id, BERT)
    assert await stores.has_picture(source)


async def test_a_source_cannot_be_added_for_another(stores: Stores):
    with pytest.raises(PermissionError):
        await stores.sources.add(a_source(), b"", BERT)

    assert not await stores.has_picture(a_source())


async def test_a_key_is_used_once_by_each_owner_and_a_refused_picture_is_not_kept(stores: Stores):
    await stores.sources.add(a_source(1, key="order-17"), b"", ANNA)
    await stores.sources.add(a_source(2, key="order-17", owner="bert"), b"", BERT)

    with pytest.raises(KeyTaken):
        await stores.sources.add(a_source(3, key="order-17"), b"", ANNA)

    assert not await stores.has_picture(a_source(3))
    assert await stores.has_picture(a_source(1))
    assert await stores.documents.count(SOURCES) == 2


async def test_without_a_key_none_is_used(stores: Stores):
    for number in (1, 2):
        await stores.sources.add(a_source(number), b"", ANNA)

    assert await stores.sources.count(ANNA) == 2


async def test_of_many_at_once_with_one_key_one_is_added(stores: Stores):
    sources = [a_source(number, key="order-17") for number in range(1, 9)]

    results = await asyncio.gather(
        *(stores.sources.add(source, b"", ANNA) for source in sources), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["KeyTaken"] * 7 + ["NoneType"]
    assert sum([await stores.has_picture(source) for source in sources]) == 1


async def test_a_removed_source_is_gone_with_its_picture_and_its_key_is_free(stores: Stores):
    source = a_source(key="order-17")
    await stores.sources.add(source, b"", ANNA)

    assert await stores.sources.remove(source.id, ANNA)

    assert await stores.sources.get(source.id, ANNA) is None
    assert not await stores.has_picture(source)
    assert not await stores.sources.remove(source.id, ANNA)
    await stores.sources.add(a_source(2, key="order-17"), b"", ANNA)


@pytest.mark.parametrize("source_id", ["", "x", "\0", "\ud800", "src_" + "0" * 31, "../../x"])
async def test_what_is_no_id_names_no_source(stores: Stores, source_id):
    assert await stores.sources.get(source_id, ANNA) is None
    assert not await stores.sources.remove(source_id, ANNA)


class UnaskedDocuments(InMemoryDocuments):
    """A store that must not see what callers send as an id."""

    async def get(self, *_, **__):
        raise AssertionError("the store was asked")


async def test_what_is_no_id_does_not_even_reach_the_store():
    stores = Stores(UnaskedDocuments(), InMemoryBlobs())

    assert await stores.sources.get("src_$ne", ANNA) is None


async def test_what_has_expired_does_not_exist_any_more(stores: Stores):
    source = a_source(key="order-17")
    await stores.sources.add(source, b"", ANNA)
    stores.clock.advance(DAY.total_seconds() - 0.001)
    assert await stores.sources.get(source.id, ANNA) == source
    assert await stores.sources.count(ANNA) == 1

    stores.clock.advance(0.001)

    assert await stores.sources.get(source.id, ANNA) is None
    assert await stores.sources.count(ANNA) == 0
    assert not await stores.sources.remove(source.id, ANNA)
    assert await stores.sources.by_key("order-17", ANNA) is None
    await stores.sources.add(a_source(2, key="order-17", kept=2 * DAY), b"", ANNA)


async def test_what_has_expired_is_forgotten_first_what_expired_first(stores: Stores):
    for number in (3, 1, 2, 9):
        await stores.sources.add(a_source(number, kept=number * DAY), b"", ANNA)
    stores.clock.advance(3 * DAY.total_seconds())

    assert await stores.sources.forget_expired(limit=2) == 2
    assert [await stores.has_picture(a_source(number)) for number in (1, 2, 3, 9)] == [False, False, True, True]

    assert await stores.sources.forget_expired(limit=2) == 1
    assert await stores.documents.count(SOURCES) == 1
    assert await stores.has_picture(a_source(9))


class StubbornBlobs(InMemoryBlobs):
    """Objects cannot be removed now."""

    async def delete(self, key: str) -> None:
        raise BlobsUnavailable("away")


async def test_what_cannot_be_removed_is_found_again():
    stores = Stores(InMemoryDocuments(), StubbornBlobs())
    source = a_source()
    await stores.sources.add(source, b"", ANNA)

    with pytest.raises(BlobsUnavailable):
        await stores.sources.remove(source.id, ANNA)

    assert await stores.sources.get(source.id, ANNA) == source
