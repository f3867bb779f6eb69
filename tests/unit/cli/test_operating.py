"""The operators' commands against the gateway's own application: what they say, their one JSON document, their statuses."""

import asyncio
import io
import json
from collections.abc import Awaitable
from contextlib import redirect_stdout
from typing import Any, TypeVar

import httpx
import pytest
from typer.testing import CliRunner, Result

from contract.api.counter import Counter
from imagetron_chassis.principals import Principal
from imagetron_chassis.publishing import BrokerUnavailable
from imagetron_cli.__main__ import app
from imagetron_cli.commands.events import line
from imagetron_cli.commands.operating import span
from imagetron_contracts import Envelope, VariationStarted
from imagetron_contracts.topology import DERIVER_RENDERS
from imagetron_gateway.ports import TailEnded
from support.builders import NOW, a_job_id, a_variation_request, stage_failed
from support.operating import a_letter

T = TypeVar("T")
WORK = DERIVER_RENDERS.name


class QuietGateway(httpx.ASGITransport):
    """The gateway's log stays out of the command's output, as in a process of its own."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with redirect_stdout(io.StringIO()):
            return await super().handle_async_request(request)


class Desk:
    """A gateway in memory, and a terminal in front of it."""

    def __init__(self) -> None:
        self.counter = Counter()

        async def prepared() -> None:
            for collection in (self.counter.jobs, self.counter.controls, self.counter.audit):
                await collection.prepare()

        self.run(prepared())

    def run(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return asyncio.run(done())

    def imagetron(self, *arguments: str) -> Result:
        transport = QuietGateway(self.counter.application, raise_app_exceptions=False)
        return CliRunner().invoke(app, list(arguments), obj=transport)

    def json(self, *arguments: str, status: int = 0) -> Any:
        result = self.imagetron(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def submit(self, name: str, *, dx: bool = True, fails: bool = False) -> str:
        async def submitted() -> str:
            body = a_variation_request(name=name, families=["square", "landscape"], isDxJob=dx)
            answer = await self.counter.submit(body)
            job = await self.counter.job(answer.json()["id"])
            if fails:
                await self.counter.play(job.id, *(stage_failed(job, family) for family in job.families))
            return job.id

        return self.run(submitted())

    def bury(self, *names: str) -> None:
        self.counter.letters.bury(DERIVER_RENDERS, *(a_letter(name, name.encode()) for name in names))

    @property
    def letters(self) -> list[str]:
        return [letter.id for letter in self.counter.letters.dead[WORK]]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_status_shows_lanes_and_queues(desk: Desk):
    desk.submit("a")
    desk.bury("x")

    shown = desk.imagetron("queue", "status")

    assert shown.exit_code == 0
    assert "interactive  1" in shown.stdout
    [row] = [row for row in shown.stdout.splitlines() if row.startswith(WORK)]
    assert row.split() == [WORK, "0", "1", "1"]
    assert {lane["lane"] for lane in desk.json("queue", "status")["lanes"]} == {"interactive", "batch"}


def test_the_status_says_when_the_broker_is_away(desk: Desk):
    desk.counter.letters.is_away = True

    assert "The broker does not answer" in desk.imagetron("queue", "status").stdout


def test_jobs_are_listed_with_ids_that_can_be_copied_and_pages(desk: Desk):
    first, second = desk.submit("a"), desk.submit("b", dx=False)

    shown = desk.imagetron("queue", "list")
    assert [row.split()[0] for row in shown.stdout.splitlines()[1:]] == [first, second]
    assert [item["id"] for item in desk.json("queue", "list", "--newest")["items"]] == [second, first]
    assert [item["id"] for item in desk.json("queue", "list", "--lane", "batch")["items"]] == [second]
    page = desk.imagetron("queue", "list", "--limit", "1").stdout
    after = page.split("--after ")[1].strip()
    assert [item["id"] for item in desk.json("queue", "list", "--after", after)["items"]] == [second]


def test_an_empty_queue_is_told_in_words(desk: Desk):
    assert desk.imagetron("queue", "list").stdout == "No job is waiting or running.\n"


def test_a_lane_is_paused_and_resumed(desk: Desk):
    paused = desk.imagetron("queue", "pause", "--lane", "batch", "--reason", "a new model")

    assert paused.stdout.startswith("batch is paused by anna since 2026-01-01T12:00:00Z: a new model")
    assert "is paused by anna" in desk.imagetron("queue", "status").stdout
    assert desk.imagetron("queue", "resume").stdout == "interactive was not paused\nbatch is open again\n"
    assert [lane["paused"] for lane in desk.json("queue", "resume")["lanes"]] == [None, None]


def test_without_a_lane_all_are_paused(desk: Desk):
    assert all(lane["paused"] for lane in desk.json("queue", "pause")["lanes"])


def test_clearing_needs_a_yes(desk: Desk):
    job = desk.submit("over", fails=True)

    dry = desk.imagetron("queue", "clear")
    assert dry.exit_code == 2
    assert job in dry.stdout
    assert "add --yes" in dry.stderr
    assert desk.json("queue", "clear", status=2)["dryRun"] is True
    assert desk.imagetron("queue", "clear", "--older-than", "1", "--yes").stdout == "There is nothing of the kind.\n"
    done = desk.imagetron("queue", "clear", "--yes")
    assert done.exit_code == 0
    assert "1 of 1 jobs removed." in done.stdout
    assert desk.json("queue", "clear", "--yes")["items"] == []


def test_failed_jobs_are_asked_again(desk: Desk):
    job, running = desk.submit("over", fails=True), desk.submit("running")

    dry = desk.imagetron("queue", "retry", "--within", "1", "--dry-run")
    assert "1 of 1 jobs to ask again." in dry.stdout
    done = desk.imagetron("queue", "retry", job)
    assert done.exit_code == 0
    assert "square, landscape" in done.stdout
    refused = desk.imagetron("queue", "retry", running)
    assert refused.exit_code == 1
    assert "nothing to retry" in refused.stdout


@pytest.mark.parametrize("arguments", [("queue", "retry"), ("queue", "retry", "x", "--within", "1")])
def test_a_retry_of_nothing_or_of_two_things_is_a_wrong_call(desk: Desk, arguments: tuple[str, ...]):
    assert desk.imagetron(*arguments).exit_code == 2


def test_dead_letters_are_counted_listed_and_shown(desk: Desk):
    assert desk.imagetron("dlq", "list").stdout == "There are no dead letters.\n"
    assert "has no dead letters" in desk.imagetron("dlq", "list", WORK).stdout
    desk.bury("first", "second")

    [_, row] = desk.imagetron("dlq", "list").stdout.splitlines()
    assert row.split()[:2] == [WORK, "2"]
    listed = desk.imagetron("dlq", "list", WORK)
    assert [row.split()[0] for row in listed.stdout.splitlines()[1:]] == ["first", "second"]
    shown = desk.imagetron("dlq", "show", WORK, "second")
    assert shown.stdout.rstrip().endswith("second")
    assert "rejected, 1 times" in shown.stdout
    assert desk.json("dlq", "show", WORK, "second")["body"] == "second"
    assert desk.letters == ["first", "second"]


def test_what_would_help_more_than_a_replay_is_told_with_the_letters(desk: Desk):
    job = desk.submit("over", fails=True)
    desk.counter.letters.bury(DERIVER_RENDERS, a_letter("x", envelope={"subject": job}))

    for command in (("list", WORK), ("show", WORK, "x")):
        assert f"imagetron queue retry {job}" in desk.imagetron("dlq", *command).stdout


def test_a_letter_cannot_paint_on_the_terminal(desk: Desk):
    desk.counter.letters.bury(DERIVER_RENDERS, a_letter("x", b"\x1b[2J", headers={"h": "\x1b]0;title\x07"}))

    assert "\x1b" not in desk.imagetron("dlq", "show", WORK, "x").stdout


def test_chosen_letters_are_sent_home(desk: Desk):
    desk.bury("first", "second", "third")

    dry = desk.json("dlq", "replay", WORK, "first", "third", "--dry-run")
    assert (dry["ids"], desk.letters) == (["first", "third"], ["first", "second", "third"])
    done = desk.json("dlq", "replay", WORK, "first", "third")
    assert (done["ids"], done["missing"], done["complete"]) == (["first", "third"], [], True)
    assert desk.letters == ["second"]


def test_a_letter_that_is_not_there_is_told(desk: Desk):
    desk.bury("first")

    result = desk.imagetron("dlq", "replay", WORK, "first", "nobody")

    assert result.exit_code == 1
    assert "1 letters sent home." in result.stdout
    assert "Not found or not taken: nobody" in result.stdout


def test_more_letters_than_one_call_takes_are_sent_in_several(desk: Desk):
    desk.bury(*(f"letter-{number}" for number in range(450)))

    done = desk.json("dlq", "replay", WORK, "--all", "--limit", "420", "--rate", "100")

    assert (done["done"], len(desk.letters)) == (420, 30)
    rest = desk.json("dlq", "replay", WORK, "--all", "--rate", "100")
    assert (rest["done"], rest["complete"], desk.letters) == (30, True, [])


def test_a_broker_that_takes_nothing_is_told_with_status_1(desk: Desk):
    desk.bury("first")
    desk.counter.letters.refusal = BrokerUnavailable("the queue is full")

    result = desk.imagetron("dlq", "replay", WORK, "--all")

    assert result.exit_code == 1
    assert "the queue is full" in result.stdout
    assert desk.letters == ["first"]


def test_dropping_needs_a_yes(desk: Desk):
    desk.bury("first", "second")

    asked = desk.imagetron("dlq", "drop", WORK, "--all")
    assert asked.exit_code == 2
    assert "add --yes" in asked.stderr
    assert desk.imagetron("dlq", "drop", WORK, "--all", "--dry-run").exit_code == 0
    assert desk.letters == ["first", "second"]
    assert desk.imagetron("dlq", "drop", WORK, "first", "--yes").exit_code == 0
    assert desk.letters == ["second"]


@pytest.mark.parametrize("verb", ["replay", "drop"])
@pytest.mark.parametrize("chosen", [[], ["x", "--all"]])
def test_a_selection_of_nothing_or_of_two_things_is_a_wrong_call(desk: Desk, verb: str, chosen: list[str]):
    assert desk.imagetron("dlq", verb, WORK, *chosen).exit_code == 2


def test_a_refusal_is_a_sentence_and_with_json_one_document(desk: Desk):
    refused = desk.imagetron("dlq", "list", "nobody.nothing")

    assert refused.exit_code == 1
    assert "no queue 'nobody.nothing'" in refused.stderr
    assert refused.stdout == ""
    assert desk.json("dlq", "list", "nobody.nothing", status=1)["problem"]["code"] == "not-found"


def test_who_is_no_operator_is_told_what_is_missing(desk: Desk):
    desk.counter.principal = Principal("bert", frozenset({"images:read"}))

    refused = desk.imagetron("queue", "status")

    assert refused.exit_code == 1
    assert "the scope admin" in refused.stderr


def test_no_gateway_is_told_in_a_sentence():
    result = CliRunner().invoke(app, ["queue", "status", "--url", "http://127.0.0.1:1"])

    assert result.exit_code == 1
    assert "No gateway answers at http://127.0.0.1:1" in result.stderr


def an_event(number: int, name: str = "beach") -> Envelope:
    data = VariationStarted(variation_id=a_job_id(number), name=name, family_count=2)
    return Envelope.wrap(data, message_id=f"event-{number}", source="test", time=NOW, job_id=a_job_id(number))


def test_events_are_told_a_line_each_until_the_stream_ends(desk: Desk):
    desk.counter.tails.say(an_event(1), an_event(2), TailEnded("over"))

    shown = desk.imagetron("events", "tail", "--no-follow")
    assert shown.exit_code == 0
    first, second = shown.stdout.splitlines()
    assert "VARIATION_STARTED" in first
    assert a_job_id(2) in second
    lines = desk.imagetron("events", "tail", "--no-follow", "--json").stdout.splitlines()
    assert [json.loads(each)["id"] for each in lines] == ["event-1", "event-2"]


def test_so_many_events_and_no_more(desk: Desk):
    desk.counter.tails.say(an_event(1), an_event(2), an_event(3), TailEnded("over"))

    assert len(desk.imagetron("events", "tail", "--count", "2", "--json").stdout.splitlines()) == 2


def test_a_stream_that_ends_is_followed_again(desk: Desk):
    # The twin tells each new reader what was said before: one event for each time that it comes back.
    desk.counter.tails.say(an_event(1), TailEnded("the reader was too slow"))

    result = desk.imagetron("events", "tail", "--count", "2", "--json")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert "Events may be missing" in result.stderr


def test_only_wanted_events_are_told(desk: Desk):
    desk.counter.tails.say(an_event(1), an_event(2), TailEnded("over"))

    of_one = desk.imagetron(
        "events", "tail", "--no-follow", "--json", "--job", a_job_id(2), "--type", "VARIATION_STARTED"
    )
    assert [json.loads(each)["id"] for each in of_one.stdout.splitlines()] == ["event-2"]
    unknown = desk.imagetron("events", "tail", "--type", "NOTHING")
    assert unknown.exit_code == 1
    assert "no such event" in unknown.stderr


def test_text_with_other_line_separators_is_still_one_event(desk: Desk):
    desk.counter.tails.say(an_event(1, "a\u2028b\x85c\r\nd"), TailEnded("over"))

    [told] = desk.imagetron("events", "tail", "--no-follow", "--json").stdout.splitlines()

    assert json.loads(told)["data"]["name"] == "a\u2028b\x85c\r\nd"


def test_an_event_of_a_later_version_is_told_all_the_same():
    assert "VARIATION_EXPLODED" in str(line({"type": "VARIATION_EXPLODED", "subject": "x"}))


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (40, "40 s"), (720, "12 min"), (10_800, "3 h"), (432_000, "5 d")]
)
def test_ages_are_told_in_one_unit(seconds: float, words: str):
    assert span(seconds) == words


def test_what_would_be_dropped_is_counted_honestly_beyond_what_one_call_shows(desk: Desk):
    desk.bury(*(f"letter-{number}" for number in range(450)))

    asked = desk.imagetron("dlq", "drop", WORK, "--all", "--limit", "430")
    assert (asked.exit_code, len(desk.letters)) == (2, 450)
    assert "430 letters would be dropped" in asked.stderr
    assert "430 letters to drop." in asked.stdout
    assert "Listed are the first 200." in asked.stdout
    assert desk.json("dlq", "drop", WORK, "--all", "--limit", "430", "--yes")["done"] == 430
    assert len(desk.letters) == 20


@pytest.mark.parametrize(
    "arguments", [("list", "../queue"), ("list", ".."), ("show", WORK, "../../queue"), ("replay", "a/b", "--all")]
)
def test_a_name_cannot_lead_to_another_address(desk: Desk, arguments: tuple[str, ...]):
    result = desk.imagetron("dlq", *arguments)

    assert result.exit_code == 2
    assert "names neither a queue nor a letter" in result.output


def test_a_job_that_is_named_twice_is_asked_again_once(desk: Desk):
    job_id = desk.submit("beach", fails=True)

    assert desk.json("queue", "retry", job_id, job_id)["done"] == 1


@pytest.mark.parametrize("hours", ["inf", "nan", "1e300"])
def test_hours_that_no_clock_knows_are_a_wrong_call(desk: Desk, hours: str):
    assert desk.imagetron("queue", "retry", "--within", hours).exit_code == 2


def test_an_address_that_is_none_is_a_wrong_call():
    assert CliRunner().invoke(app, ["queue", "status", "--url", "x y"]).exit_code in {1, 2}
