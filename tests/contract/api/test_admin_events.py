"""The stream of public events: its text, its filters, its heartbeats, and that nothing of it stays open."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI, Request

from contract.api.counter import ANNA, Counter, pointers, the_problem
from imagetron_chassis.principals import Principal
from imagetron_contracts import Envelope, Message, VariationFailed, VariationStarted
from imagetron_gateway.api.admin_events import EventStream, events_router
from imagetron_gateway.ports import TailEnded
from support.builders import NOW, a_job_id
from support.eventually import eventually

EVENTS = "/api/admin/events"
END = TailEnded("the gateway is stopping")


def an_event(data: Message | None = None, *, number: int = 1) -> Envelope:
    job_id = a_job_id(number)
    started = data or VariationStarted(variation_id=job_id, name=f"name-{number}", family_count=1)
    return Envelope.wrap(started, message_id=f"event-{number}", source="imagetron/gateway", time=NOW, job_id=job_id)


def a_failure(number: int) -> VariationFailed:
    return VariationFailed(
        variation_id=a_job_id(number), error_message="no picture\r\ndata: of \u2028 any kind", errors={}
    )


def blocks(text: str) -> list[dict[str, str]]:
    """The stream's events as a browser reads them; comments under the name ''."""
    parsed = []
    for block in text.split("\n\n")[:-1]:
        fields = [line.partition(":")[::2] for line in block.split("\n")]
        parsed.append({name: value.removeprefix(" ") for name, value in fields})
    return parsed


async def stream(counter: Counter, query: str = "") -> list[dict[str, str]]:
    answer = await counter.get(EVENTS + query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    return blocks(answer.text)


async def test_each_event_has_its_id_its_type_and_its_envelope_in_one_line(counter: Counter):
    event = an_event()
    counter.tails.say(event, END)

    opening, told, ending = await stream(counter)

    assert opening.keys() == {""}
    assert (told["id"], told["event"]) == ("event-1", "VARIATION_STARTED")
    assert json.loads(told["data"]) == json.loads(event.encode())
    assert "the gateway is stopping" in ending[""]


async def test_line_breaks_in_an_event_do_not_make_two_of_it(counter: Counter):
    counter.tails.say(an_event(a_failure(1)), an_event(number=2), END)

    _, failure, started, _ = await stream(counter)

    assert json.loads(failure["data"])["data"]["errorMessage"].startswith("no picture\r\ndata: of")
    assert started["id"] == "event-2"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?type=VARIATION_FAILED", ["event-2"]),
        ("?type=VARIATION_FAILED&type=VARIATION_STARTED", ["event-1", "event-2", "event-3"]),
        (f"?job={a_job_id(3)}", ["event-3"]),
        (f"?job={a_job_id(3)}&type=VARIATION_FAILED", []),
    ],
)
async def test_only_what_was_asked_for_is_told(counter: Counter, query: str, ids: list[str]):
    counter.tails.say(an_event(), an_event(a_failure(2), number=2), an_event(number=3), END)

    assert [block["id"] for block in await stream(counter, query) if "id" in block] == ids


async def test_a_type_that_does_not_exist_is_refused_instead_of_waited_for(counter: Counter):
    problem = the_problem(await counter.get(f"{EVENTS}?type=VARIATION_EXPLODED"), 422)

    assert pointers(problem) == ["?type"]
    assert counter.tails.open_tails == []


async def test_too_many_readers_are_told_to_come_back(counter: Counter):
    counter.tails.is_full = True

    assert the_problem(await counter.get(EVENTS), 503, "too-many-readers")["retryable"]


async def test_an_ended_stream_leaves_no_tail_open(counter: Counter):
    counter.tails.say(END)

    await stream(counter)

    assert counter.tails.open_tails == []


class Caller:
    """An ASGI client that leaves when it is told to, or stops reading."""

    def __init__(self, *, reads: bool = True) -> None:
        self.left = asyncio.Event()
        self.got: list[str] = []
        self._reads = reads

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            if not self._reads:
                await asyncio.Event().wait()
            self.got.append(message["body"].decode())

    @property
    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "method": "GET",
            "path": EVENTS,
            "raw_path": EVENTS.encode(),
            "query_string": b"type=VARIATION_FAILED",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8015),
        }


def a_quick_application(counter: Counter) -> FastAPI:
    """The same route with a heart that beats quickly."""

    async def anna(_: Request) -> Principal:
        return ANNA

    app = FastAPI()
    app.state.authenticate = anna
    app.include_router(events_router(counter._admin_desk(counter.admission), heartbeat_seconds=0.01))
    return app


async def test_a_reader_who_hears_nothing_hears_that_the_stream_lives_and_leaving_closes_it(counter: Counter):
    caller = Caller()
    serving = asyncio.create_task(a_quick_application(counter)(caller.scope, caller.receive, caller.send))

    await eventually(lambda: ": still here\n\n" in caller.got)
    # Others' events are no sign of life for a reader who does not want them.
    before = len(caller.got)
    for number in range(20):
        counter.tails.say(an_event(number=number))
        await asyncio.sleep(0)
    await eventually(lambda: len(caller.got) > before)
    assert len(counter.tails.open_tails) == 1
    caller.left.set()
    await asyncio.wait_for(serving, 10)

    assert counter.tails.open_tails == []


async def test_a_reader_who_does_not_read_is_cut_off(counter: Counter):
    async def one() -> Any:
        yield "a line"

    caller = Caller(reads=False)
    opening = counter.tails.open()
    await opening.__aenter__()
    response = EventStream(one(), opening, patience_seconds=0.05)

    await asyncio.wait_for(response(caller.scope, caller.receive, caller.send), 10)

    assert caller.got == []
    assert counter.tails.open_tails == []
