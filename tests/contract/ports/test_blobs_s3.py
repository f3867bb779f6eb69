"""How the S3 adapter fails: which error it raises for what the store does, and how long that may take at most."""

import asyncio
import socketserver
import threading
import time
from pathlib import Path

import pytest

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_chassis.errors import Permanent, RateLimited
from support.eventually import eventually
from support.ports import free_port
from support.s3 import (
    Answer,
    S3Server,
    answering,
    at_first,
    fixed_answer,
    half_an_answer,
    moto_s3,  # noqa: F401 - a fixture, asked for by name
    no_answer,
    rclone_s3,  # noqa: F401 - the same
    running_rclone,
    sips,
    trickle,
)

DEADLINE_SECONDS = 0.4


def s3_blobs(server: S3Server, *, deadline_seconds: float = 10, bucket: str = "", secret: str = "", **more) -> S3Blobs:
    return S3Blobs(
        endpoint=server.endpoint,
        bucket=bucket or server.bucket,
        access_key_id=server.access_key_id,
        secret_access_key=secret or server.secret_access_key,
        deadline_seconds=deadline_seconds,
        **{"threads": 2} | more,
    )


@pytest.fixture
def conditional_server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue("moto_s3")  # type: ignore[no-any-return]


@pytest.fixture
def verifying_server(request: pytest.FixtureRequest) -> S3Server:
    return request.getfixturevalue("rclone_s3")  # type: ignore[no-any-return]


async def put(store: S3Blobs, key: str = "j/a.png") -> bool:
    return await store.put_if_absent(key, b"pixels", content_type="image/png")


METHODS = {
    "put": put,
    "get": lambda store: store.get("j/a.png"),
    "head": lambda store: store.head("j/a.png"),
    "delete": lambda store: store.delete("j/a.png"),
    "ping": lambda store: store.ping(),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@every_method
async def test_a_store_that_is_down_is_unavailable_at_once(method):
    store = s3_blobs(S3Server(f"http://127.0.0.1:{free_port()}"), deadline_seconds=10)
    began = time.monotonic()

    with pytest.raises(BlobsUnavailable, match=r"broke off the .*Could not connect"):
        await method(store)

    assert time.monotonic() - began < 5
    await store.close()


@every_method
async def test_a_store_that_never_answers_is_unavailable_within_the_deadline(method):
    with answering(no_answer) as server:
        store = s3_blobs(server, deadline_seconds=DEADLINE_SECONDS)
        began = time.monotonic()

        with pytest.raises(BlobsUnavailable):
            await method(store)

        assert time.monotonic() - began < DEADLINE_SECONDS + 4
        await store.close()


async def test_an_answer_that_trickles_is_given_up_at_the_deadline():
    with answering(trickle) as server:
        store = s3_blobs(server, deadline_seconds=DEADLINE_SECONDS)
        began = time.monotonic()

        with pytest.raises(BlobsUnavailable, match=r"did not finish the get of j/a.png within 0.4 s"):
            await store.get("j/a.png")

        assert time.monotonic() - began < DEADLINE_SECONDS + 4
        await store.close()


async def test_an_answer_given_up_gives_its_thread_back():
    with answering(at_first(trickle, fixed_answer(404))) as server:
        store = s3_blobs(server, deadline_seconds=1, threads=1)
        with pytest.raises(BlobsUnavailable):
            await store.get("j/a.png")

        is_answered: bool = await eventually(lambda: answers(store))
        assert is_answered

        await store.close()


@pytest.mark.parametrize("first", [no_answer, sips])
async def test_an_upload_given_up_gives_its_thread_back(first: Answer):
    with answering(at_first(first, fixed_answer(404)), is_reading=False) as server:
        store = s3_blobs(server, deadline_seconds=1, threads=1)
        with pytest.raises(BlobsUnavailable, match="the put of j/a"):
            await store.put_if_absent("j/a", b"x" * 20_000_000, content_type="image/png")

        is_answered: bool = await eventually(lambda: answers(store))
        assert is_answered

        await store.close()


async def answers(store: S3Blobs) -> bool:
    try:
        return await store.head("j/a.png") is None
    except BlobsUnavailable:
        return False


async def test_callers_that_wait_for_a_thread_are_bounded_by_the_deadline_as_well():
    with answering(no_answer) as server:
        store = s3_blobs(server, deadline_seconds=DEADLINE_SECONDS)
        began = time.monotonic()

        outcomes = await asyncio.gather(*(store.get(f"j/{number}") for number in range(20)), return_exceptions=True)

        assert time.monotonic() - began < DEADLINE_SECONDS + 4
        assert {type(outcome) for outcome in outcomes} == {BlobsUnavailable}
        await store.close()


async def test_an_answer_that_breaks_off_is_never_taken_for_the_object():
    with answering(half_an_answer) as server:
        store = s3_blobs(server)

        with pytest.raises(BlobsUnavailable, match=r"broke off the get of j/a\.png"):
            await store.get("j/a.png")

        await store.close()


@pytest.mark.parametrize(
    ("status", "code", "error", "sentence"),
    [
        (409, "ConditionalRequestConflict", BlobsUnavailable, "answered the put of j/a.png with 409 Cond"),
        (500, "InternalError", BlobsUnavailable, "with 500 InternalError"),
        (502, "", BlobsUnavailable, "with 502"),
        (503, "ServiceUnavailable", BlobsUnavailable, "with 503"),
        (504, "", BlobsUnavailable, "with 504"),
        (400, "RequestTimeout", BlobsUnavailable, "with 400 RequestTimeout"),
        (503, "SlowDown", RateLimited, "it wants fewer requests"),
        (429, "TooManyRequests", RateLimited, "it wants fewer requests"),
        (403, "AccessDenied", Permanent, "the credentials are wrong or may not do this in bucket 'imagetron-test'"),
        (401, "Unauthorized", Permanent, "the credentials are wrong"),
        (404, "NoSuchBucket", Permanent, "has no bucket 'imagetron-test'"),
        (501, "NotImplemented", Permanent, "use conditional_puts=False"),
        (400, "EntityTooLarge", Permanent, "with 400 EntityTooLarge"),
    ],
)
async def test_each_refusal_of_a_put_has_its_class_of_error(status, code, error, sentence):
    with answering(fixed_answer(status, code, headers="retry-after: 7\r\n")) as server:
        store = s3_blobs(server)

        with pytest.raises(error, match=sentence) as caught:
            await put(store)

        assert type(caught.value) is error
        assert getattr(caught.value, "retry_after_seconds", 7.0) == 7.0
        await store.close()


async def test_without_conditional_puts_the_condition_is_not_sent_and_a_refused_look_stores_nothing():
    with answering(fixed_answer(503)) as server:
        store = s3_blobs(server, conditional_puts=False)

        with pytest.raises(BlobsUnavailable, match="with 503"):
            await put(store)

        await store.close()


async def test_a_store_that_ignores_the_condition_is_found_out_by_putting_twice(verifying_server: S3Server):
    store = s3_blobs(verifying_server, prefix="found-out")

    assert [await put(store), await put(store)] == [True, True]

    await store.close()


@pytest.mark.parametrize("server_name", ["moto_s3", "rclone_s3"])
async def test_a_missing_bucket_is_named_with_its_endpoint(request: pytest.FixtureRequest, server_name: str):
    server = request.getfixturevalue(server_name)
    store = s3_blobs(server, bucket="no-such-bucket")

    for call in (store.ping, lambda: put(store), lambda: store.get("j/a.png")):
        with pytest.raises(Permanent, match=f"{server.endpoint} has no bucket 'no-such-bucket'"):
            await call()

    await store.close()


@every_method
async def test_wrong_credentials_are_a_permanent_error_without_the_credentials(verifying_server: S3Server, method):
    store = s3_blobs(verifying_server, secret="a-wrong-secret")

    with pytest.raises(Permanent, match="the credentials are wrong") as caught:
        await method(store)

    await store.close()
    chain = [caught.value, caught.value.__cause__, store]
    assert not [text for text in map(repr, chain) if "secret" in text or verifying_server.access_key_id in text]


async def test_a_prefix_keeps_two_users_of_one_bucket_apart(conditional_server: S3Server):
    one, other = s3_blobs(conditional_server, prefix="one"), s3_blobs(conditional_server, prefix="other/deep")

    assert [await put(one), await put(other)] == [True, True]
    await one.delete("j/a.png")

    info = await other.head("j/a.png")
    assert info is not None
    assert info.key == "j/a.png"
    await one.close()
    await other.close()


async def test_a_store_that_comes_back_is_used_again_without_being_told(tmp_path: Path):
    with running_rclone(tmp_path) as server:
        store = s3_blobs(server, conditional_puts=False)
        await put(store)

    with pytest.raises(BlobsUnavailable):
        await store.get("j/a.png")

    with running_rclone(tmp_path, port=int(server.endpoint.rsplit(":", 1)[1])):
        assert await store.get("j/a.png") == b"pixels"
    await store.close()


def stumbling(times: int, status: int = 503, code: str = "InternalError") -> tuple[Answer, list[int]]:
    """A store that fails so often and then says that there is no such object; and how often it was asked."""
    asked: list[int] = []
    failing, working = fixed_answer(status, code), fixed_answer(404)

    def answer(client: socketserver.StreamRequestHandler, closing: threading.Event) -> None:
        asked.append(len(asked))
        (failing if len(asked) <= times else working)(client, closing)

    return answer, asked


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_passing_error_of_the_store_is_asked_about_again_at_once(status):
    answer, asked = stumbling(1, status)
    with answering(answer) as server:
        store = s3_blobs(server)

        assert await store.head("j/a.png") is None

        assert len(asked) == 2
        await store.close()


async def test_a_store_that_goes_on_failing_is_unavailable_after_the_second_time():
    answer, asked = stumbling(99)
    with answering(answer) as server:
        store = s3_blobs(server)

        with pytest.raises(BlobsUnavailable, match="with 503"):
            await store.head("j/a.png")

        assert len(asked) == 2
        await store.close()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(429, "TooManyRequests", RateLimited), (503, "SlowDown", RateLimited), (403, "", Permanent)],
)
async def test_who_asks_to_slow_down_or_refuses_for_good_is_not_asked_again(status, code, error):
    answer, asked = stumbling(99, status, code)
    with answering(answer) as server:
        store = s3_blobs(server)

        with pytest.raises(error):
            await put(store)

        assert len(asked) == 1
        await store.close()


async def test_a_store_that_is_down_for_all_is_spared_the_repetitions():
    answer, asked = stumbling(9_999)
    with answering(answer) as server:
        store = s3_blobs(server, threads=8)

        outcomes = await asyncio.gather(*(put(store, f"j/{number}") for number in range(100)), return_exceptions=True)

        assert {type(outcome) for outcome in outcomes} == {BlobsUnavailable}
        # Were each asked about again, there would be 200. Some find their connection closed, and ask nothing.
        assert len(asked) <= 100 + 10 + 10
        await store.close()
