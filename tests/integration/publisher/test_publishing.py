"""A family becomes public in real stores: folders, and an S3-compatible server."""

import asyncio

import httpx
import pytest

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_chassis.errors import UnknownOutcome
from imagetron_contracts.stages import ObjectsDiscarded
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.usecases import discard_objects, publish_family
from support.s3 import moto_s3  # noqa: F401 - a fixture, asked for by name
from unit.publisher.families import JOB, an_image, derivatives_rendered, put_derived


class ForgetfulBlobs:
    """Stores, and then its answer is lost: once for every key."""

    def __init__(self, store: Blobs) -> None:
        self._store = store
        self._told: set[str] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def put_if_absent(self, key, data, *, content_type, cache_control=None):
        stored = await self._store.put_if_absent(key, data, content_type=content_type, cache_control=cache_control)
        if key in self._told:
            return stored
        self._told.add(key)
        raise UnknownOutcome(f"no answer about {key}")


@pytest.fixture
async def work(tmp_path):
    store = FilesystemBlobs(tmp_path / "work")
    yield store
    await store.close()


@pytest.fixture(params=["folder", "s3"])
async def public(request, tmp_path):
    if request.param == "folder":
        store: Blobs = FilesystemBlobs(tmp_path / "public")
    else:
        server = request.getfixturevalue("moto_s3")
        store = S3Blobs(
            endpoint=server.endpoint,
            bucket=server.bucket,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
            prefix=tmp_path.name,
        )
    yield store
    await store.close()


async def publish(message, work, public):
    return await publish_family(
        message, tries=1, work=work, public=public, signer=Unsigned(), copies=asyncio.Semaphore(4)
    )


async def test_every_announced_file_is_there_byte_for_byte_and_says_how_long_it_may_be_kept(work, public):
    message = derivatives_rendered(*(an_image(index) for index in range(3)))
    await put_derived(work, message)

    fact = await publish(message, work, public)

    assert len(fact.images) == 3
    for derived, image in zip(message.images, fact.images, strict=True):
        for source, file in zip(derived.files, image.files, strict=True):
            assert await public.get(file.key) == await work.get(source.key)
            known = await public.head(file.key)
            assert (known.content_type, known.cache_control) == ("image/webp", "public, max-age=31536000, immutable")


async def test_a_put_whose_answer_was_lost_is_one_object_after_the_next_try(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    forgetful = ForgetfulBlobs(public)
    with pytest.raises(UnknownOutcome):
        await publish(message, work, forgetful)

    await publish(message, work, forgetful)
    fact = await publish(message, work, forgetful)

    (image,) = fact.images
    for file in image.files:
        known = await public.head(file.key)
        assert known.size_bytes == file.byte_count


async def test_a_discarded_object_cannot_be_read_any_more(work, public):
    message = derivatives_rendered()
    await put_derived(work, message)
    fact = await publish(message, work, public)
    keys = tuple(file.key for file in fact.images[0].files)

    await discard_objects(ObjectsDiscarded(job_id=JOB, keys=keys), public=public)

    assert [await public.head(key) for key in keys] == [None, None]


async def test_browsers_and_caches_are_told_the_type_and_that_it_never_changes(work, tmp_path, request):
    server = request.getfixturevalue("moto_s3")
    public = S3Blobs(
        endpoint=server.endpoint,
        bucket=server.bucket,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        prefix=tmp_path.name,
    )
    message = derivatives_rendered()
    await put_derived(work, message)
    fact = await publish(message, work, public)

    url = await public.presign(fact.images[0].files[0].key, expires_seconds=60)
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    await public.close()

    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
