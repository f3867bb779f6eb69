"""What is true of the object folder alone: real files, crashes, full disks, links and leftovers."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagetron_chassis.blobs import BlobMissing, BlobsUnavailable, InvalidKey
from imagetron_chassis.blobs.filesystem import FilesystemBlobs

PUT_UNTIL_KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from imagetron_chassis.blobs.filesystem import FilesystemBlobs

async def main():
    blobs = FilesystemBlobs(Path(sys.argv[1]))
    for number in itertools.count():
        await blobs.put_if_absent(f"j/{sys.argv[2]}/{number}", bytes([number % 256]) * 3_000_000, content_type="image/png")
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FilesystemBlobs]:
    store = FilesystemBlobs(tmp_path / "objects")
    yield store
    await store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


async def put(store: FilesystemBlobs, key: str, data: bytes = b"pixels") -> bool:
    return await store.put_if_absent(key, data, content_type="image/png")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def folders(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir())


async def test_a_file_holds_the_bytes_of_its_object_and_nothing_else(blobs: FilesystemBlobs, root: Path):
    await put(blobs, "public/j/a.webp", b"RIFF....WEBP")

    assert files(root) == ["public/j/a.webp"]
    assert (root / "public/j/a.webp").read_bytes() == b"RIFF....WEBP"


async def test_a_second_process_sees_the_same_objects(blobs: FilesystemBlobs, root: Path):
    await put(blobs, "j/a.png")
    other = FilesystemBlobs(root)

    assert await put(other, "j/a.png", b"else") is False
    assert await other.head("j/a.png") == await blobs.head("j/a.png")
    await other.close()


def test_a_writer_killed_at_any_moment_leaves_no_half_object(tmp_path: Path):
    seed = time.time_ns()
    moments = random.Random(seed)
    for round_number in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", PUT_UNTIL_KILLED, str(tmp_path), str(round_number)], stdout=subprocess.PIPE
        )
        with writer:
            assert writer.stdout is not None
            confirmed = int(writer.stdout.readline())
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(moments.uniform(0, 0.05))
            os.kill(writer.pid, signal.SIGKILL)
            confirmed += len(writer.stdout.read().splitlines())

        stored = {int(path.name): path.read_bytes() for path in (tmp_path / f"j/{round_number}").iterdir()}
        assert set(stored) >= set(range(confirmed + 1))
        halves = [number for number, data in stored.items() if data != bytes([number % 256]) * 3_000_000]
        assert not halves, f"round {round_number}, seed {seed}"


async def test_the_leftover_of_a_crashed_writer_is_removed_after_an_hour_and_not_before(
    blobs: FilesystemBlobs, root: Path
):
    incoming = root / ".incoming"
    incoming.mkdir(parents=True)
    for name, age_seconds in {"crashed": 3700, "perhaps-at-work": 3500}.items():
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age_seconds,) * 2)

    await put(blobs, "j/a")

    assert files(root) == [".incoming/perhaps-at-work", "j/a"]


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_put_that_finds_no_room_is_unavailable_and_leaves_nothing(blobs: FilesystemBlobs, root: Path):
    with files_limited_to(100_000), pytest.raises(BlobsUnavailable, match=r"the object folder .* does not work"):
        await put(blobs, "j/a", b"x" * 300_000)

    assert files(root) == []
    assert await put(blobs, "j/a", b"x" * 300_000) is True


async def test_a_root_that_cannot_be_written_fails_the_ping(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"no folder")
    store = FilesystemBlobs(tmp_path / "file" / "objects")

    with pytest.raises(BlobsUnavailable, match="Not a directory"):
        await store.ping()

    await store.close()


async def test_a_root_that_vanished_fails_the_ping(blobs: FilesystemBlobs, root: Path):
    await blobs.ping()
    (root / ".incoming").rmdir()

    with pytest.raises(BlobsUnavailable, match="No such file"):
        await blobs.ping()


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(blobs: FilesystemBlobs, root: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root.mkdir()  # noqa: ASYNC240 - a test's own preparation
    (root / "way-out").symlink_to(outside)
    (root / "secret").symlink_to(outside / "secret")

    for key in ("way-out/secret", "way-out/new", "secret"):
        for call in (put(blobs, key), blobs.get(key), blobs.head(key), blobs.delete(key)):
            with pytest.raises(InvalidKey, match="leads out of"):
                await call
    assert files(outside) == ["secret"]


async def test_a_key_under_another_key_is_a_collision_and_never_a_silent_loss(blobs: FilesystemBlobs):
    await put(blobs, "j/a")

    with pytest.raises(InvalidKey, match="collides with another object"):
        await put(blobs, "j/a/b")
    with pytest.raises(InvalidKey, match="collides with another object"):
        await put(blobs, "j/a/b/c")
    with pytest.raises(InvalidKey, match="collides with another object"):
        await put(blobs, "j")
    await blobs.delete("j")
    assert await blobs.get("j/a") == b"pixels"
    assert await blobs.head("j/a/b") is None
    with pytest.raises(BlobMissing):
        await blobs.get("j")


async def test_folders_that_a_delete_emptied_are_removed_and_others_stay(blobs: FilesystemBlobs, root: Path):
    await put(blobs, "jobs/j/1/f/render")
    await put(blobs, "jobs/k/render")

    await blobs.delete("jobs/j/1/f/render")

    assert folders(root) == [".incoming", "jobs", "jobs/k"]
    await blobs.delete("jobs/k/render")
    assert folders(root) == [".incoming"]


async def test_a_file_restored_without_attributes_is_described_by_its_name_and_bytes(
    blobs: FilesystemBlobs, root: Path
):
    await put(blobs, "public/put.png", b"pixels")
    (root / "public/restored.png").write_bytes(b"pixels")
    (root / "public/render").write_bytes(b"pixels")

    put_info, restored, unnamed = [await blobs.head(f"public/{name}") for name in ("put.png", "restored.png", "render")]

    assert put_info is not None
    assert restored is not None
    assert unnamed is not None
    assert (restored.content_type, unnamed.content_type) == ("image/png", "application/octet-stream")
    assert restored.etag == unnamed.etag == put_info.etag == f'"{hashlib.sha256(b"pixels").hexdigest()}"'
