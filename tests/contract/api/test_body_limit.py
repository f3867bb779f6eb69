"""A body of more than 64 kB is refused before it is parsed, whatever it says of its length."""

import json
from collections.abc import AsyncIterator

import pytest

from contract.api.counter import VARIATIONS, the_problem
from imagetron_gateway.api.middleware import MAX_BODY_BYTES
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


async def _asked(counter, pieces: AsyncIterator[bytes]) -> int:
    """Straight to the application: httpx would read the pieces to their end first."""
    statuses = []

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
