"""What the SQLite adapter promises beyond the port: files, processes, locks and crashes."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from imagetron_chassis.documents import (
    Collection,
    DocumentsUnavailable,
    Duplicate,
    Equals,
    InSet,
    Range,
    Sort,
    TextContains,
    UniqueKey,
)
from imagetron_chassis.documents.port import DocumentRefused
from imagetron_chassis.documents.sqlite import SqliteDocuments
from support.eventually import eventually

JOBS = Collection(
    "jobs",
    unique=(UniqueKey("idempotency", ("owner", "idempotency.key")),),
    indexes=(("nextCheckAt",), ("owner", "createdAt")),
)

WRITER = """
import asyncio, sys
from imagetron_chassis.documents import Collection
from imagetron_chassis.documents.sqlite import SqliteDocuments

async def write(documents, collection, writer):
    for number in range(1_000_000):
        document_id = f"{writer}-{number}"
        await documents.insert(collection, {"_id": document_id, "version": 1, "body": "x" * 2000})
        print(document_id, flush=True)

async def main():
    documents, collection = SqliteDocuments(sys.argv[1]), Collection("jobs")
    await documents.prepare(collection)
    await asyncio.gather(*(write(documents, collection, writer) for writer in range(8)))

asyncio.run(main())
"""

PREPARER = """
import asyncio, sys
from imagetron_chassis.documents import Collection, UniqueKey
from imagetron_chassis.documents.sqlite import SqliteDocuments

async def main():
    documents = SqliteDocuments(sys.argv[1])
    collection = Collection("jobs", unique=(UniqueKey("key", ("key",)),), indexes=(("a",), ("b",)))
    print("ready", flush=True)
    sys.stdin.read()
    for _ in range(5):
        await documents.prepare(collection)
    await documents.insert(collection, {"_id": sys.argv[2], "version": 1})
    await documents.close()

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "gateway.sqlite"


@pytest.fixture
async def documents(path: Path):
    store = SqliteDocuments(path)
    await store.prepare(JOBS)
    yield store
    await store.close()


def a_job(document_id: str = "job", **fields: Any) -> dict[str, Any]:
    return {"_id": document_id, "version": 1, **fields}


async def test_documents_and_keys_survive_closing_and_opening_again(documents, path):
    await documents.insert(JOBS, a_job(owner="ann", idempotency={"key": "k"}))
    await documents.close()

    again = SqliteDocuments(path)
    await again.prepare(JOBS)

    assert await again.get(JOBS, "job") == a_job(owner="ann", idempotency={"key": "k"})
    with pytest.raises(Duplicate):
        await again.insert(JOBS, a_job("other", owner="ann", idempotency={"key": "k"}))
    await again.close()


async def test_two_stores_on_one_file_see_each_other_and_only_one_wins_a_version(documents, path):
    other = SqliteDocuments(path)
    await other.prepare(JOBS)
    await documents.insert(JOBS, a_job())
    assert await other.get(JOBS, "job") == a_job()

    wins = await asyncio.gather(
        *(store.replace(JOBS, {"_id": "job", "version": 2}, if_version=1) for store in (documents, other) * 5)
    )

    assert wins.count(True) == 1
    await other.close()


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2)])
async def test_every_commit_is_flushed_to_the_disk(documents, pragma, value):
    (row,) = await documents._thread.read(lambda connection: connection.execute(f"PRAGMA {pragma}").fetchall())

    assert row == (value,)


async def test_preparing_again_keeps_the_locks_that_tell_other_processes_that_the_file_is_in_use(documents, path):
    # A process that believes itself alone removes the write-ahead log when it closes the file.
    stranger = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute(sys.argv[2])); c.close()"
    command = [sys.executable, "-c", stranger, str(path), "SELECT id FROM jobs ORDER BY id DESC"]
    await documents.insert(JOBS, a_job("before"))

    await documents.prepare(JOBS)
    await asyncio.to_thread(subprocess.run, command, check=True)
    await documents.insert(JOBS, a_job("after"))

    seen = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    assert seen.stdout == "('before',) ('after',)\n"


async def test_the_file_is_for_its_owner_alone(documents, path):
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(("gateway.sqlite", "gateway.sqlite-wal", "gateway.sqlite-shm"), "0o600")


def test_a_killed_writer_has_lost_nothing_that_it_was_told_is_stored(path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().strip() for _ in range(300)]
        writer.send_signal(signal.SIGKILL)
        told += [line.strip() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]

    async def stored() -> int:
        documents = SqliteDocuments(path)
        await documents.prepare(JOBS)
        found = [await documents.get(JOBS, document_id) for document_id in told]
        await documents.close()
        return sum(document is not None and document["body"] == "x" * 2000 for document in found)

    assert len(told) >= 300
    assert asyncio.run(stored()) == len(told)


def test_a_new_file_can_be_prepared_by_many_processes_at_once(path):
    command = [sys.executable, "-c", PREPARER, str(path)]
    processes = [
        subprocess.Popen(
            [*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        assert process.stderr is not None
        with process:
            assert (process.wait(timeout=30), process.stderr.read()) == (0, "")

    assert sqlite3.connect(path).execute("SELECT count(*) FROM jobs").fetchone() == (4,)


async def test_a_file_locked_by_another_is_unavailable_after_two_seconds_for_every_waiter(documents, path):
    await documents.insert(JOBS, a_job("before"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    results = await asyncio.gather(
        *(documents.insert(JOBS, a_job(str(number))) for number in range(300)), documents.ping(), return_exceptions=True
    )
    took = time.monotonic() - began

    assert {type(result) for result in results} == {DocumentsUnavailable}
    assert 1.5 < took < 30
    assert await documents.get(JOBS, "before") == a_job("before")
    holder.execute("ROLLBACK")
    holder.close()
    await documents.insert(JOBS, a_job("after"))
    assert await documents.count(JOBS) == 2


async def test_a_write_waits_for_a_lock_that_is_soon_released(documents, path):
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(documents.insert(JOBS, a_job()))
    asyncio.get_running_loop().call_later(0.3, holder.execute, "COMMIT")

    await waiting

    assert await documents.count(JOBS) == 1
    holder.close()


@pytest.mark.parametrize("lost", ["folder", "file"])
async def test_a_store_whose_file_is_gone_is_unavailable_and_does_not_begin_anew_by_itself(documents, path, lost):
    await documents.insert(JOBS, a_job())
    aside = path.parent.with_name("aside")
    if lost == "folder":
        path.parent.rename(aside)
    else:
        aside.mkdir()
        for file in path.parent.iterdir():
            file.rename(aside / file.name)

    for call in (documents.ping, lambda: documents.insert(JOBS, a_job("2")), lambda: documents.get(JOBS, "job")):
        with pytest.raises(DocumentsUnavailable):
            await call()
    assert not path.exists()

    path.parent.mkdir(exist_ok=True)
    for file in aside.iterdir():
        file.rename(path.parent / file.name)
    await documents.ping()
    assert await documents.get(JOBS, "job") == a_job()


async def test_a_file_that_was_replaced_by_another_is_not_written_to_in_secret(documents, path, tmp_path):
    await documents.insert(JOBS, a_job("old"))
    other_path = tmp_path / "other.sqlite"
    other = SqliteDocuments(other_path)
    await other.prepare(JOBS)
    await other.close()
    for file in path.parent.iterdir():
        file.unlink()
    other_path.rename(path)

    await documents.insert(JOBS, a_job("new"))

    assert [job["_id"] for job in await documents.find(JOBS)] == ["new"]


async def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG" * 1000)
    documents = SqliteDocuments(path)

    with pytest.raises(DocumentsUnavailable):
        await documents.prepare(JOBS)
    with pytest.raises(DocumentsUnavailable):
        await documents.ping()
    await documents.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("in the way")
    documents = SqliteDocuments(tmp_path / "file" / "documents.sqlite")

    with pytest.raises(DocumentsUnavailable):
        await documents.prepare(JOBS)
    await documents.close()


async def test_a_key_declared_otherwise_than_it_was_made_is_refused(documents):
    changed = Collection("jobs", unique=(UniqueKey("idempotency", ("owner",)),))

    with pytest.raises(DocumentRefused, match="idempotency"):
        await documents.prepare(changed)


async def test_writes_at_once_share_commits_and_each_keeps_its_own_result(documents):
    await documents.insert(JOBS, a_job("taken"))
    commits: list[str] = []
    await documents._thread.read(
        lambda connection: connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    )

    results = await asyncio.gather(
        *(documents.insert(JOBS, a_job(str(number))) for number in range(50)),
        documents.insert(JOBS, a_job("taken")),
        documents.replace(JOBS, {"_id": "taken", "version": 2}, if_version=1),
        documents.replace(JOBS, {"_id": "taken", "version": 9}, if_version=5),
        documents.delete(JOBS, "nothing"),
        return_exceptions=True,
    )

    assert results[:50] == [None] * 50
    assert isinstance(results[50], Duplicate)
    assert results[51:] == [True, False, False]
    assert await documents.count(JOBS) == 51
    assert len(commits) < 20


async def test_a_write_whose_caller_gave_up_before_it_began_is_not_done(documents):
    gate = threading.Event()
    blocked = asyncio.create_task(documents._thread.read(lambda _: gate.wait()))
    tasks = [asyncio.create_task(documents.insert(JOBS, a_job(str(number)))) for number in range(4)]
    await eventually(lambda: len(documents._thread._waiting) == 4)

    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    gate.set()
    await asyncio.gather(tasks[0], *tasks[2:], blocked)

    assert [job["_id"] for job in await documents.find(JOBS)] == ["0", "2", "3"]


async def test_writes_still_waiting_are_done_before_the_store_closes(documents, path):
    gate = threading.Event()
    blocked = asyncio.create_task(documents._thread.read(lambda _: gate.wait()))
    waiting = [asyncio.create_task(documents.insert(JOBS, a_job(str(number)))) for number in range(20)]
    await eventually(lambda: len(documents._thread._waiting) == 20)

    closing = asyncio.create_task(documents.close())
    gate.set()
    await asyncio.gather(closing, blocked)

    assert await asyncio.gather(*waiting) == [None] * 20
    assert sqlite3.connect(path).execute("SELECT count(*) FROM jobs").fetchone() == (20,)


@pytest.mark.parametrize(
    ("filters", "sort", "index"),
    [
        ((Equals("owner", "ann"), Equals("idempotency.key", "k")), None, "unique-jobs-idempotency"),
        ((Equals("owner", "ann"),), Sort("createdAt", descending=True), "index-jobs-owner-createdAt"),
        ((Equals("owner", "ann"), TextContains("name", "a")), Sort("createdAt"), "index-jobs-owner-createdAt"),
        ((InSet("owner", frozenset({"ann", "bob"})),), None, "index-jobs-owner-createdAt"),
        ((Range("nextCheckAt", below="2026"),), Sort("nextCheckAt"), "index-jobs-nextCheckAt"),
    ],
)
async def test_declared_paths_are_searched_by_index_and_pages_need_no_sorting(documents, filters, sort, index):
    statements: list[str] = []
    await documents._thread.read(lambda connection: connection.set_trace_callback(statements.append))
    await documents.find(JOBS, *filters, sort=sort)
    await documents._thread.read(lambda connection: connection.set_trace_callback(None))

    plan = str(await documents._thread.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()))

    assert f"SEARCH jobs USING INDEX {index} " in plan
    assert sort is None or "USE TEMP B-TREE" not in plan
