"""Dead letters over HTTP: seen with what is known of their jobs, sent home or dropped as chosen, and written down."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.api.counter import Counter, pointers, the_problem
from imagetron_chassis.publishing import BrokerUnavailable
from imagetron_contracts.topology import DERIVER_RENDERS, QUEUES
from imagetron_gateway.adapters.jobs import JOBS
from support.builders import a_variation_request, stage_failed
from support.operating import a_letter

ALL = "/api/admin/dead-letters"
HERE = f"{ALL}/{DERIVER_RENDERS.name}"


async def ask(counter: Counter, verb: str, **body: Any) -> Any:
    return await counter.client.post(f"{HERE}/{verb}", json=body)


async def did(counter: Counter) -> list[tuple[str, dict[str, Any]]]:
    lines = (await counter.get("/api/admin/audit")).json()["items"]
    return [(line["what"], line["details"]) for line in lines][::-1]


def bury(counter: Counter, *names: str) -> None:
    counter.letters.bury(DERIVER_RENDERS, *(a_letter(name, name.encode()) for name in names))


async def left(counter: Counter) -> list[str]:
    return [letter["id"] for letter in (await counter.get(HERE)).json()["items"]]


async def test_every_queue_is_listed_with_its_depth_and_its_oldest_letter(counter: Counter):
    died_at = datetime(2026, 1, 1, 10, tzinfo=UTC)
    counter.letters.bury(DERIVER_RENDERS, a_letter("old", died_at=died_at), a_letter("new"))

    items = {item["queue"]: item for item in (await counter.get(ALL)).json()["items"]}

    assert items.keys() == {queue.name for queue in QUEUES}
    assert items.pop(DERIVER_RENDERS.name) == {
        "queue": DERIVER_RENDERS.name,
        "depth": 2,
        "oldestDiedAt": "2026-01-01T10:00:00Z",
        "oldestReason": "rejected",
    }
    assert {item["depth"] for item in items.values()} == {0}


@pytest.mark.parametrize("name", [DERIVER_RENDERS.name, DERIVER_RENDERS.dead_letters])
async def test_letters_are_listed_oldest_first_and_stay(counter: Counter, name: str):
    bury(counter, "a", "b", "c")

    first = (await counter.get(f"{ALL}/{name}?limit=2")).json()

    assert first["queue"] == DERIVER_RENDERS.name
    assert ([letter["id"] for letter in first["items"]], first["complete"]) == (["a", "b"], False)
    assert await left(counter) == ["a", "b", "c"]


async def test_a_letter_shows_its_jobs_status_and_what_helps_more_than_a_replay(counter: Counter):
    submitted = (await counter.submit(a_variation_request(families=["square"]))).json()
    job = await counter.job(submitted["id"])
    about: dict[str, Any] = {"envelope": {"type": "RENDERS_GENERATED", "correlationid": job.id}, "unreadable": None}
    counter.letters.bury(DERIVER_RENDERS, a_letter("a", **about), a_letter("b", envelope={"subject": "nobody's"}))

    running, strangers = (await counter.get(HERE)).json()["items"]
    await counter.play(job.id, stage_failed(job, "square"))
    failed, _ = (await counter.get(HERE)).json()["items"]

    assert (running["type"], running["jobId"], running["jobStatus"]) == ("RENDERS_GENERATED", job.id, "queued")
    assert running["hint"] is None
    assert (strangers["jobId"], strangers["jobStatus"], strangers["hint"]) == ("nobody's", None, None)
    assert failed["jobStatus"] == "failed"
    assert f"imagetron queue retry {job.id}" in failed["hint"]


async def test_one_letter_is_shown_whole(counter: Counter):
    body = json.dumps({"type": "RENDERS_GENERATED", "data": "é"}).encode()
    death = {"reason": "rejected", "count": 2, "time": datetime(2026, 1, 1, tzinfo=UTC)}
    headers = {"x-death": [death], "odd": b"\xff\x1b", "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}}, "n": 3}
    counter.letters.bury(DERIVER_RENDERS, a_letter("a", body, headers=headers, content_type="text/plain"))

    shown = (await counter.get(f"{HERE}/a")).json()

    assert json.loads(shown["body"]) == json.loads(body)
    assert (shown["bodyIsJson"], shown["bodyIsComplete"], shown["bodyBytes"]) == (True, True, len(body))
    assert shown["headers"]["x-death"] == [{"reason": "rejected", "count": 2, "time": "2026-01-01T00:00:00+00:00"}]
    assert shown["headers"]["odd"] == r"\xff\x1b"
    assert shown["headers"]["n"] == 3
    assert (shown["contentType"], shown["queue"]) == ("text/plain", DERIVER_RENDERS.name)
    the_problem(await counter.get(f"{HERE}/b"), 404)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\xff\xfe", r"\xff\xfe"),
        (b"\x1b[2Jgone\x07\x00", r"\x1b[2Jgone\x07\x00"),
        ("\u202egnp.exe\x9b".encode(), r"\u202egnp.exe\x9b"),
        (b"", ""),
    ],
)
async def test_a_body_that_is_no_text_is_escaped(counter: Counter, body: bytes, text: str):
    counter.letters.bury(DERIVER_RENDERS, a_letter("a", body))

    shown = (await counter.get(f"{HERE}/a")).json()

    assert (shown["body"], shown["bodyIsJson"]) == (text, False)


async def test_a_long_body_is_cut(counter: Counter):
    counter.letters.bury(DERIVER_RENDERS, a_letter("a", b"x" * 100_000))

    shown = (await counter.get(f"{HERE}/a")).json()

    assert (len(shown["body"]), shown["bodyBytes"], shown["bodyIsComplete"]) == (16_384, 100_000, False)


async def test_chosen_letters_are_sent_home(counter: Counter):
    bury(counter, "a", "b", "c")

    replayed = (await ask(counter, "replay", ids=["a", "c"])).json()

    assert replayed == {
        "queue": DERIVER_RENDERS.name,
        "dryRun": False,
        "ids": ["a", "c"],
        "done": 2,
        "stopped": None,
    }
    assert counter.letters.home[DERIVER_RENDERS.name] == [b"a", b"c"]
    assert await left(counter) == ["b"]
    assert await did(counter) == [
        ("dead_letters.replay", {"queue": DERIVER_RENDERS.name, "limit": 100, "letters": ["a", "c"]}),
        (
            "dead_letters.replayed",
            {"queue": DERIVER_RENDERS.name, "count": 2, "letters": ["a", "c"], "stopped": ""},
        ),
    ]


async def test_all_letters_are_sent_home_oldest_first_up_to_the_limit(counter: Counter):
    bury(counter, "a", "b", "c")

    assert (await ask(counter, "replay", all=True, limit=2)).json()["ids"] == ["a", "b"]


@pytest.mark.parametrize("verb", ["replay", "drop"])
async def test_a_dry_run_changes_nothing_and_is_no_act(counter: Counter, verb: str):
    bury(counter, "a", "b")

    dry = (await ask(counter, verb, all=True, dryRun=True)).json()

    assert (dry["dryRun"], dry["ids"]) == (True, ["a", "b"])
    assert await left(counter) == ["a", "b"]
    assert await did(counter) == []


async def test_dropped_letters_are_gone(counter: Counter):
    bury(counter, "a", "b")

    assert (await ask(counter, "drop", ids=["a"])).json()["ids"] == ["a"]

    assert await left(counter) == ["b"]
    assert counter.letters.home[DERIVER_RENDERS.name] == []
    assert [what for what, _ in await did(counter)] == ["dead_letters.drop", "dead_letters.dropped"]


async def test_a_replay_that_the_broker_does_not_take_says_why(counter: Counter):
    bury(counter, "a")
    counter.letters.refusal = BrokerUnavailable("the queue is full")

    replayed = (await ask(counter, "replay", all=True)).json()

    assert replayed["done"] == 0
    assert "the queue is full" in replayed["stopped"]
    assert await left(counter) == ["a"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"all": False}, ""),
        ({"all": True, "ids": ["a"]}, ""),
        ({"all": 1}, "/all"),
        ({"ids": ["a", "a"]}, "/ids"),
        ({"ids": ["a"] * 201}, "/ids"),
        ({"all": True, "limit": 201}, "/limit"),
        ({"all": True, "perSecond": 0}, "/perSecond"),
        ({"all": True, "perSecond": 101}, "/perSecond"),
        ({"all": True, "force": True}, "/force"),
    ],
)
async def test_a_selection_that_cannot_be_meant_is_refused(counter: Counter, body: dict[str, Any], pointer: str):
    bury(counter, "a")

    assert pointer in pointers(the_problem(await ask(counter, "replay", **body), 422))
    assert await left(counter) == ["a"]


@pytest.mark.parametrize("path", ["", "/x"])
async def test_an_unknown_queue_is_told_with_those_there_are(counter: Counter, path: str):
    problem = the_problem(await counter.get(f"{ALL}/nobody.nothing{path}"), 404)

    assert DERIVER_RENDERS.name in problem["detail"]


async def test_while_the_broker_is_away_letters_cannot_be_seen_and_nothing_was_done(counter: Counter):
    counter.letters.is_away = True

    for path in (ALL, HERE, f"{HERE}/a"):
        assert the_problem(await counter.get(path), 503)["retryable"]
    the_problem(await ask(counter, "replay", all=True), 503)
    # That it was tried is written down; that nothing came of it shows in the missing second line.
    assert [what for what, _ in await did(counter)] == ["dead_letters.replay"]


async def test_letters_about_a_job_that_cannot_be_read_are_shown_all_the_same(counter: Counter):
    submitted = (await counter.submit(a_variation_request(families=["square"]))).json()
    document = await counter.memory.get(JOBS, submitted["id"])
    assert document is not None
    broken = document | {"model": ["of another release"], "version": document["version"] + 1}
    assert await counter.memory.replace(JOBS, broken, if_version=document["version"])
    counter.letters.bury(DERIVER_RENDERS, a_letter("a", envelope={"correlationid": submitted["id"]}))

    [letter] = (await counter.get(HERE)).json()["items"]
    assert (letter["id"], letter["jobId"], letter["jobStatus"]) == ("a", submitted["id"], None)
    assert (await counter.get(f"{HERE}/a")).status_code == 200
