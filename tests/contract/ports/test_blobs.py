"""What every store of objects promises: one suite over memory, folder, an S3 with conditional puts, one with real auth."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from imagetron_chassis.blobs import BlobInfo, BlobMissing, Blobs, InvalidKey
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_chassis.errors import Permanent
from support.eventually import eventually
from support.s3 import S3Server, moto_s3, rclone_s3  # noqa: F401 - fixtures, asked for by name

STORES = ["memory", "filesystem", "moto_s3", "rclone_s3"]
IMMUTABLE = "public, max-age=31536000, immutable"

INVALID_KEYS = {
    "empty": "",
    "parent": "../secrets",
    "parent in the middle": "jobs/../../secrets",
    "parent, encoded": "jobs/%2e%2e/secrets",
    "absolute": "/etc/passwd",
    "empty segment": "jobs//render",
    "trailing slash": "jobs/",
    "backslash": "..\\secrets",
    "NUL": "jobs/a\0.webp",
    "newline": "jobs/a\n",
    "unicode": "jobs/k\u00e4tzchen.webp",
    "full-width dots": "\uff0e\uff0e/secrets",
    "2000 characters": "a" * 2000,
    "2000 characters in segments": "/".join(["abc"] * 500),
    "dot first": "jobs/.hidden",
    "the folder of incoming files": ".incoming/a",
    "dash first": "-rf/a",
    "drive": "C:/a",
    "space": "jobs/a b",
}


def s3_blobs(server: S3Server) -> S3Blobs:
    return S3Blobs(
        endpoint=server.endpoint,
        bucket=server.bucket,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        prefix=f"test-{uuid4().hex}",
        threads=8,
        conditional_puts=server.has_conditional_puts,
    )


@asynccontextmanager
async def opened(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    store: Blobs
    if name == "memory":
        store = InMemoryBlobs()
    elif name == "filesystem":
        store = FilesystemBlobs(tmp_path / "objects")
    else:
        store = s3_blobs(request.getfixturevalue(name))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=STORES)
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    async with opened(request.param, request, tmp_path) as store:
        yield store


@pytest.fixture(params=[name for name in STORES if name != "rclone_s3"])
async def blobs_that_decide_races(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    # Exempt: rclone ignores If-None-Match, so its look and its put are two steps.
    async with opened(request.param, request, tmp_path) as store:
        yield store


@pytest.fixture(params=["moto_s3", "rclone_s3"])
async def s3(request: pytest.FixtureRequest) -> AsyncIterator[S3Blobs]:
    store = s3_blobs(request.getfixturevalue(request.param))
    yield store
    await store.close()


@pytest.fixture
async def verifying_s3(request: pytest.FixtureRequest) -> AsyncIterator[S3Blobs]:
    # Exempt: moto serves whatever is asked for, signed or not.
    store = s3_blobs(request.getfixturevalue("rclone_s3"))
    yield store
    await store.close()


async def put(store: Blobs, key: str, data: bytes, content_type: str = "image/png") -> bool:
    return await store.put_if_absent(key, data, content_type=content_type)


async def test_what_was_put_is_got(blobs: Blobs):
    assert await put(blobs, "jobs/j1/render", b"pixels") is True

    assert await blobs.get("jobs/j1/render") == b"pixels"


async def test_a_second_put_stores_nothing_and_says_so(blobs: Blobs):
    await blobs.put_if_absent("j/a.webp", b"first", content_type="image/webp", cache_control=IMMUTABLE)
    before = await blobs.head("j/a.webp")

    assert await blobs.put_if_absent("j/a.webp", b"second", content_type="text/html") is False

    assert await blobs.get("j/a.webp") == b"first"
    assert await blobs.head("j/a.webp") == before


async def test_of_twenty_concurrent_puts_exactly_one_stores_its_bytes_whole(blobs_that_decide_races: Blobs):
    candidates = [bytes([number]) * 200_000 for number in range(20)]

    stored = await asyncio.gather(*(put(blobs_that_decide_races, "j/raced", data) for data in candidates))

    assert stored.count(True) == 1
    assert await blobs_that_decide_races.get("j/raced") == candidates[stored.index(True)]


async def test_concurrent_puts_leave_one_candidate_whole_even_without_conditional_puts(blobs: Blobs):
    candidates = [bytes([number]) * 200_000 for number in range(20)]

    stored = await asyncio.gather(*(put(blobs, "j/raced", data) for data in candidates))

    assert True in stored
    assert await blobs.get("j/raced") in candidates


async def test_head_tells_size_type_and_cache_control(blobs: Blobs):
    await blobs.put_if_absent("j/a.webp", b"12345", content_type="image/webp", cache_control=IMMUTABLE)

    info = await blobs.head("j/a.webp")

    assert info is not None
    assert info == BlobInfo("j/a.webp", 5, "image/webp", IMMUTABLE, info.etag)


async def test_a_type_that_the_extension_does_not_tell_survives_and_cache_control_may_be_absent(blobs: Blobs):
    await blobs.put_if_absent("j/render.png", b"12345", content_type="application/x-tensor")

    info = await blobs.head("j/render.png")

    assert info is not None
    assert (info.content_type, info.cache_control) == ("application/x-tensor", None)


async def test_etags_are_strong_equal_for_equal_bytes_and_different_for_different_ones(blobs: Blobs):
    for key, data in {"j/a": b"same", "j/b": b"same", "j/c": b"else"}.items():
        await put(blobs, key, data)

    one, same, other = [info.etag for key in ("j/a", "j/b", "j/c") if (info := await blobs.head(key))]

    assert one == same != other
    assert one.startswith('"')
    assert one.endswith('"')
    assert len(one) > 2


async def test_nothing_is_told_of_an_object_that_is_not_there(blobs: Blobs):
    await put(blobs, "j/a/b", b"")

    for key in ("j/none", "j/a", "j", "k"):
        assert await blobs.head(key) is None
        with pytest.raises(BlobMissing, match=f"no object is stored under {key}$"):
            await blobs.get(key)


async def test_deleting_is_quiet_when_there_is_nothing_left_to_delete(blobs: Blobs):
    await put(blobs, "j/a/b", b"pixels")
    await put(blobs, "j/kept", b"kept")

    await blobs.delete("j/a/b")
    await blobs.delete("j/a/b")
    await blobs.delete("never/was")

    assert await blobs.head("j/a/b") is None
    assert await blobs.get("j/kept") == b"kept"


async def test_a_deleted_key_can_be_put_again(blobs: Blobs):
    await put(blobs, "j/a", b"first")
    await blobs.delete("j/a")

    assert await put(blobs, "j/a", b"second", "image/webp") is True

    assert await blobs.get("j/a") == b"second"


async def test_deleting_one_object_while_its_neighbours_are_put_loses_none(blobs: Blobs):
    await asyncio.gather(
        *(put(blobs, f"jobs/j/f/{number}", b"kept") for number in range(20)),
        *(put_and_delete(blobs, f"jobs/j/f/gone-{number}") for number in range(20)),
    )

    assert [await blobs.get(f"jobs/j/f/{number}") for number in range(20)] == [b"kept"] * 20


async def put_and_delete(store: Blobs, key: str) -> None:
    await put(store, key, b"gone")
    await store.delete(key)


@pytest.mark.parametrize("size_bytes", [0, 1, 8_000_000])
async def test_objects_of_any_size_come_back_byte_for_byte(blobs: Blobs, size_bytes: int):
    data = hashlib.shake_128(b"any bytes").digest(size_bytes)

    await put(blobs, "j/object", data)

    assert await blobs.get("j/object") == data
    info = await blobs.head("j/object")
    assert info is not None
    assert info.size_bytes == size_bytes


@pytest.mark.parametrize("key", INVALID_KEYS.values(), ids=INVALID_KEYS.keys())
async def test_an_invalid_key_is_refused_by_every_method(blobs: Blobs, key: str):
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: put(blobs, key, b"evil"),
        lambda: blobs.get(key),
        lambda: blobs.head(key),
        lambda: blobs.delete(key),
        lambda: blobs.presign(key, expires_seconds=60),
    ]
    for call in calls:
        with pytest.raises(InvalidKey, match="is not an object key"):
            await call()


async def test_a_refused_put_touches_nothing(tmp_path: Path):
    store = FilesystemBlobs(tmp_path / "inner" / "objects")

    for key in INVALID_KEYS.values():
        with pytest.raises(InvalidKey):
            await put(store, key, b"evil")

    await store.close()
    assert [*tmp_path.iterdir()] == []  # noqa: ASYNC240 - a test's own look


async def test_a_reader_never_sees_half_an_object_while_it_is_written(blobs: Blobs):
    objects = {f"j/{number}": bytes([number]) * 2_000_000 for number in range(1, 9)}
    seen: list[bytes] = []

    async def read_until_all_are_there() -> None:
        for key in objects:
            while True:
                try:
                    seen.append(await blobs.get(key))
                    break
                except BlobMissing:
                    await asyncio.sleep(0)

    await asyncio.gather(read_until_all_are_there(), *(put(blobs, key, data) for key, data in objects.items()))

    assert sorted(seen) == sorted(objects.values())


async def test_a_signed_url_reads_its_object_as_an_attachment(s3: S3Blobs):
    await put(s3, "j/a.png", b"private pixels")

    url = await s3.presign("j/a.png", expires_seconds=60)

    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    assert (answer.status_code, answer.content) == (200, b"private pixels")
    assert answer.headers["content-type"] == "image/png"
    assert "response-content-disposition=attachment" in urlsplit(url).query
    assert "secret" not in url


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
async def test_a_signed_url_is_refused_for_another_verb(verifying_s3: S3Blobs, method: str):
    await put(verifying_s3, "j/a.png", b"private pixels")
    url = await verifying_s3.presign("j/a.png", expires_seconds=60)

    async with httpx.AsyncClient() as browser:
        answer = await browser.request(method, url)

    assert answer.status_code == 403
    assert await verifying_s3.get("j/a.png") == b"private pixels"


@pytest.mark.parametrize(
    ("signed", "altered"),
    [("a.png", "b.png"), ("disposition=attachment", "disposition=inline"), ("Expires=60", "Expires=6000")],
)
async def test_a_signed_url_is_refused_once_altered(verifying_s3: S3Blobs, signed: str, altered: str):
    await put(verifying_s3, "j/a.png", b"mine")
    await put(verifying_s3, "j/b.png", b"not yours")
    url = await verifying_s3.presign("j/a.png", expires_seconds=60)
    assert signed in url

    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url.replace(signed, altered))

    assert answer.status_code == 403


async def test_a_signed_url_is_refused_after_it_expired(verifying_s3: S3Blobs):
    await put(verifying_s3, "j/a.png", b"private pixels")
    url = await verifying_s3.presign("j/a.png", expires_seconds=1)

    async with httpx.AsyncClient() as browser:

        async def refusal() -> httpx.Response | None:
            answer = await browser.get(url)
            return answer if answer.status_code != 200 else None

        answer: httpx.Response | None = await eventually(refusal)

    assert answer is not None
    assert 400 <= answer.status_code < 500
    assert b"private pixels" not in answer.content


@pytest.mark.parametrize("expires_seconds", [-1, 0, 604_801])
async def test_a_url_is_signed_for_a_second_at_least_and_a_week_at_most(s3: S3Blobs, expires_seconds: int):
    with pytest.raises(Permanent, match=f"cannot be signed for {expires_seconds} s"):
        await s3.presign("j/a.png", expires_seconds=expires_seconds)

    assert await s3.presign("j/a.png", expires_seconds=604_800)


async def test_memory_and_folder_sign_no_urls(tmp_path: Path):
    stores: list[Blobs] = [InMemoryBlobs(), FilesystemBlobs(tmp_path)]
    for store in stores:
        with pytest.raises(Permanent, match="have no URL: j/a cannot be signed"):
            await store.presign("j/a", expires_seconds=60)
        await store.close()


async def test_a_store_that_works_answers_a_ping(blobs: Blobs):
    await blobs.ping()
