"""What lies there when all is quiet: job documents, public objects, dead letters. Read from outside, judged elsewhere."""

import asyncio
import json
import multiprocessing
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from PIL import Image, UnidentifiedImageError

from chaos.ledger import DeadLetters, Ledger, Picture, Stored
from imagetron_cli.embedded.rabbitmq import RabbitNode

_TERMINAL: Final = ("completed", "partial", "failed", "cancelled")
_PICTURES_AT_ONCE: Final = 64
# No stage needs the work of a job whose story has ended for its client so long ago; only copies of messages still come.
_WORK_KEPT_SECONDS: Final = 180.0
_SWEEP_SECONDS: Final = 5.0


def documents(file: Path) -> Iterator[dict[str, Any]]:
    """Every job document, as the store has it on the disk."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        for (body,) in connection.execute("SELECT body FROM jobs"):
            yield json.loads(body)


def unrest(file: Path) -> tuple[int, int]:
    """How many jobs are open, and how many have something to tell that the broker has not confirmed."""
    sql = (
        "SELECT total(json_extract(body, '$.status') NOT IN (?, ?, ?, ?)), "
        "total(json_array_length(body, '$.outbox') > 0) FROM jobs"
    )
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        ((still_open, untold),) = connection.execute(sql, _TERMINAL)
    return int(still_open), int(untold)


def sequences(file: Path) -> dict[str, int]:
    """How many public events each job has."""
    sql = "SELECT json_extract(body, '$._id'), json_extract(body, '$.sequence') FROM jobs"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        return dict(connection.execute(sql).fetchall())


def write_documents(file: Path, ledger: Ledger) -> None:
    for document in documents(file):
        ledger.write(Stored(document=document))


def write_pictures(folder: Path, ledger: Ledger) -> None:
    """Decode every public object, on all cores."""
    keys = [path.relative_to(folder).as_posix() for path in _objects(folder)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=spawn) as pool:
        for picture in pool.map(_looked_at, [folder] * len(keys), keys, chunksize=_PICTURES_AT_ONCE):
            ledger.write(picture)


async def write_dead_letters(node: RabbitNode, ledger: Ledger) -> None:
    for line in (await node.ctl("-q", "list_queues", "name", "messages", "--no-table-headers")).splitlines():
        queue, _, messages = line.partition("\t")
        if queue.endswith(".dead") and messages.strip() not in {"", "0"}:
            ledger.write(DeadLetters(queue=queue, messages=int(messages)))


class Janitor:
    """Does what the work store's expiry does in production: without it a long run would fill the disk."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._ended: deque[tuple[float, str]] = deque()

    def ended(self, job: str) -> None:
        self._ended.append((time.monotonic(), job))

    async def work(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            while self._ended and time.monotonic() - self._ended[0][0] > _WORK_KEPT_SECONDS:
                _, job = self._ended.popleft()
                await asyncio.to_thread(shutil.rmtree, self._work / "jobs" / job, ignore_errors=True)


def _objects(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _looked_at(folder: Path, key: str) -> Picture:
    try:
        with Image.open(folder / key) as image:
            image.load()
            return Picture(key=key, width=image.width, height=image.height)
    except (UnidentifiedImageError, OSError) as error:
        return Picture(key=key, error=f"{type(error).__name__}: {error}")
