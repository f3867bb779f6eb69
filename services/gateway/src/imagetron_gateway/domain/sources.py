"""Uploaded pictures to make images from: what may be uploaded, and how it lies in the work store. No decoding."""

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.job import Idempotency

MAX_UPLOAD_BYTES: Final = 20 * 1024 * 1024
MIN_SIDE: Final = 64
MAX_SIDE: Final = 8192
# 48 MiB of pixels. Models look at one to four million: more would only fill memory, here and at each worker.
MAX_PIXELS: Final = 4096 * 4096
# Binary PPM, as renders lie there: lossless, and read in no time.
CONTENT_TYPE: Final = "image/x-portable-pixmap"
_ID: Final = re.compile(r"src_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Pixels:
    """A decoded picture: rows of RGB bytes from the top, and the sha256 of them in hex."""

    data: bytes = field(repr=False)
    size: Dimensions
    digest: str


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of an uploaded picture. It can be used until it expires."""

    id: str
    owner: str
    size: Dimensions
    digest: str
    key: str
    """Where it lies in the work store."""
    created_at: datetime
    expires_at: datetime
    idempotency: Idempotency | None = None


def new_source(
    pixels: Pixels, *, new_id: str, owner: str, now: datetime, kept: timedelta, idempotency: Idempotency | None
) -> Source:
    """The record of a picture that has just been uploaded."""
    source_id = f"src_{uuid.UUID(new_id).hex}"
    return Source(
        id=source_id,
        owner=owner,
        size=pixels.size,
        digest=pixels.digest,
        key=source_key(source_id),
        created_at=now,
        expires_at=now + kept,
        idempotency=idempotency,
    )


def is_source_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def source_key(source_id: str) -> str:
    """Where a source lies in the work store."""
    return f"sources/{source_id}/render"


def packed(pixels: Pixels) -> bytes:
    """The file in the work store."""
    return b"P6\n%d %d\n255\n" % (pixels.size.width, pixels.size.height) + pixels.data


def objection_to_size(size: Dimensions) -> str | None:
    """Why a picture of this size is not taken; None if it is."""
    if min(size.width, size.height) < MIN_SIDE:
        return f"the picture is {size} pixels; each side must have at least {MIN_SIDE}"
    if size.width * size.height > MAX_PIXELS:
        return f"the picture is {size} pixels; at most {MAX_PIXELS} in all are taken: make it smaller"
    return None
