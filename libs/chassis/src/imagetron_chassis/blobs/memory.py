"""Objects in a dictionary: for unit tests and trials in one process. Nothing survives the process, nothing is shared."""

import hashlib
from dataclasses import dataclass
from typing import NoReturn

from imagetron_chassis.blobs.port import BlobInfo, BlobMissing, checked_key
from imagetron_chassis.errors import Permanent


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    info: BlobInfo


class InMemoryBlobs:
    """The twin of the stores. No await happens between look and store, so the loop itself makes puts atomic."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}

    async def put_if_absent(
        self, key: str, data: bytes, *, content_type: str, cache_control: str | None = None
    ) -> bool:
        if checked_key(key) in self._objects:
            return False
        info = BlobInfo(
            key=key,
            size_bytes=len(data),
            content_type=content_type,
            cache_control=cache_control,
            etag=f'"{hashlib.sha256(data).hexdigest()}"',
        )
        self._objects[key] = _Object(bytes(data), info)
        return True

    async def get(self, key: str) -> bytes:
        found = self._objects.get(checked_key(key))
        if found is None:
            raise BlobMissing(key)
        return found.data

    async def head(self, key: str) -> BlobInfo | None:
        found = self._objects.get(checked_key(key))
        return found.info if found else None

    async def delete(self, key: str) -> None:
        self._objects.pop(checked_key(key), None)

    async def presign(self, key: str, *, expires_seconds: int) -> NoReturn:
        raise Permanent(
            f"objects in memory have no URL: {checked_key(key)} cannot be signed for {expires_seconds} s; read it instead"
        )

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        self._objects.clear()
