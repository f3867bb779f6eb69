"""The one thread that touches a SQLite file: opens it, reads, and commits waiting writes together. No SQL of documents."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from imagetron_chassis.documents._sql import text_contains
from imagetron_chassis.documents.port import DocumentsUnavailable
from imagetron_chassis.errors import ChassisError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# A caller of the gateway gets its 503 after about two seconds, whatever holds the file.
BUSY_SECONDS: Final = 2.0
# Bounds how long one commit holds the file's write lock and keeps readers waiting: about 10 ms of 6 kB documents.
MAX_GROUP: Final = 128


class SqliteThread:
    """Runs work one piece after the other. Writes that wait share one transaction, and so one flush to the disk.

    A write's result is told only after the commit that holds it. A failed commit fails every write in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"sqlite-{path.stem}")
        self._waiting: deque[tuple[Work[Any], Future[Any]]] = deque()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._is_closed = False

    async def read(self, work: Work[T]) -> T:
        self._refuse_when_closed()
        return await asyncio.wrap_future(self._executor.submit(self._read, work))

    async def write(self, work: Work[T]) -> T:
        """Run the work inside a transaction. It may raise a ChassisError as its own result, having changed nothing."""
        self._refuse_when_closed()
        result: Future[T] = Future()
        self._waiting.append((work, result))
        self._executor.submit(self._commit_waiting)
        return await asyncio.wrap_future(result)

    async def create(self) -> None:
        """Make the file, and the folder it lies in, if they are missing."""
        self._refuse_when_closed()
        await asyncio.wrap_future(self._executor.submit(self._create))

    async def close(self) -> None:
        """Finish what waits, then give the file back."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.wrap_future(self._executor.submit(self._drop))
        self._executor.shutdown(wait=False)

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise DocumentsUnavailable(f"the document store {self._path} was closed")

    def _read(self, work: Work[T]) -> T:
        try:
            return _patiently(lambda: work(self._open()))
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _commit_waiting(self) -> None:
        group = self._take(MAX_GROUP)
        try:
            outcomes = self._commit([work for work, _ in group]) if group else []
        except (sqlite3.Error, OSError) as error:
            # What came in meanwhile would wait as long again for the same lock.
            self._settle([*group, *self._take(len(self._waiting))], self._unavailable(error))
        except BaseException as error:
            self._settle(group, error)
            raise
        else:
            for (_, result), outcome in zip(group, outcomes, strict=True):
                _tell(result, outcome)

    def _take(self, most: int) -> list[tuple[Work[Any], Future[Any]]]:
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        return [one for one in taken if one[1].set_running_or_notify_cancel()]

    def _commit(self, group: list[Work[Any]]) -> list[Any]:
        connection = _patiently(self._begin)
        try:
            outcomes = [_attempt(connection, work) for work in group]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _begin(self) -> sqlite3.Connection:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def _settle(self, group: list[tuple[Work[Any], Future[Any]]], error: BaseException) -> None:
        for _, result in group:
            result.set_exception(error)

    def _create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Prompts are nobody else's business; SQLite gives its side files the same mode. An existing file is not
            # opened here: closing it again would take away the locks that this process holds on it.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600))
            _patiently(lambda: _set_journal(self._open()))
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is at the path now: a write to a file that was removed would be lost."""
        stat = self._path.stat()
        if self._connection is None or self._file != (stat.st_dev, stat.st_ino):
            self._drop()
            # Not created here: an empty file in the place of a lost one would answer "no such job".
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
            self._connection, self._file = connection, (stat.st_dev, stat.st_ino)
            # In WAL mode this is what makes a commit survive a power cut.
            connection.execute("PRAGMA synchronous=FULL")
            connection.create_function("text_contains", 2, text_contains, deterministic=True)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unavailable(self, error: Exception) -> DocumentsUnavailable:
        self._drop()
        return DocumentsUnavailable(f"the document store {self._path} does not answer: {error}")


def _patiently(work: Callable[[], T]) -> T:
    """SQLite itself waits for a lock, but says "locked" at once while another process opens or closes the file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _set_journal(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode=WAL")


def _attempt(connection: sqlite3.Connection, work: Work[Any]) -> Any:  # noqa: ANN401 - a result of any type
    try:
        return work(connection)
    except ChassisError as error:
        return error


def _tell(result: Future[Any], outcome: object) -> None:
    if isinstance(outcome, ChassisError):
        result.set_exception(outcome)
    else:
        result.set_result(outcome)
