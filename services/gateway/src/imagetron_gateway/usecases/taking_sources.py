"""Take in a picture to make images from: decoded out of harm's way, stored without loss, once for each Idempotency-Key."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.pictures.signatures import format_of
from imagetron_chassis.principals import Principal
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.sources import Source, new_source, objection_to_size, packed
from imagetron_gateway.ports import KeyTaken, PictureRefused, ReadPicture, Sources
from imagetron_gateway.usecases.committing import KeyReused

KEPT: Final = timedelta(days=7)
# At 48 MiB each the most that one owner can fill is some 5 GiB.
SOURCES_OF_AN_OWNER: Final = 100
_AT_ONCE: Final = 200


class PictureUnsupported(Exception):
    """The upload is in no format that is taken; nothing was stored."""


class TooManySources(Exception):
    """The owner has as many sources as one may have; nothing was stored."""


class SourceMissing(Exception):
    """No such source for this caller."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The source, and whether it is that of an earlier request with the same key."""

    source: Source
    is_replay: bool = False


async def take_source(
    upload: bytes,
    principal: Principal,
    *,
    idempotency: Idempotency | None,
    sources: Sources,
    read_picture: ReadPicture,
    clock: Clock,
    new_id: NewId,
) -> Taken:
    """Store the upload's pixels. Raises PictureUnsupported, PictureRefused, TooManySources, KeyReused; then nothing is stored."""
    if idempotency and (earlier := await _earlier(idempotency, principal, sources)):
        return earlier
    if format_of(upload) is None:
        raise PictureUnsupported("the body begins as neither PNG, JPEG nor WebP; other formats are not taken")
    if await sources.count(principal) >= SOURCES_OF_AN_OWNER:
        raise TooManySources(
            f"you have {SOURCES_OF_AN_OWNER} sources, which is all one may have; remove some, or wait until they expire"
        )
    pixels = await read_picture(upload)
    if objection := objection_to_size(pixels.size):
        raise PictureRefused(objection)
    source = new_source(
        pixels, new_id=new_id(), owner=principal.owner, now=clock.now(), kept=KEPT, idempotency=idempotency
    )
    try:
        await sources.add(source, packed(pixels), principal)
    except KeyTaken:
        # Of two requests with one key the slower one finds it taken.
        earlier = await _earlier(idempotency, principal, sources) if idempotency else None
        if earlier is None:
            raise
        return earlier
    return Taken(source)


async def source_of(source_id: str, principal: Principal, *, sources: Sources) -> Source:
    """Raises SourceMissing."""
    source = await sources.get(source_id, principal)
    if source is None:
        raise SourceMissing("no such source; it may have expired")
    return source


async def remove_source(source_id: str, principal: Principal, *, sources: Sources) -> None:
    """Document and object are gone when this returns. Raises SourceMissing."""
    if not await sources.remove(source_id, principal):
        raise SourceMissing("no such source; it may have expired")


async def forget_expired(*, sources: Sources) -> int:
    """Remove sources that nobody can use any more; say how many."""
    removed = gone = await sources.forget_expired(limit=_AT_ONCE)
    while gone == _AT_ONCE:
        gone = await sources.forget_expired(limit=_AT_ONCE)
        removed += gone
    return removed


async def _earlier(idempotency: Idempotency, principal: Principal, sources: Sources) -> Taken | None:
    source = await sources.by_key(idempotency.key, principal)
    if source is None:
        return None
    if source.idempotency != idempotency:
        raise KeyReused("this Idempotency-Key was used for another request; use a new one for each")
    return Taken(source, is_replay=True)
