"""`/api/prompts/*`: what the gateway asks of the prompt service, how it shows the answers, and which requests it refuses."""

import json
from datetime import timedelta
from typing import Any

import pytest

from contract.api.counter import ANNA, the_problem
from imagetron_contracts import rpc
from imagetron_contracts.rpc import Caller, Refusal, Source
from support.builders import NOW
from support.prompts import a_refusal

PROMPTS = "/api/prompts"
SUBJECTS = f"{PROMPTS}/subjects"
HISTORY = f"{SUBJECTS}/history"
ME = Caller(owner=ANNA.owner)
TURN = rpc.SubjectsTurn(
    id="turn-1",
    topic="autumn",
    subjects=("wet leaves", "a cup"),
    source=Source.MODEL,
    template="subjects@1",
    created_at=NOW,
)
PROMPT = rpc.Prompt(
    id="prompt-1",
    version=3,
    title="Rain",
    text="wet leaves \N{MAPLE LEAF}\n“golden” light",
    subject="wet leaves",
    status="draft",
    source=Source.OFFLINE,
    template="offline-prompts@1",
    created_at=NOW,
    updated_at=NOW + timedelta(minutes=1),
)
SHOWN = {
    "id": "prompt-1",
    "version": 3,
    "title": "Rain",
    "text": "wet leaves \N{MAPLE LEAF}\n“golden” light",
    "subject": "wet leaves",
    "status": "draft",
    "source": "offline",
    "template": "offline-prompts@1",
    "createdAt": "2026-01-01T12:00:00Z",
    "updatedAt": "2026-01-01T12:01:00Z",
}


async def test_proposed_subjects_are_shown_with_their_source(counter):
    counter.prompts.answer(rpc.ProposeSubjects, rpc.SubjectsProposed(turn=TURN))

    answer = await counter.submit({"topic": "autumn", "count": 2}, SUBJECTS)

    assert (answer.status_code, answer.json()) == (
        201,
        {
            "id": "turn-1",
            "topic": "autumn",
            "subjects": ["wet leaves", "a cup"],
            "source": "model",
            "template": "subjects@1",
            "createdAt": "2026-01-01T12:00:00Z",
        },
    )
    [asked] = counter.prompts.asked
    assert (asked.caller, asked.topic, asked.count) == (ME, "autumn", 2)


async def test_the_chat_is_read_in_pages_and_forgotten(counter):
    counter.prompts.answer(rpc.ReadSubjectsHistory, rpc.SubjectsHistory(turns=(TURN,), next="more"))
    counter.prompts.answer(rpc.ForgetSubjects, rpc.SubjectsForgotten(count=1))

    page = await counter.get(f"{HISTORY}?after=some&limit=7")
    gone = await counter.client.delete(HISTORY)

    assert ([turn["id"] for turn in page.json()["items"]], page.json()["next"]) == (["turn-1"], "more")
    assert (gone.status_code, gone.content) == (204, b"")
    assert counter.prompts.asked == [
        rpc.ReadSubjectsHistory(caller=ME, after="some", limit=7),
        rpc.ForgetSubjects(caller=ME),
    ]


async def test_prompts_are_written_for_subjects_and_listed_by_label(counter):
    counter.prompts.answer(rpc.WritePrompts, rpc.PromptsWritten(prompts=(PROMPT,)))
    counter.prompts.answer(rpc.ListPrompts, rpc.PromptPage(prompts=(PROMPT,), next="more"))

    written = await counter.submit({"subjects": ["wet leaves"], "perSubject": 2, "style": "film"}, PROMPTS)
    page = await counter.get(f"{PROMPTS}?status=draft&after=some&limit=7")

    assert (written.status_code, written.json()) == (201, {"items": [SHOWN], "next": None})
    assert page.json() == {"items": [SHOWN], "next": "more"}
    first, second = counter.prompts.asked
    assert (first.subjects, first.per_subject, first.style) == (("wet leaves",), 2, "film")
    assert second == rpc.ListPrompts(caller=ME, status="draft", after="some", limit=7)


async def test_the_labels_are_those_that_the_operator_configured(counter):
    described = rpc.PromptsDescribed(service_version="1", source="offline", statuses=("draft", "used"))
    counter.prompts.answer(rpc.DescribePrompts, described)

    assert (await counter.get(f"{PROMPTS}/statuses")).json() == {"items": ["draft", "used"], "next": None}


async def test_a_prompt_is_read_with_the_etag_that_a_change_of_it_may_name(counter):
    counter.prompts.answer(rpc.GetPrompt, rpc.PromptShown(prompt=PROMPT))
    counter.prompts.answer(rpc.ChangePrompt, rpc.PromptShown(prompt=PROMPT.model_copy(update={"version": 4})))

    read = await counter.get(f"{PROMPTS}/prompt-1")
    etag = read.headers["ETag"]
    changed = await counter.client.patch(f"{PROMPTS}/prompt-1", json={"status": "used"}, headers={"If-Match": etag})

    assert (read.json(), etag) == (SHOWN, '"3"')
    assert (changed.json()["version"], changed.headers["ETag"]) == (4, '"4"')
    assert counter.prompts.asked[1] == rpc.ChangePrompt(caller=ME, prompt_id="prompt-1", if_version=3, status="used")


@pytest.mark.parametrize(
    ("if_match", "version"),
    [
        (None, None),
        ("*", None),
        ('"12"', 12),
        (' "12" ', 12),
        ('W/"3"', 0),
        ('"abc"', 0),
        ('""', 0),
        ('"' + "9" * 30 + '"', 0),
    ],
)
async def test_if_match_names_a_version_or_one_that_no_prompt_has(counter, if_match, version):
    counter.prompts.answer(rpc.RemovePrompt, rpc.PromptRemoved())
    headers = {} if if_match is None else {"If-Match": if_match}

    answer = await counter.client.delete(f"{PROMPTS}/prompt-1", headers=headers)

    assert answer.status_code == 204
    assert counter.prompts.asked == [rpc.RemovePrompt(caller=ME, prompt_id="prompt-1", if_version=version)]


@pytest.mark.parametrize("if_match", ["3", '"3", "4"', '"3', "abc"])
async def test_an_if_match_that_cannot_be_read_changes_nothing(counter, if_match):
    answer = await counter.client.delete(f"{PROMPTS}/prompt-1", headers={"If-Match": if_match})

    the_problem(answer, 400, "bad-header")
    assert counter.prompts.asked == []


async def test_a_prompt_that_has_changed_meanwhile_is_left_alone(counter):
    counter.prompts.answer(rpc.ChangePrompt, a_refusal(Refusal.CHANGED))

    answer = await counter.client.patch(f"{PROMPTS}/p", json={"title": "x"}, headers={"If-Match": '"1"'})

    the_problem(answer, 412, "changed")


async def test_a_different_title_is_written_for_a_prompt(counter):
    counter.prompts.answer(rpc.RetitlePrompt, rpc.PromptShown(prompt=PROMPT, is_replay=True))

    answer = await counter.client.post(
        f"{PROMPTS}/prompt-1/title", headers={"If-Match": '"2"', "Idempotency-Key": "one"}
    )

    assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, SHOWN, '"3"')
    assert answer.headers["Idempotency-Replayed"] == "true"
    [asked] = counter.prompts.asked
    assert (asked.prompt_id, asked.if_version) == ("prompt-1", 2)


async def calls_of(counter, *bodies: dict[str, Any], **headers: str) -> list[rpc.PaidCall]:
    counter.prompts.answer(rpc.ProposeSubjects, rpc.SubjectsProposed(turn=TURN))
    for body in bodies:
        assert (await counter.submit(body, SUBJECTS, **headers)).status_code == 201
    return [asked.call for asked in counter.prompts.asked]


async def test_a_request_that_is_repeated_under_its_key_is_the_same_paid_call(counter):
    first, again = await calls_of(counter, {"topic": "a"}, {"topic": "a", "count": 10}, Idempotency_Key="one")

    assert first == again


async def test_another_body_under_the_same_key_has_the_same_call_and_another_fingerprint(counter):
    first, other = await calls_of(counter, {"topic": "a"}, {"topic": "b"}, Idempotency_Key="one")

    assert (first.id == other.id, first.fingerprint == other.fingerprint) == (True, False)


async def test_requests_without_a_key_are_all_different_calls(counter):
    first, again = await calls_of(counter, {"topic": "a"}, {"topic": "a"})

    assert first.id != again.id


async def test_the_same_key_of_another_owner_is_another_call(counter):
    [first] = await calls_of(counter, {"topic": "a"}, Idempotency_Key="one")
    counter.principal = type(ANNA)(owner="bert", scopes=frozenset({"*"}))
    [_, other] = await calls_of(counter, {"topic": "a"}, Idempotency_Key="one")

    assert first.id != other.id


@pytest.mark.parametrize(
    ("refusal", "status", "code", "pointers"),
    [
        (a_refusal(Refusal.KEY_REUSED), 422, "idempotency-key-reused", ["Idempotency-Key"]),
        (a_refusal(Refusal.STILL_RUNNING, retryable=True, wait=3.1), 409, "still-running", []),
        (a_refusal(Refusal.UNKNOWN_OUTCOME), 409, "outcome-unknown", []),
        (a_refusal(Refusal.INVALID, field="topic"), 422, "invalid-request", ["/topic"]),
        (a_refusal(Refusal.INVALID, field="after"), 422, "invalid-request", ["?after"]),
        (a_refusal(Refusal.NOT_FOUND), 404, "not-found", []),
        (rpc.RequestRefused(message="of a newer service", retryable=True), 503, "unavailable", []),
        (rpc.RequestRefused(message="of an older service", retryable=False), 500, "internal", []),
    ],
    ids=lambda value: value.code.value if isinstance(value, rpc.RequestRefused) and value.code else "",
)
async def test_refusals_of_the_service_are_problems_of_their_own(counter, refusal, status, code, pointers):
    counter.prompts.answer(rpc.ProposeSubjects, refusal)

    answer = await counter.submit({"topic": "a"}, SUBJECTS)

    problem = the_problem(answer, status, code)
    assert [error["pointer"] for error in problem["errors"]] == pointers
    if code == "still-running":
        assert answer.headers["Retry-After"] == "4"


async def test_a_call_that_runs_is_asked_for_again_soon_however_long_its_lease_is(counter):
    counter.prompts.answer(rpc.ProposeSubjects, a_refusal(Refusal.STILL_RUNNING, retryable=True, wait=39.5))

    assert (await counter.submit({"topic": "a"}, SUBJECTS)).headers["Retry-After"] == "5"


NO_TEXTS: list[Any] = [None, 1, True, [], "", "  ", "a\0", "\udfff"]
_NO_COUNTS: list[Any] = [0, 21, -1, 1.5, "3", None, True]
_NO_SUBJECTS: list[Any] = [None, [], "a", {}, ["a"] * 11, ["A ", "a"]]
_NO_NUMBERS: list[Any] = [0, 11, 1.5, "1", None]
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((SUBJECTS, {"topic": given}, "/topic") for given in [*NO_TEXTS, "a" * 501]),
    *((SUBJECTS, {"topic": "a", "count": given}, "/count") for given in _NO_COUNTS),
    (SUBJECTS, {}, "/topic"),
    (SUBJECTS, {"topic": "a", "chat": "b"}, "/chat"),
    *((PROMPTS, {"subjects": given}, "/subjects") for given in _NO_SUBJECTS),
    *((PROMPTS, {"subjects": [given]}, "/subjects/0") for given in [*NO_TEXTS, "a" * 201, "a\nb"]),
    *((PROMPTS, {"subjects": ["a"], "perSubject": given}, "/perSubject") for given in _NO_NUMBERS),
    (PROMPTS, {"subjects": ["a", "b"], "perSubject": 6}, ""),
    (PROMPTS, {"subjects": ["a"], "style": None}, "/style"),
    (PROMPTS, {"subjects": ["a"], "style": "a" * 201}, "/style"),
    (PROMPTS, {"prompts": ["a"]}, "/subjects"),
]


@pytest.mark.parametrize(("path", "body", "pointer"), REFUSED, ids=str)
async def test_a_bad_field_is_refused_by_name_and_nobody_is_asked(counter, path, body, pointer):
    problem = the_problem(await counter.submit(body, path), 422, "invalid-request")

    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert counter.prompts.asked == []


CHANGES_REFUSED = [
    ({}, ""),
    *(({"title": given}, "/title") for given in [1, "", "a" * 101, "a\nb", "a\0"]),
    *(({"text": given}, "/text") for given in [1, "", " ", "a" * 4001, "a\0", "\ud800"]),
    *(({"status": given}, "/status") for given in [1, [], "a" * 31]),
    ({"title": None}, ""),
    ({"id": "other"}, "/id"),
    ({"version": 3, "title": "a"}, "/version"),
]


@pytest.mark.parametrize(("body", "pointer"), CHANGES_REFUSED, ids=str)
async def test_a_bad_change_is_refused_by_name_and_nobody_is_asked(counter, body, pointer):
    content = json.dumps(body)
    answer = await counter.client.patch(
        f"{PROMPTS}/prompt-1", content=content, headers={"Content-Type": "application/json"}
    )

    problem = the_problem(answer, 422, "invalid-request")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert counter.prompts.asked == []
