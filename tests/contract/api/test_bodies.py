"""Bodies: one JSON object of at most 64 kB, whatever the headers say of type and length."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from contract.api.counter import JSON, VARIATIONS, pointers, the_problem
from imagetron_gateway.api.middleware import MAX_BODY_BYTES, LimitedBody
from support.builders import a_variation_request


def body_of(size: int) -> bytes:
    """A good submission, padded with blanks."""
    return json.dumps(a_variation_request()).encode().ljust(size)


async def in_pieces(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def test_the_limit_is_64_kibibytes():
    assert MAX_BODY_BYTES == 65_536


async def test_a_body_at_the_limit_is_read(counter):
    assert (await counter.post(body_of(MAX_BODY_BYTES))).status_code == 202


async def test_a_body_in_pieces_is_read(counter):
    assert (await counter.post(in_pieces(body_of(MAX_BODY_BYTES)))).status_code == 202


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 1_000_000])
async def test_a_longer_body_with_an_honest_length_is_refused(counter, size):
    the_problem(await counter.post(body_of(size)), 413, "body-too-large")

    assert await counter.stored() == 0


@pytest.mark.parametrize("length", ["10", "0", "x", "-1"])
async def test_a_longer_body_with_a_lying_length_is_refused(counter, length):
    the_problem(await counter.post(body_of(100_000), Content_Length=length), 413)

    assert await counter.stored() == 0


async def test_a_longer_body_in_pieces_is_refused_before_all_of_it_came(counter):
    pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while True:
            pieces += 1
            yield b" " * 1000

    status = await _asked(counter, endless())

    assert status == 413
    assert pieces == MAX_BODY_BYTES // 1000 + 1
    assert await counter.stored() == 0


async def test_a_caller_who_hangs_up_amid_the_body_is_forgotten(counter):
    sent: list[object] = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await counter.application(_scope(), receive, send)

    assert sent == []
    assert await counter.stored() == 0


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "invalid-request"),
        (b"null", 422, "invalid-request"),
        (b"[]", 422, "invalid-request"),
        (b'["name"]', 422, "invalid-request"),
        (b'"text"', 422, "invalid-request"),
        (b"3", 422, "invalid-request"),
        (b"{}", 422, "invalid-request"),
        (b"{", 400, "invalid-json"),
        (b"{'name': 'a'}", 400, "invalid-json"),
        (b'{"name": }', 400, "invalid-json"),
        (b'{"name": "a"} x', 400, "invalid-json"),
        (b"\xff\xfe\xfd", 400, "bad-request"),
        (b'{"name": "\xff"}', 400, "bad-request"),
        (b"[" * 10_000, 400, "bad-request"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "bad-request"),
        (b'{"generation": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "bad-request"),
        (b'{"name": ' + b"9" * 5_000 + b"}", 400, "bad-request"),
    ],
)
async def test_bodies_that_are_no_json_object_are_refused(counter, content, status, code):
    the_problem(await counter.post(content), status, code)

    assert await counter.stored() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json-patch"},
        {"Content-Type": "text/json"},
    ],
)
async def test_only_json_is_read(counter, headers):
    content = json.dumps(a_variation_request())
    answer = await counter.client.post(VARIATIONS, content=content, headers=headers)

    the_problem(answer, 415, "unsupported-media-type")
    assert await counter.stored() == 0


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json"])
async def test_other_ways_to_say_json_are_read(counter, kind):
    answer = await counter.client.post(
        VARIATIONS, content=json.dumps(a_variation_request()), headers=JSON | {"Content-Type": kind}
    )

    assert answer.status_code == 202


async def _asked(counter, pieces: AsyncIterator[bytes]) -> int:
    """Straight to the application: httpx would read the pieces to their end first."""
    statuses: list[int] = []

    async def receive():
        return {"type": "http.request", "body": await anext(pieces), "more_body": True}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await counter.application(_scope(), receive, send)
    return statuses[0]


def _scope():
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": VARIATIONS,
        "raw_path": VARIATIONS.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"api.example.com"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def test_a_body_that_trickles_is_given_up(counter):
    never = asyncio.Event()

    async def stalled() -> Message:
        await never.wait()
        return {"type": "http.disconnect"}

    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": VARIATIONS, "headers": []}
    await LimitedBody(counter.application, seconds=0.01)(scope, stalled, send)

    assert said[0]["status"] == 408
    assert b"did not arrive within 0.01 s" in said[1]["body"]


async def test_a_body_of_nothing_but_mistakes_is_refused_without_a_list_of_them_all(counter):
    answer = await counter.submit(a_variation_request(families=["a"] * 10_000))

    assert pointers(the_problem(answer, 422, "invalid-request")) == ["/families"]
    assert len(answer.content) < 2000
