"""Providers' callbacks over HTTP: what is taken in, what is refused with nothing changed, and that each is told once."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from contract.api.counter import the_problem
from contract.api.doors import KEYS, REFERENCE, TOKENS, Doors, opened
from imagetron_chassis.callback_tokens import CallbackTokens
from imagetron_chassis.documents import Documents, DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.documents.sqlite import SqliteDocuments
from imagetron_contracts.spec import callback_key
from imagetron_contracts.stages import ProviderCallback
from imagetron_gateway.adapters.inbox import INBOX
from imagetron_gateway.domain.callbacks import MAX_BODY_BYTES
from imagetron_gateway.usecases.calling_back import CALLBACKS_OF_A_TASK
from support.builders import NOW
from support.eventually import eventually

DONE = {"taskId": "task-7", "status": "done", "url": "https://provider.example.com/picture"}
BODY = json.dumps(DONE).encode()
NEW_KEY, OLD_KEY = KEYS["signing"]


@pytest.fixture(params=["memory", "sqlite"])
async def doors(request, tmp_path) -> AsyncIterator[Doors]:
    documents: Documents = (
        InMemoryDocuments() if request.param == "memory" else SqliteDocuments(tmp_path / "documents.sqlite3")
    )
    async with opened(Doors(documents=documents)) as doors:
        yield doors


def tag(body: bytes, event: str, seconds: int, key: bytes) -> str:
    digest = hmac.new(key, f"{event}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed(
    body: bytes = BODY, *, event: str = "msg_1", after_seconds: int = 0, key: bytes = NEW_KEY
) -> list[tuple[str, str]]:
    seconds = int(NOW.timestamp()) + after_seconds
    tags = tag(body, event, seconds, key)
    return [("webhook-id", event), ("webhook-timestamp", str(seconds)), ("webhook-signature", tags)]


def told(doors: Doors) -> list[ProviderCallback]:
    messages = [envelope.data for envelope in doors.publisher.envelopes()]
    assert all(isinstance(message, ProviderCallback) for message in messages)
    return messages  # type: ignore[return-value]


async def test_a_callback_is_acknowledged_when_it_is_kept_and_the_generator_is_told(doors):
    answer = await doors.call_back(DONE)

    assert (answer.status_code, answer.json()) == (202, {"received": True})
    [message] = told(doors)
    assert (message.provider, message.task_reference, message.is_signed) == ("plain", REFERENCE, False)
    assert json.loads(await doors.work.get(callback_key("plain", message.inbox_id))) == DONE


async def test_the_body_is_kept_byte_for_byte(doors):
    body = b'  {"b": 1.50,\n "a": "\xc3\xa4", "b": 2}\n'
    await doors.call_back(body)

    [message] = told(doors)
    assert await doors.work.get(callback_key("plain", message.inbox_id)) == body


@pytest.mark.parametrize("provider", ["plain", "signing"])
async def test_twenty_at_once_are_one_message(doors, provider):
    headers = signed() if provider == "signing" else []

    answers = await asyncio.gather(*(doors.call_back(BODY, provider=provider, headers=headers) for _ in range(20)))

    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"received": True})] * 20
    assert len(told(doors)) == 1
    assert await doors.kept() == 1


async def test_five_deliveries_one_after_the_other_are_one_message(doors):
    for _ in range(5):
        assert (await doors.call_back(DONE)).status_code == 202

    assert len(told(doors)) == 1


async def test_other_news_of_the_same_task_are_told_too(doors):
    for progress in (10, 50, 100):
        await doors.call_back({"progress": progress})

    assert len({message.inbox_id for message in told(doors)}) == 3


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
async def test_it_does_not_matter_what_the_provider_calls_its_json(doors, content_type):
    headers = [("content-type", content_type)] if content_type else []

    assert (await doors.call_back(BODY, headers=headers)).status_code == 202


def forged(token: str) -> list[str]:
    reference, _, own = token.partition(".")
    return [
        f"{reference}.{own[:-1]}{'A' if own[-1] != 'A' else 'B'}",
        f"{reference[:-1]}{'0' if reference[-1] != '0' else '1'}.{own}",
        f"{reference}.",
        reference,
        f"{reference}.{own}x",
        f"{reference.upper()}.{own}",
        "x",
        "%00",
        "ä",
        CallbackTokens("a secret of somebody else, long").token("plain", REFERENCE),
        TOKENS.token("signing", REFERENCE),
        "x" * 5000,
    ]


async def test_a_wrong_address_is_one_and_the_same_404_and_nothing_is_kept(doors):
    token = TOKENS.token("plain", REFERENCE)
    answers = [await doors.call_back(DONE, token=wrong) for wrong in forged(token)]
    unknown = ["nobody", "Plain", "plain%20", "%00", "x" * 3000]
    answers += [await doors.call_back(DONE, provider=name, token=token) for name in unknown]
    answers += [await doors.call_back(DONE, provider=name, token=TOKENS.token(name, REFERENCE)) for name in ("nobody",)]

    bodies = []
    for answer in answers:
        problem = the_problem(answer, 404, "not-found")
        bodies.append({name: value for name, value in problem.items() if name != "trace_id"})
    assert all(body == bodies[0] for body in bodies)
    assert told(doors) == []
    assert await doors.kept() == 0


async def test_a_wrong_address_is_answered_without_reading_the_body(doors):
    pieces = 0

    async def endless() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    status = await asked(doors, "/webhooks/providers/plain/forged", endless)

    assert (status, pieces) == (404, 0)


async def test_a_signed_callback_is_told_as_signed(doors):
    answer = await doors.call_back(BODY, provider="signing", headers=signed())

    assert answer.status_code == 202
    assert [message.is_signed for message in told(doors)] == [True]


async def test_while_the_provider_replaces_its_key_either_signature_is_enough(doors):
    foreign = tag(BODY, "msg_2", int(NOW.timestamp()), b"somebody else's key, long")
    both = signed(event="msg_2", key=OLD_KEY)
    both[2] = ("webhook-signature", f"{foreign} {both[2][1]}")

    assert (await doors.call_back(BODY, provider="signing", headers=signed(key=OLD_KEY))).status_code == 202
    assert (await doors.call_back(BODY, provider="signing", headers=both)).status_code == 202
    assert len(told(doors)) == 2


async def test_a_signed_event_sent_again_within_the_window_is_the_same_whatever_its_body_says(doors):
    await doors.call_back(BODY, provider="signing", headers=signed())
    other = json.dumps(DONE | {"status": "failed"}).encode()
    later = signed(other, after_seconds=60)
    doors.clock.advance(60)

    assert (await doors.call_back(other, provider="signing", headers=later)).status_code == 202

    [message] = told(doors)
    assert await doors.work.get(callback_key("signing", message.inbox_id)) == BODY


def without(name: str) -> list[tuple[str, str]]:
    return [pair for pair in signed() if pair[0] != name]


NOT_SIGNED = {
    "no signature at all": (BODY, []),
    "no id": (BODY, without("webhook-id")),
    "no timestamp": (BODY, without("webhook-timestamp")),
    "no signature": (BODY, without("webhook-signature")),
    "another body": (BODY.replace(b"done", b"gone"), signed()),
    "the same body written anew": (json.dumps(DONE, separators=(",", ":")).encode(), signed()),
    "a truncated body": (BODY[:-1], signed()),
    "another key": (BODY, signed(key=b"somebody else's key, long")),
    "another id": (BODY, [("webhook-id", "msg_2"), *without("webhook-id")]),
    "too old": (BODY, signed(after_seconds=-301)),
    "from the future": (BODY, signed(after_seconds=301)),
    "two ids": (BODY, [("webhook-id", "msg_1"), *signed()]),
    "two timestamps": (BODY, [("webhook-timestamp", "1"), *signed()]),
    "not even JSON": (b"{", []),
}


@pytest.mark.parametrize("what", NOT_SIGNED)
async def test_a_provider_that_signs_is_not_believed_without(doors, what):
    body, headers = NOT_SIGNED[what]

    answer = await doors.call_back(body, provider="signing", headers=headers)

    the_problem(answer, 401, "not-signed")
    assert "WWW-Authenticate" in answer.headers
    assert told(doors) == []
    assert await doors.kept() == 0


async def test_a_recorded_delivery_sent_again_hours_later_is_refused(doors):
    headers = signed()
    await doors.call_back(BODY, provider="signing", headers=headers)
    doors.clock.advance(timedelta(hours=2).total_seconds())

    the_problem(await doors.call_back(BODY, provider="signing", headers=headers), 401, "not-signed")
    assert len(told(doors)) == 1


async def test_a_right_signature_sent_to_another_tasks_address_changes_nothing(doors):
    await doors.call_back(BODY, provider="signing", headers=signed())

    elsewhere = TOKENS.token("signing", REFERENCE[::-1])
    await doors.call_back(BODY, provider="signing", token=elsewhere, headers=signed())

    assert [message.task_reference for message in told(doors)] == [REFERENCE]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid-json"),
        (b"{", 400, "invalid-json"),
        (b"\xff", 400, "invalid-json"),
        (b'{"a": NaN}', 400, "invalid-json"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "invalid-json"),
        (b"[]", 422, "invalid-request"),
        (b"null", 422, "invalid-request"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 422, "invalid-request"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "invalid-request"),
    ],
)
async def test_only_json_objects_of_bounded_depth_are_kept(doors, body, status, code):
    the_problem(await doors.call_back(body), status, code)

    assert told(doors) == []
    assert await doors.kept() == 0


async def test_the_longest_body_is_kept_and_one_byte_more_is_not(doors):
    longest = b'{"a":"' + b"x" * (MAX_BODY_BYTES - 8) + b'"}'
    assert len(longest) == MAX_BODY_BYTES

    the_problem(await doors.call_back(longest + b" "), 413, "body-too-large")
    assert await doors.kept() == 0
    assert (await doors.call_back(longest)).status_code == 202


async def test_a_longer_body_in_pieces_is_refused_before_all_of_it_came(doors):
    pieces = 0

    async def endless() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": True}

    status = await asked(doors, f"/webhooks/providers/plain/{TOKENS.token('plain', REFERENCE)}", endless)

    assert (status, pieces) == (413, MAX_BODY_BYTES // 1000 + 1)


async def test_who_hangs_up_amid_the_body_has_said_nothing(doors):
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    status = await asked(doors, f"/webhooks/providers/plain/{TOKENS.token('plain', REFERENCE)}", gone)

    assert status == 400
    assert await doors.kept() == 0


async def test_a_task_can_fill_only_so_much_of_the_store(doors):
    for number in range(CALLBACKS_OF_A_TASK):
        await doors.call_back({"number": number})

    refused = await doors.call_back({"one": "more"})

    the_problem(refused, 429, "too-many-callbacks")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await doors.call_back({"number": 3})).status_code == 202
    assert await doors.documents.count(INBOX) == CALLBACKS_OF_A_TASK


async def test_more_at_once_than_there_are_places_are_asked_to_come_again():
    """Each of them holds its body in memory."""
    async with opened(Doors()) as doors:
        go_on, waiting = asyncio.Event(), 0

        async def slow() -> Message:
            nonlocal waiting
            waiting += 1
            await go_on.wait()
            return {"type": "http.request", "body": BODY, "more_body": False}

        path = f"/webhooks/providers/plain/{TOKENS.token('plain', REFERENCE)}"
        held = [asyncio.create_task(asked(doors, path, slow)) for _ in range(64)]
        await eventually(lambda: waiting == 64)
        answer = await doors.call_back(DONE)
        go_on.set()

        the_problem(answer, 503, "busy")
        assert set(await asyncio.gather(*held)) == {202}
        assert (await doors.call_back(DONE)).status_code == 202


class AwayDocuments(InMemoryDocuments):
    """A store that cannot answer now."""

    async def insert(self, *_, **__):
        raise DocumentsUnavailable("mongodb://10.0.0.7:27017: connection refused (pymongo)")


async def test_while_the_store_is_away_nothing_is_acknowledged():
    async with opened(Doors(documents=AwayDocuments())) as doors:
        answer = await doors.call_back(DONE)

    the_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert doors.publisher.sent == []


async def test_each_is_measured_and_no_caller_chooses_a_name_in_the_measurement(doors):
    for _ in range(2):
        await doors.call_back(DONE)
    await doors.call_back(DONE, token="forged")
    await doors.call_back(DONE, provider="nobody", token=TOKENS.token("nobody", REFERENCE))
    await doors.call_back(DONE, provider="signing")
    await doors.call_back(b"{")
    await doors.call_back(b"[]")
    await doors.call_back(b" " * (MAX_BODY_BYTES + 1))

    assert doors.counted == [
        ("taken", "plain"),
        ("duplicate", "plain"),
        ("unknown", None),
        ("unknown", None),
        ("not_signed", "signing"),
        ("unreadable", "plain"),
        ("unreadable", "plain"),
        ("refused", "plain"),
    ]


async def test_neither_token_nor_body_nor_signature_gets_into_the_log(doors):
    with capture_logs() as lines:
        await doors.call_back(DONE)
        await doors.call_back(BODY.replace(b"done", b"gone"), provider="signing", headers=signed())
        await doors.call_back(b"{task-7", headers=signed())
        await doors.call_back(DONE, token="x.task-7")

    text = json.dumps(lines, default=str)
    assert {line["event"] for line in lines} == {"request_handled", "callback_not_signed"}
    for secret in ("task-7", REFERENCE, signed()[2][1], "msg_1"):
        assert secret not in text


async def asked(doors: Doors, path: str, receive) -> int:
    """Straight to the application: httpx would read the body to its end first."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"api.example.com"), (b"content-type", b"application/json")],
        "server": ("api.example.com", 443),
        "client": ("127.0.0.1", 1),
    }
    await doors.application(scope, receive, send)
    return statuses[0]
