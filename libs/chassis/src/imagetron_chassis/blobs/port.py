"""The Blobs port: bytes under keys. Keys are made of ids and digests only; no user text ever becomes a key."""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from imagetron_chassis.errors import Permanent, Transient

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
MAX_KEY_LENGTH: Final = 512


class BlobMissing(Permanent):
    """Nothing is stored under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object is stored under {key}")
        self.key = key


class BlobsUnavailable(Transient):
    """The store cannot answer now. A put that raised this may or may not have happened; repeating it is harmless."""


class InvalidKey(Permanent):
    """The key could leave its folder or collide with another; refused before anything is touched."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a head request tells. `etag` is strong, quoted, and changes with the bytes."""

    key: str
    size_bytes: int
    content_type: str
    cache_control: str | None
    etag: str


def checked_key(key: str) -> str:
    """The key itself, if every segment is made of letters, digits, `.`, `_`, `-`, none begins with a dot, dash or is empty."""
    if len(key) > MAX_KEY_LENGTH or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        shown = key if len(key) <= 80 else key[:80] + "…"  # noqa: PLR2004 - enough to recognise it in a log
        raise InvalidKey(f"{shown!r} is not an object key: use segments of letters, digits, '.', '_' and '-'")
    return key


class Blobs(Protocol):
    """One bucket or folder. Errors: BlobMissing, InvalidKey (Permanent), BlobsUnavailable (Transient), RateLimited.

    Objects are written whole or not at all: no reader ever sees half of one.
    """

    async def put_if_absent(
        self, key: str, data: bytes, *, content_type: str, cache_control: str | None = None
    ) -> bool:
        """Store the object unless the key is taken; say whether this call stored it. Never overwrites."""
        ...

    async def get(self, key: str) -> bytes:
        """The object's bytes. Raises BlobMissing."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """What is known of the object, or None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object; quiet if there is none."""
        ...

    async def presign(self, key: str, *, expires_seconds: int) -> str:
        """A URL that reads this one object until it expires. Filesystem and memory raise Permanent: they have none."""
        ...

    async def ping(self) -> None:
        """Return if the store answers; raise BlobsUnavailable if not."""
        ...

    async def close(self) -> None: ...
