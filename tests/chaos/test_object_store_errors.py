"""A publisher whose object store answers with errors, asks it to slow down, or loses its answers."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Final

import pytest

from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import image_prefix, public_key
from imagetron_contracts.stages import DerivativesRendered, DerivedFile, DerivedImage, FamilyPublished, StageFailed
from imagetron_contracts.topology import GATEWAY_FAILED, GATEWAY_PUBLISHED, PUBLISHER_DERIVATIVES
from integration.chassis.workbench import Bench, a_bench
from support.builders import a_job_id
from support.eventually import eventually
from support.rabbitmq import FreshBroker, RunningRabbit
from support.s3 import AnswerLost, FrontedS3, Refusal, Request, S3Server, fronted_s3, healthy
from support.service_process import ServiceProcess
from unit.publisher.families import a_file, a_picture

WORK, PUBLIC = "errors-work", "errors-public"
LAST_TRY: Final = 6
"""Of a message whose store is away: the next error becomes an entry in the fact."""

Store = tuple[S3Server, FrontedS3]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with fronted_s3(WORK, PUBLIC) as (server, front):
        yield server, front


@pytest.fixture(scope="module")
def publisher(rabbitmq: RunningRabbit, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running publisher on that store; the URL of its virtual host."""
    server, url = store[0], rabbitmq.new_vhost()
    service = ServiceProcess(
        "publisher",
        tmp_path_factory.mktemp("publisher"),
        AMQP_URL=url,
        S3_ENDPOINT=server.endpoint,
        S3_BUCKET=PUBLIC,
        S3_WORK_BUCKET=WORK,
        S3_ACCESS_KEY_ID=server.access_key_id,
        S3_SECRET_ACCESS_KEY=server.secret_access_key,
    )
    try:
        service.until_ready()
        yield url
    finally:
        service.end()


@pytest.fixture
async def bench(publisher: str, rabbitmq: RunningRabbit) -> AsyncIterator[Bench]:
    async with a_bench(FreshBroker(publisher, rabbitmq)) as bench:
        yield bench


@pytest.fixture
def front(store: Store) -> Iterator[FrontedS3]:
    store[1].requests.clear()
    yield store[1]
    store[1].rule = healthy


def a_derived_file(number: int, index: int, name: str) -> DerivedFile:
    shown = f"{name} of {index} of {number}"
    return a_file(
        name,
        key=f"{image_prefix(a_job_id(number), 1, 'square', 1, index)}/files/{name}.webp",
        byte_count=len(a_picture(shown)),
        digest=sha256(shown.encode()).hexdigest(),
    )


async def a_derived_family(number: int, store: Store) -> DerivativesRendered:
    """Two images of two files, in the work store."""
    server, _ = store
    work = S3Blobs(
        endpoint=server.endpoint,
        bucket=WORK,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
    )
    images = []
    for index in range(2):
        files = tuple(a_derived_file(number, index, name) for name in ("square", "profile"))
        for file in files:
            data = a_picture(f"{file.name} of {index} of {number}")
            await work.put_if_absent(file.key, data, content_type=ImageFormat.WEBP.content_type)
        images.append(DerivedImage(index=index, files=files))
    await work.close()
    return DerivativesRendered(
        job_id=a_job_id(number), revision=1, family="square", attempt=1, images=tuple(images), encode_seconds=1
    )


def keys_of(*images: DerivedImage, number: int) -> list[str]:
    return [public_key(a_job_id(number), file.digest, "webp") for image in images for file in image.files]


async def published(bench: Bench) -> FamilyPublished:
    envelope: Envelope = await bench.take_envelope(GATEWAY_PUBLISHED.name, within_seconds=60)
    assert isinstance(envelope.data, FamilyPublished)
    return envelope.data


def stored(front: FrontedS3) -> Counter[str]:
    """By the store's own account: how often each public key was stored."""
    return Counter(key for key, status in front.puts(PUBLIC) if status == 200)


async def test_work_waits_while_the_store_is_away_or_wants_fewer_requests_and_is_done_afterwards(
    bench: Bench, store: Store, front: FrontedS3
):
    messages = [await a_derived_family(number, store) for number in (1, 2)]
    away, busy = Refusal(503, "InternalError"), Refusal(429, "TooManyRequests", retry_after_seconds=1)
    # One image's keys alone: its neighbours must not be told as finished before it.
    refused = dict.fromkeys(keys_of(messages[0].images[0], number=1), away)
    refused |= dict.fromkeys(keys_of(messages[1].images[0], number=2), busy)
    front.rule = lambda request: refused.get(request.key)
    await bench.publish(*messages)
    await eventually(lambda: front.refused(a_job_id(1)) >= 3 and front.refused(a_job_id(2)) >= 1, within_seconds=30)
    assert not stored(front).keys() & refused.keys()
    assert await bench.is_empty(GATEWAY_PUBLISHED.name, GATEWAY_FAILED.name)

    front.rule = healthy
    facts = [await published(bench) for _ in messages]

    assert {fact.job_id for fact in facts} == {a_job_id(1), a_job_id(2)}
    assert [fact.errors for fact in facts] == [(), ()]
    assert stored(front) == Counter(key for n in (1, 2) for key in keys_of(*messages[n - 1].images, number=n))


async def test_a_store_that_fails_every_third_request_for_a_while_delays_the_pictures_and_doubles_none(
    bench: Bench, store: Store, front: FrontedS3
):
    message = await a_derived_family(3, store)
    front.requests.clear()
    dice = random.Random(3)

    def unlucky(request: Request) -> Refusal | None:
        is_over = len(front.requests) >= 40
        return None if is_over or dice.random() > 0.3 else Refusal(dice.choice((500, 502, 503)), "InternalError")

    front.rule = unlucky
    await bench.publish(message)

    fact = await published(bench)

    assert front.refused("") > 0
    assert ([image.index for image in fact.images], fact.errors) == ([0, 1], ())
    assert stored(front) == Counter(keys_of(*message.images, number=3))


async def test_when_the_budget_is_spent_the_image_fails_with_its_reason_and_the_others_are_kept(
    bench: Bench, store: Store, front: FrontedS3
):
    message = await a_derived_family(4, store)
    lost, kept = message.images
    refused = keys_of(lost, number=4)
    front.rule = lambda request: Refusal(503, "InternalError") if request.key in refused else None

    await bench.hand_over(message, queue=PUBLISHER_DERIVATIVES, tries=LAST_TRY)
    fact = await published(bench)

    assert [image.index for image in fact.images] == [1]
    (error,) = fact.errors
    assert (error.index, error.code) == (0, FailureCode.STORAGE_UNAVAILABLE)
    assert "503 InternalError" in error.message
    assert set(stored(front)) == set(keys_of(kept, number=4))


async def test_when_the_budget_is_spent_for_every_image_the_owner_is_told_why(
    bench: Bench, store: Store, front: FrontedS3
):
    message = await a_derived_family(5, store)
    front.rule = lambda request: Refusal(500, "InternalError") if request.method == "PUT" else None

    await bench.hand_over(message, queue=PUBLISHER_DERIVATIVES, tries=LAST_TRY)
    envelope = await bench.take_envelope(GATEWAY_FAILED.name, within_seconds=60)

    assert isinstance(envelope.data, StageFailed)
    assert (envelope.data.job_id, envelope.data.image_indexes) == (a_job_id(5), (0, 1))
    assert envelope.data.code is FailureCode.STORAGE_UNAVAILABLE
    assert "500 InternalError" in envelope.data.message
    assert not stored(front)


async def test_pictures_that_were_stored_although_no_answer_came_are_published_once(
    bench: Bench, store: Store, front: FrontedS3
):
    message = await a_derived_family(6, store)
    keys = keys_of(*message.images, number=6)
    lost: set[str] = set()

    def first_answer_is_lost(request: Request) -> AnswerLost | None:
        if request.method != "PUT" or request.key in lost:
            return None
        lost.add(request.key)
        return AnswerLost()

    front.rule = first_answer_is_lost
    await bench.publish(message)

    fact = await published(bench)

    assert lost == set(keys)
    assert ([image.index for image in fact.images], fact.errors) == ([0, 1], ())
    assert Counter(front.puts(PUBLIC)) == Counter([*((key, 200) for key in keys), *((key, 412) for key in keys)])
