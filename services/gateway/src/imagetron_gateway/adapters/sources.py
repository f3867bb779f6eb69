"""Uploaded pictures: pixels in the work store, what is known of them in the document store."""

from datetime import timedelta
from typing import Final, Protocol

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.clock import Clock
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
from imagetron_chassis.pictures.errors import PictureTooLarge, PictureUnreadable, ReaderDied, ReaderTooSlow
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_chassis.principals import Principal
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.jobs import EPOCH, owned_by
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.sources import (
    CONTENT_TYPE,
    MAX_PIXELS,
    MAX_SIDE,
    MAX_UPLOAD_BYTES,
    Pixels,
    Source,
    is_source_id,
)
from imagetron_gateway.ports import KeyTaken, PictureRefused

SOURCES: Final = Collection(
    "sources",
    unique=(UniqueKey("idempotency", ("owner", "idempotency.key")),),
    indexes=(("owner", "expiresAt"), ("expiresAt",)),
)
_LIMITS: Final = PictureLimits(max_bytes=MAX_UPLOAD_BYTES, max_pixels=MAX_PIXELS, max_side=MAX_SIDE)
# Stores keep milliseconds, and ranges begin with their lower end: this makes "later than now" of "from now on".
_NEXT_MOMENT: Final = timedelta(milliseconds=1)


class DocumentSources:
    """Implements the Sources port over any Documents and Blobs adapters."""

    def __init__(self, documents: Documents, work: Blobs, clock: Clock) -> None:
        self._documents = documents
        self._work = work
        self._clock = clock

    async def prepare(self) -> None:
        await self._documents.prepare(SOURCES)

    async def add(self, source: Source, picture: bytes, principal: Principal) -> None:
        if source.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot upload for {source.owner}")
        # First: where a document is, there is a picture.
        await self._work.put_if_absent(source.key, picture, content_type=CONTENT_TYPE)
        try:
            await self._documents.insert(SOURCES, _document(source))
        except Duplicate as error:
            await self._work.delete(source.key)
            raise KeyTaken("this Idempotency-Key was used before") from error

    async def get(self, source_id: str, principal: Principal) -> Source | None:
        if not is_source_id(source_id):
            return None
        document = await self._documents.get(SOURCES, source_id, *owned_by(principal), self._is_alive())
        return _source(document) if document else None

    async def by_key(self, key: str, principal: Principal) -> Source | None:
        mine = (Equals("owner", principal.owner), Equals("idempotency.key", key))
        found = await self._documents.find(SOURCES, *mine, limit=1)
        if not found:
            return None
        source = _source(found[0])
        if source.expires_at > self._clock.now():
            return source
        # Its key is free again, and must not wait for the next round of tidying up.
        await self._remove(source.id, source.key)
        return None

    async def count(self, principal: Principal) -> int:
        return await self._documents.count(SOURCES, Equals("owner", principal.owner), self._is_alive())

    async def remove(self, source_id: str, principal: Principal) -> bool:
        source = await self.get(source_id, principal)
        return source is not None and await self._remove(source.id, source.key)

    async def forget_expired(self, *, limit: int) -> int:
        expired = Range("expiresAt", at_least=EPOCH, below=self._clock.now() + _NEXT_MOMENT)
        found = await self._documents.find(SOURCES, expired, sort=Sort("expiresAt"), limit=limit)
        for document in found:
            await self._remove(document["_id"], document["key"])
        return len(found)

    async def _remove(self, source_id: str, key: str) -> bool:
        # The object first: a document that is left behind is found again, an object would not be.
        await self._work.delete(key)
        return await self._documents.delete(SOURCES, source_id)

    def _is_alive(self) -> Filter:
        return Range("expiresAt", at_least=self._clock.now() + _NEXT_MOMENT)


class Reader(Protocol):
    """The part of the chassis' reader that is needed here."""

    async def read(self, data: bytes, *, limits: PictureLimits) -> Picture: ...


class PicturesReadApart:
    """Implements the ReadPicture port with a reader that keeps foreign bytes in processes of their own."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def __call__(self, upload: bytes, /) -> Pixels:
        try:
            picture = await self._reader.read(upload, limits=_LIMITS)
        except (PictureUnreadable, PictureTooLarge) as error:
            raise PictureRefused(str(error)) from error
        except (ReaderDied, ReaderTooSlow) as error:
            # The same bytes would do the same again: to be told to come again would not help.
            raise PictureRefused(
                "the picture takes more time or memory to read than one may; make it smaller, or save it anew"
            ) from error
        return Pixels(picture.pixels, picture.size, picture.digest)


def _document(source: Source) -> Document:
    # Without a key there is none to be unique: the path is missing, not empty.
    idempotency = {"idempotency": source.idempotency.model_dump()} if source.idempotency else {}
    return {
        "_id": source.id,
        "version": 1,
        "owner": source.owner,
        "width": source.size.width,
        "height": source.size.height,
        "digest": source.digest,
        "key": source.key,
        "createdAt": source.created_at,
        "expiresAt": source.expires_at,
        **idempotency,
    }


def _source(document: Document) -> Source:
    idempotency = document.get("idempotency")
    return Source(
        id=document["_id"],
        owner=document["owner"],
        size=Dimensions(width=document["width"], height=document["height"]),
        digest=document["digest"],
        key=document["key"],
        created_at=document["createdAt"],
        expires_at=document["expiresAt"],
        idempotency=Idempotency.model_validate(idempotency) if idempotency else None,
    )
