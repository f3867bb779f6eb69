"""An object store that stores and never answers, or lets a trickle pass: bounded, and afterwards once."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from imagetron_chassis.blobs import Blobs, BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_contracts.stages import DerivativesRendered, FamilyPublished
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.usecases import publish_family
from support.eventually import eventually
from support.s3 import S3Server, fronted_s3, running_rclone
from support.toxics import Bandwidth, Direction, Timeout, ToxicProxy, toxic_proxy
from unit.publisher.families import a_file, a_picture, an_image, derivatives_rendered

T = TypeVar("T")
# No longer than the client waits for leave to send a body: what is under way then may still arrive, whole, and be stored.
DEADLINE_SECONDS = 1.0
# Waiting for threads, boto3's own work and a busy machine: still far from the minutes that a trickle would take.
SLACK_SECONDS = 8.0
# Not even the request without its body passes within the deadline.
A_TRICKLE = 250
PICTURE = a_picture("a line of it " * 16_000)


def blobs(server: S3Server, proxy: ToxicProxy, bucket: str, *, deadline_seconds: float = DEADLINE_SECONDS) -> S3Blobs:
    return S3Blobs(
        endpoint=proxy.redirect(server.endpoint),
        bucket=bucket,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        deadline_seconds=deadline_seconds,
        conditional_puts=server.has_conditional_puts,
    )


def a_bucket() -> str:
    return f"slow-{uuid.uuid4().hex}"


def proxied(server: S3Server) -> tuple[str, int]:
    host, port = server.endpoint.removeprefix("http://").split(":")
    return host, int(port)


@pytest.fixture(params=["moto", "rclone"])
def slow_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[S3Server, str]]:
    """A server and a bucket of it."""
    if request.param == "moto":
        bucket = a_bucket()
        with fronted_s3(bucket) as (server, _):
            yield server, bucket
    else:
        with running_rclone(tmp_path) as server:
            yield server, server.bucket


async def a_derived_family() -> tuple[DerivativesRendered, InMemoryBlobs]:
    work, file = InMemoryBlobs(), a_file("square", byte_count=len(PICTURE))
    await work.put_if_absent(file.key, PICTURE, content_type="image/webp")
    return derivatives_rendered(an_image(0, file)), work


async def eventually_done(work: Callable[[], Awaitable[T]]) -> T:
    """A healthy store, too, may miss so short a deadline on a busy machine: then it is asked again, as the services do."""
    results: list[T] = []

    async def is_done() -> bool:
        with suppress(BlobsUnavailable):
            results.append(await work())
        return bool(results)

    await eventually(is_done, within_seconds=30)
    return results[0]


async def publish(message: DerivativesRendered, work: Blobs, public: Blobs) -> FamilyPublished | None:
    return await publish_family(
        message, tries=1, work=work, public=public, signer=Unsigned(), copies=asyncio.Semaphore(4)
    )


async def test_a_picture_whose_put_was_never_answered_is_published_once():
    message, work = await a_derived_family()
    bucket = a_bucket()
    with fronted_s3(bucket) as (server, front), toxic_proxy(*proxied(server)) as proxy:
        # The client waits a second for leave to send its body, and then sends it unasked.
        public = blobs(server, proxy, bucket, deadline_seconds=4)
        with proxy.toxic(Timeout(), Direction.DOWNSTREAM):
            began = time.monotonic()
            with pytest.raises(BlobsUnavailable, match="the put of"):
                await publish(message, work, public)
            assert time.monotonic() - began < 4 + SLACK_SECONDS
            await eventually(lambda: len(front.puts(bucket)) == 1)

        fact = await publish(message, work, public)

        assert fact is not None
        (file,) = fact.images[0].files
        assert Counter(front.puts(bucket)) == Counter([(file.key, 200), (file.key, 412)])
        assert await public.get(file.key) == PICTURE
        await public.close()


async def test_an_upload_that_crawls_is_given_up_at_the_deadline_leaves_no_half_picture_and_is_done_later(slow_store):
    server, bucket = slow_store
    message, work = await a_derived_family()
    with toxic_proxy(*proxied(server)) as proxy:
        # Around the proxy: what the store itself holds.
        store = S3Blobs(
            endpoint=server.endpoint,
            bucket=bucket,
            access_key_id=server.access_key_id,
            secret_access_key=server.secret_access_key,
        )
        public = blobs(server, proxy, bucket)
        with proxy.toxic(Bandwidth(A_TRICKLE), Direction.UPSTREAM):
            began = time.monotonic()
            with pytest.raises(BlobsUnavailable, match="the put of"):
                await publish(message, work, public)
            assert time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS
            # Nobody goes on with it behind the caller's back. Healed before, the line might still carry a first question
            # to its answer, and would stay open for the next.
            await eventually(lambda: proxy.open == 0, within_seconds=60)
        (key,) = (f"{message.job_id}/{file.digest}.webp" for file in message.images[0].files)
        assert await store.head(key) is None

        assert await eventually_done(lambda: publish(message, work, public)) is not None

        assert await store.get(key) == PICTURE
        await public.close()
        await store.close()


async def test_a_download_that_crawls_is_given_up_at_the_deadline_and_is_whole_later(slow_store):
    server, bucket = slow_store
    with toxic_proxy(*proxied(server)) as proxy:
        store = blobs(server, proxy, bucket)
        await eventually_done(lambda: store.put_if_absent("a/picture.webp", PICTURE, content_type="image/webp"))
        with proxy.toxic(Bandwidth(A_TRICKLE), Direction.DOWNSTREAM):
            began = time.monotonic()
            with pytest.raises(BlobsUnavailable, match="the get of"):
                await store.get("a/picture.webp")
            assert time.monotonic() - began < DEADLINE_SECONDS + SLACK_SECONDS

        assert await eventually_done(lambda: store.get("a/picture.webp")) == PICTURE
        await store.close()
