"""What is not acceptable is refused before anything is asked or stored, by the name that the caller wrote."""

from typing import Any

import pytest

from imagetron_contracts.rpc import ChangePrompt, ListPrompts, ReadSubjectsHistory, Refusal, Request
from imagetron_prompt.domain.accepting import check_line, check_text
from imagetron_prompt.domain.errors import Invalid
from unit.prompt.desks import ANNA, Bench, enhancing, proposing, writing

NOT_A_TEXT = ["", "   ", " \n\t", "a\0b"]
NOT_A_LINE = [*NOT_A_TEXT, "two\nlines", "two\u2028lines", "a\x1bb", "a\tb"]
CURSORS = ["", "x", "💥", "[" * 100_000, "WyIyMDI2LTAxLTAxVDEyOjAwOjAwLjAwMCswMDowMCIsICJ4Il0", "bnVsbA", "\0"]


def a_change(**fields: Any) -> ChangePrompt:
    return ChangePrompt(caller=ANNA, prompt_id="0b9a2f0e-0000-4000-8000-000000000000", **fields)


REFUSED: list[tuple[Request, str]] = [
    *[(enhancing(intent=text), "intent") for text in [*NOT_A_TEXT, "x" * 501]],
    *[(enhancing(prompt=text), "prompt") for text in [*NOT_A_TEXT, "x" * 4001]],
    *[(proposing(topic=text), "topic") for text in [*NOT_A_TEXT, "x" * 501]],
    *[(writing("A pier", text), "subjects") for text in [*NOT_A_LINE, "x" * 201]],
    (writing("A pier", "A crane", "A pier"), "subjects"),
    (writing("A pier", "a PIER "), "subjects"),
    (writing("A pier", "A crane", per_subject=6), "perSubject"),
    (writing(*map(str, range(10)), per_subject=2), "perSubject"),
    *[(writing("A pier", style=text), "style") for text in ["a\0b", "x" * 201]],
    *[(a_change(title=text), "title") for text in [*NOT_A_LINE, "x" * 101]],
    *[(a_change(text=text), "text") for text in [*NOT_A_TEXT, "x" * 4001]],
    *[(a_change(status=text), "status") for text in ["", "no-such", "Draft", "draft "]],
    (a_change(), "title"),
    (a_change(if_version=1), "title"),
    *[(ListPrompts(caller=ANNA, after=cursor), "after") for cursor in CURSORS],
    *[(ReadSubjectsHistory(caller=ANNA, after=cursor), "after") for cursor in CURSORS],
]


@pytest.mark.parametrize(
    ("request_", "field"), REFUSED, ids=[f"{number}-{type(one).__name__}" for number, (one, _) in enumerate(REFUSED)]
)
async def test_a_request_that_is_not_acceptable_is_refused_by_the_name_of_its_field(request_, field):
    bench = Bench()

    refusal = await bench.refusal(request_)

    assert (refusal.code, refusal.field, refusal.retryable) == (Refusal.INVALID, field, False)
    assert bench.writer.asked == []
    assert not any(bench.documents._documents.values())


ACCEPTED: list[tuple[str, Request]] = [
    ("enhance", enhancing(intent="x" * 500, prompt="x" * 4000)),
    ("subjects", proposing(topic="💥" * 500)),
    ("prompts", writing(*(f"{n}" + "x" * 199 for n in range(10)), style="x" * 200)),
    ("prompts", writing("A pier", "A crane", per_subject=5, style=" ")),
]


@pytest.mark.parametrize(("task", "request_"), ACCEPTED, ids=["enhance", "topic", "subjects", "per-subject"])
async def test_what_is_just_within_the_bounds_reaches_the_writer(task, request_):
    bench = Bench()
    bench.writer.says(task, "x" if task == "enhance" else ())

    await bench.ask(request_)

    assert [asked[0] for asked in bench.writer.asked] == [task]


@pytest.mark.parametrize("check", [check_text, check_line])
def test_half_of_a_surrogate_pair_is_refused(check):
    with pytest.raises(Invalid, match="surrogate") as refusal:
        check("text", "a\ud83d", at_most=10)

    assert refusal.value.field == "text"


def test_a_refusal_quotes_nothing():
    with pytest.raises(Invalid) as refusal:
        check_line("title", "canary\n", at_most=100)

    assert "canary" not in str(refusal.value)
