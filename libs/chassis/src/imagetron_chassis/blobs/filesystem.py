"""Objects as files in one folder: the embedded store of one Linux machine, shared by all its processes.

The file holds the object's bytes and nothing else (a `.webp` opens in a viewer). Type, cache control and etag are one
extended attribute, set before the file gets its name: name, bytes and attribute appear in one step and cannot part.
"""

import asyncio
import errno
import hashlib
import json
import mimetypes
import os
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn, ParamSpec, TypeVar

from imagetron_chassis.blobs.port import BlobInfo, BlobMissing, BlobsUnavailable, InvalidKey, checked_key
from imagetron_chassis.errors import Permanent
from imagetron_chassis.faults import fault_point

P = ParamSpec("P")
T = TypeVar("T")

_INCOMING: Final = ".incoming"  # no key segment begins with a dot, so no object can ever be in this folder
_ATTRIBUTE: Final = "user.imagetron"
_STALE_SECONDS: Final = 3600  # no put takes an hour, so such a file has no writer
_LINK_TRIES: Final = 20  # each lost try means that a concurrent delete removed the folder just made


class FilesystemBlobs:
    """A put is durable when it returns: file and folders are synced. One key cannot lie under another (`a`, `a/b`).

    A file without our attribute (copied in, or restored without attributes) is still an object: its type is told by
    its extension, its etag by its bytes.
    """

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        self._root = Path(os.path.realpath(root))
        self._incoming = self._root / _INCOMING
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="blobs-filesystem")
        self._opening = threading.Lock()
        self._is_open = False

    def __repr__(self) -> str:
        return f"FilesystemBlobs({str(self._root)!r})"

    async def put_if_absent(
        self, key: str, data: bytes, *, content_type: str, cache_control: str | None = None
    ) -> bool:
        checked_key(key)
        return await self._in_thread(self._put, key, data, content_type, cache_control)

    async def get(self, key: str) -> bytes:
        checked_key(key)
        return await self._in_thread(self._get, key)

    async def head(self, key: str) -> BlobInfo | None:
        checked_key(key)
        return await self._in_thread(self._head, key)

    async def delete(self, key: str) -> None:
        checked_key(key)
        await self._in_thread(self._delete, key)

    async def presign(self, key: str, *, expires_seconds: int) -> NoReturn:
        raise Permanent(
            f"objects on disk have no URL: {checked_key(key)} cannot be signed for {expires_seconds} s; read it instead"
        )

    async def ping(self) -> None:
        await self._in_thread(self._probe)

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # The pool is our own: a slow disk must not hold up whoever else uses the loop's default pool.
        try:
            future = self._executor.submit(work, *args, **kwargs)
            return await asyncio.wrap_future(future)
        except OSError as error:
            # Disk full, no permission, folder gone: all of them can be mended while we wait.
            raise BlobsUnavailable(f"the object folder {self._root} does not work: {error}") from error

    def _put(self, key: str, data: bytes, content_type: str, cache_control: str | None) -> bool:
        path = self._path(key)
        self._open()
        about = {"contentType": content_type, "cacheControl": cache_control, "etag": _etag(data)}
        with self._incoming_file(data, about) as incoming:
            fault_point("blobs.before_link")
            made: list[Path] = []
            is_stored = self._link(incoming, path, key, made)
            # A lost race is synced as well: whoever is told "it is there" may rely on that after a power cut.
            # Deepest first: the first sync commits the file system's journal, the others then find nothing to do.
            for folder in [path.parent, *(new.parent for new in reversed(made))]:
                with suppress(FileNotFoundError):  # a concurrent delete took object and folder: nothing to make durable
                    _sync_folder(folder)
            return is_stored

    @contextmanager
    def _incoming_file(self, data: bytes, about: dict[str, str | None]) -> Iterator[Path]:
        incoming = self._incoming / uuid.uuid4().hex
        descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            try:
                _write_whole(descriptor, data)
                self._describe(descriptor, about)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            yield incoming
        finally:
            incoming.unlink(missing_ok=True)

    def _link(self, incoming: Path, path: Path, key: str, made: list[Path]) -> bool:
        for _ in range(_LINK_TRIES):
            try:
                # Of all the ways to give a file its name, link() alone fails when the name is taken.
                os.link(incoming, path)
            except FileNotFoundError:
                with suppress(FileNotFoundError):
                    self._make_folders(path.parent, key, made)
            except NotADirectoryError as error:
                raise _collision(key) from error
            except FileExistsError as error:
                if path.is_dir():
                    raise _collision(key) from error
                return False
            else:
                return True
        raise BlobsUnavailable(f"the folder of {key} vanished {_LINK_TRIES} times while the object was put there")

    def _make_folders(self, folder: Path, key: str, made: list[Path]) -> None:
        if folder == self._root or folder.is_dir():
            return
        self._make_folders(folder.parent, key, made)
        try:
            folder.mkdir()
        except FileExistsError as error:
            if not folder.is_dir():
                raise _collision(key) from error
        # Noted even when another writer made it: that writer may not have synced it yet.
        made.append(folder)

    def _get(self, key: str) -> bytes:
        with self._descriptor(key) as descriptor, open(descriptor, "rb", closefd=False) as file:
            return file.read()

    def _head(self, key: str) -> BlobInfo | None:
        try:
            with self._descriptor(key) as descriptor:
                about = _description(descriptor, key)
                return BlobInfo(
                    key=key,
                    size_bytes=os.fstat(descriptor).st_size,
                    content_type=about["contentType"] or "application/octet-stream",
                    cache_control=about["cacheControl"],
                    etag=about["etag"] or "",
                )
        except BlobMissing:
            return None

    def _delete(self, key: str) -> None:
        path = self._path(key)
        if path.is_dir():
            return
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        folder = path.parent
        # Emptied folders go too, or millions of finished jobs would leave theirs behind.
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent
        with suppress(FileNotFoundError):  # another delete took it
            _sync_folder(folder)

    def _probe(self) -> None:
        self._open()
        with self._incoming_file(b"", {}):
            pass

    def _open(self) -> None:
        with self._opening:
            if self._is_open:
                return
            self._incoming.mkdir(parents=True, exist_ok=True)
            oldest = time.time() - _STALE_SECONDS
            for leftover in self._incoming.iterdir():
                with suppress(FileNotFoundError):
                    if leftover.stat().st_mtime < oldest:
                        leftover.unlink()
            self._is_open = True

    def _path(self, key: str) -> Path:
        path = self._root / key
        if not Path(os.path.realpath(path)).is_relative_to(self._root):
            raise InvalidKey(f"{key!r} leads out of {self._root} through a symbolic link")
        return path

    @contextmanager
    def _descriptor(self, key: str) -> Iterator[int]:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BlobMissing(key) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BlobMissing(key)
            yield descriptor
        finally:
            os.close(descriptor)

    def _describe(self, descriptor: int, about: dict[str, str | None]) -> None:
        try:
            os.setxattr(descriptor, _ATTRIBUTE, json.dumps(about).encode())
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            raise Permanent(
                f"the file system of {self._root} keeps no extended attributes, which objects need: "
                "choose a folder on ext4, xfs, btrfs or zfs"
            ) from error


def _description(descriptor: int, key: str) -> dict[str, str | None]:
    try:
        about: dict[str, str | None] = json.loads(os.getxattr(descriptor, _ATTRIBUTE))
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.ENOTSUP}:
            raise
        with open(descriptor, "rb", closefd=False) as file:
            return {"contentType": mimetypes.guess_type(key)[0], "cacheControl": None, "etag": _etag(file.read())}
    return about


def _etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()}"'


def _collision(key: str) -> InvalidKey:
    return InvalidKey(f"{key!r} collides with another object: on disk no key can lie under another key")


def _write_whole(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
