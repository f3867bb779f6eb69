"""Taking in uploads: read once, stored whole or not at all, once for each key, bounded for each owner, gone when expired."""

import asyncio
import hashlib

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.principals import Principal
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.sources import SOURCES, DocumentSources
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.sources import Pixels, Source, packed
from imagetron_gateway.ports import KeyTaken, PictureRefused
from imagetron_gateway.usecases import taking_sources
from imagetron_gateway.usecases.committing import KeyReused
from imagetron_gateway.usecases.taking_sources import (
    KEPT,
    SOURCES_OF_AN_OWNER,
    PictureUnsupported,
    SourceMissing,
    Taken,
    TooManySources,
    forget_expired,
    remove_source,
    source_of,
    take_source,
)
from support.builders import NOW, a_job_id

ANNA = Principal(owner="anna", scopes=frozenset({"*"}))
BERT = Principal(owner="bert", scopes=frozenset({"*"}))
UPLOAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on"


def a_key(key: str = "order-17", fingerprint: str = "these bytes") -> Idempotency:
    return Idempotency(key=key, fingerprint=fingerprint)


class Reader:
    """Reads every upload as the same picture."""

    def __init__(self, width: int = 64, height: int = 64) -> None:
        data = bytes(width * height * 3)
        self.pixels = Pixels(data, Dimensions(width=width, height=height), hashlib.sha256(data).hexdigest())
        self.reads = 0

    async def __call__(self, upload: bytes) -> Pixels:
        self.reads += 1
        await asyncio.sleep(0)
        return self.pixels


class Desk:
    """The use cases over in-memory stores."""

    def __init__(self, reader: Reader | None = None, sources: DocumentSources | None = None) -> None:
        self.documents, self.work, self.clock = InMemoryDocuments(), InMemoryBlobs(), FakeClock(NOW)
        self.reader = reader or Reader()
        self.sources = sources or DocumentSources(self.documents, self.work, self.clock)
        self._ids = 0

    async def take(
        self, upload: bytes = UPLOAD, principal: Principal = ANNA, *, key: Idempotency | None = None
    ) -> Taken:
        return await take_source(
            upload,
            principal,
            idempotency=key,
            sources=self.sources,
            read_picture=self.reader,
            clock=self.clock,
            new_id=self._new_id,
        )

    async def stored(self) -> int:
        return await self.documents.count(SOURCES)

    def objects(self) -> int:
        return len(self.work._objects)

    def _new_id(self) -> str:
        self._ids += 1
        return a_job_id(self._ids)


class ForgetfulSources(DocumentSources):
    """The source that has the key is removed between the refusal and the second look."""

    async def add(self, source: Source, picture: bytes, principal: Principal) -> None:
        raise KeyTaken("this Idempotency-Key was used before")


class LostDocuments(InMemoryDocuments):
    """A store that goes away before a document is inserted."""

    async def insert(self, *_, **__):
        raise DocumentsUnavailable("away")


async def test_an_upload_becomes_an_object_and_a_document():
    desk = Desk()

    taken = await desk.take()

    assert not taken.is_replay
    source = taken.source
    assert await desk.work.get(source.key) == packed(desk.reader.pixels)
    assert await source_of(source.id, ANNA, sources=desk.sources) == source
    assert (source.owner, source.size, source.digest) == ("anna", desk.reader.pixels.size, desk.reader.pixels.digest)
    assert source.expires_at == NOW + KEPT


async def test_what_is_no_picture_is_not_even_read():
    desk = Desk()

    with pytest.raises(PictureUnsupported, match="PNG, JPEG nor WebP"):
        await desk.take(b"GIF89a and so on")

    assert desk.reader.reads == desk.objects() == 0


@pytest.mark.parametrize(("width", "height"), [(63, 64), (4097, 4096)])
async def test_a_picture_of_a_wrong_size_is_not_stored(width, height):
    reader = Reader()
    reader.pixels = Pixels(b"", Dimensions(width=width, height=height), "digest")
    desk = Desk(reader)

    with pytest.raises(PictureRefused, match=f"{width}x{height}"):
        await desk.take()

    assert await desk.stored() == desk.objects() == 0


async def test_the_same_request_again_is_answered_without_reading_the_picture_again():
    desk = Desk()
    first = await desk.take(key=a_key())

    again = await desk.take(key=a_key())

    assert again == Taken(first.source, is_replay=True)
    assert desk.reader.reads == 1
    assert await desk.stored() == desk.objects() == 1


async def test_another_request_under_the_same_key_is_refused():
    desk = Desk()
    await desk.take(key=a_key())

    with pytest.raises(KeyReused):
        await desk.take(key=a_key(fingerprint="other bytes"))
    assert await desk.stored() == desk.objects() == 1


async def test_keys_belong_to_their_owners():
    desk = Desk()
    first = await desk.take(key=a_key())
    second = await desk.take(principal=BERT, key=a_key(fingerprint="other bytes"))

    assert first.source.id != second.source.id


async def test_of_many_at_once_under_one_key_one_is_stored_and_all_are_told_of_it():
    desk = Desk()

    taken = await asyncio.gather(*(desk.take(key=a_key()) for _ in range(10)))

    assert len({each.source.id for each in taken}) == 1
    assert sum(not each.is_replay for each in taken) == 1
    assert await desk.stored() == desk.objects() == 1


async def test_a_key_whose_source_goes_in_the_same_moment_is_told_as_taken():
    documents, work, clock = InMemoryDocuments(), InMemoryBlobs(), FakeClock(NOW)
    desk = Desk(sources=ForgetfulSources(documents, work, clock))

    with pytest.raises(KeyTaken):
        await desk.take(key=a_key())
    with pytest.raises(KeyTaken):
        await desk.take()


async def test_a_key_is_free_again_when_its_source_has_expired():
    desk = Desk()
    first = await desk.take(key=a_key())
    desk.clock.advance(KEPT.total_seconds())

    second = await desk.take(key=a_key(fingerprint="other bytes"))

    assert second.source.id != first.source.id
    assert not second.is_replay
    assert await desk.stored() == desk.objects() == 1


async def test_an_owner_has_only_so_many_sources_and_others_are_not_kept_from_theirs():
    desk = Desk()
    first = await desk.take(key=a_key())
    for _ in range(SOURCES_OF_AN_OWNER - 1):
        await desk.take()

    with pytest.raises(TooManySources, match=str(SOURCES_OF_AN_OWNER)):
        await desk.take()
    assert (await desk.take(key=a_key())).source == first.source
    await desk.take(principal=BERT)

    await remove_source(first.source.id, ANNA, sources=desk.sources)
    await desk.take()


async def test_a_source_is_its_owners_alone():
    desk = Desk()
    source = (await desk.take()).source

    with pytest.raises(SourceMissing):
        await source_of(source.id, BERT, sources=desk.sources)
    with pytest.raises(SourceMissing):
        await remove_source(source.id, BERT, sources=desk.sources)
    assert desk.objects() == 1


async def test_a_removed_source_is_gone_with_its_picture():
    desk = Desk()
    source = (await desk.take()).source

    await remove_source(source.id, ANNA, sources=desk.sources)

    assert await desk.stored() == desk.objects() == 0
    with pytest.raises(SourceMissing):
        await remove_source(source.id, ANNA, sources=desk.sources)


async def test_an_expired_source_cannot_be_used_and_is_forgotten():
    desk = Desk()
    source = (await desk.take()).source
    desk.clock.advance(KEPT.total_seconds() - 1)
    assert await source_of(source.id, ANNA, sources=desk.sources) == source
    assert await forget_expired(sources=desk.sources) == 0

    desk.clock.advance(1)

    with pytest.raises(SourceMissing):
        await source_of(source.id, ANNA, sources=desk.sources)
    assert await forget_expired(sources=desk.sources) == 1
    assert await desk.stored() == desk.objects() == 0


async def test_however_many_have_expired_all_of_them_go():
    desk = Desk()
    many = 2 * taking_sources._AT_ONCE + 1
    for number in range(many):
        await desk.take(principal=Principal(owner=f"owner-{number}"))
    desk.clock.advance(KEPT.total_seconds())

    assert await forget_expired(sources=desk.sources) == many
    assert await desk.stored() == desk.objects() == 0


async def test_nobody_uploads_for_another():
    desk = Desk()
    source = (await desk.take()).source

    with pytest.raises(PermissionError):
        await desk.sources.add(source, b"", BERT)


async def test_when_the_store_is_away_no_document_points_to_nothing():
    documents, work, clock = LostDocuments(), InMemoryBlobs(), FakeClock(NOW)
    desk = Desk(sources=DocumentSources(documents, work, clock))

    with pytest.raises(DocumentsUnavailable):
        await desk.take(key=a_key())

    assert await documents.count(SOURCES) == 0
