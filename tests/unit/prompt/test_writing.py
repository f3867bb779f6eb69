"""Prompts written for chosen subjects, and kept."""

import asyncio

import pytest

from imagetron_contracts.envelope import MAX_BODY_BYTES, Envelope
from imagetron_contracts.rpc import (
    ChangePrompt,
    GetPrompt,
    ListPrompts,
    PromptPage,
    PromptRemoved,
    PromptShown,
    PromptsWritten,
    Refusal,
    RemovePrompt,
    Source,
)
from imagetron_prompt.domain.written import Draft
from imagetron_prompt.ports import TooSlow
from support.builders import NOW
from unit.prompt.desks import ANNA, BERT, Bench, a_call, gated, writing


@pytest.fixture
def bench() -> Bench:
    return Bench()


def drafts(*subjects: str) -> tuple[Draft, ...]:
    return tuple(Draft(subject, f"Title {n}", f"Text {n}") for n, subject in enumerate(subjects))


async def test_prompts_are_kept_in_the_order_of_their_subjects_with_the_first_status(bench: Bench):
    bench.writer.says("prompts", drafts("A pier", "A pier", "A crane", "A crane"))

    prompts = (await bench.answer(writing("A pier", "A crane", per_subject=2), PromptsWritten)).prompts

    assert [(prompt.subject, prompt.title, prompt.text) for prompt in prompts] == [
        ("A pier", "Title 0", "Text 0"),
        ("A pier", "Title 1", "Text 1"),
        ("A crane", "Title 2", "Text 2"),
        ("A crane", "Title 3", "Text 3"),
    ]
    assert {(prompt.status, prompt.version, prompt.source, prompt.template) for prompt in prompts} == {
        ("draft", 1, Source.MODEL, "prompts@1")
    }
    kept = [await bench.answer(GetPrompt(caller=ANNA, prompt_id=one.id), PromptShown) for one in prompts]
    assert [one.prompt for one in kept] == list(prompts)


async def test_the_writer_is_told_what_was_asked(bench: Bench):
    bench.writer.says("prompts", drafts("A pier"))

    await bench.answer(writing("A pier", style="analogue film", budget_seconds=9), PromptsWritten)

    assert bench.writer.asked == [("prompts", ("A pier",), 1, "analogue film", "call-1", 9)]


async def test_texts_and_titles_are_cleaned_and_bounded(bench: Bench):
    bench.writer.says("prompts", (Draft("A pier", " Pier\nat dawn " + "x" * 200, "\ufeffText\r\n\u202e" + "y" * 2000),))

    (prompt,) = (await bench.answer(writing("A pier"), PromptsWritten)).prompts

    assert prompt.title.startswith("Pier at dawn xxx")
    assert len(prompt.title) == 100
    assert prompt.text.startswith("Text\nyyy")
    assert len(prompt.text) == 1000


@pytest.mark.parametrize(
    "said",
    [
        (),
        drafts("A pier"),
        drafts("A pier", "A crane", "A crane"),
        drafts("A crane", "A pier"),
        (*drafts("A pier"), Draft("A crane", "", "Text")),
        (*drafts("A pier"), Draft("A crane", "Title", "\u200d")),
    ],
)
async def test_an_answer_that_is_not_what_was_asked_for_is_unusable_and_nothing_is_kept(bench: Bench, said):
    bench.writer.says("prompts", said)

    refusal = await bench.refusal(writing("A pier", "A crane"))

    assert (refusal.code, refusal.retryable) == (Refusal.UNAVAILABLE, True)
    assert (await bench.answer(ListPrompts(caller=ANNA), PromptPage)).prompts == ()


async def test_a_repeated_call_shows_the_prompts_as_they_are_now(bench: Bench):
    bench.writer.says("prompts", drafts("A pier", "A crane"))
    first = (await bench.answer(writing("A pier", "A crane"), PromptsWritten)).prompts
    await bench.answer(ChangePrompt(caller=ANNA, prompt_id=first[0].id, title="Mine"), PromptShown)

    again = await bench.answer(writing("A pier", "A crane"), PromptsWritten)

    assert again.is_replay
    assert [prompt.title for prompt in again.prompts] == ["Mine", "Title 1"]
    assert len(bench.writer.asked) == 1


async def test_a_repeated_call_leaves_out_what_was_removed_since(bench: Bench):
    bench.writer.says("prompts", drafts("A pier", "A crane"))
    first = (await bench.answer(writing("A pier", "A crane"), PromptsWritten)).prompts
    await bench.answer(RemovePrompt(caller=ANNA, prompt_id=first[0].id), PromptRemoved)

    again = await bench.answer(writing("A pier", "A crane"), PromptsWritten)
    await bench.answer(RemovePrompt(caller=ANNA, prompt_id=first[1].id), PromptRemoved)

    assert again.prompts == (first[1],)
    assert (await bench.refusal(writing("A pier", "A crane"))).code is Refusal.NOT_FOUND


async def test_two_workers_of_one_call_make_each_prompt_once(bench: Bench):
    gate = asyncio.Event()
    late_drafts = (Draft("A pier", "Late", "Late"), Draft("A crane", "Late", "Late"))
    bench.writer.says("prompts", gated(gate.wait, late_drafts), drafts("A pier", "A crane"))
    late = asyncio.create_task(bench.answer(writing("A pier", "A crane"), PromptsWritten))
    await bench.writer.was_asked()
    bench.clock.advance(60)
    in_time = await bench.answer(writing("A pier", "A crane"), PromptsWritten)
    gate.set()

    assert (await late).prompts == in_time.prompts
    assert (await bench.answer(ListPrompts(caller=ANNA), PromptPage)).prompts != ()
    assert {one.title for one in in_time.prompts} == {"Title 0", "Title 1"}


async def test_what_a_worker_left_half_done_is_filled_up(bench: Bench):
    bench.writer.says("prompts", drafts("A pier", "A crane"))
    first = (await bench.answer(writing("A pier", "A crane"), PromptsWritten)).prompts
    unfinished = Bench(writer=bench.writer)
    unfinished.documents._documents["prompts"] = {first[0].id: bench.documents._documents["prompts"][first[0].id]}
    bench.writer.says("prompts", TooSlow("too late"), (Draft("A pier", "New", "New"), Draft("A crane", "New", "New")))
    await unfinished.refusal(writing("A pier", "A crane"))

    answer = await unfinished.answer(writing("A pier", "A crane"), PromptsWritten)

    assert not answer.is_replay
    assert [prompt.title for prompt in answer.prompts] == ["Title 0", "New"]


async def test_the_largest_answer_there_can_be_fits_into_a_message(bench: Bench):
    subjects = [f"{n}" + "🎨" * 199 for n in range(10)]
    bench.writer.says("prompts", tuple(Draft(one, "🎨" * 100, "🎨" * 1000) for one in subjects))

    answer = await bench.answer(writing(*subjects), PromptsWritten)

    assert len(answer.prompts) == 10
    assert len(encoded(answer)) < MAX_BODY_BYTES


async def test_a_repeated_call_shows_as_many_as_fit_when_people_have_made_them_longer(bench: Bench):
    subjects = [f"subject {n}" for n in range(10)]
    bench.writer.says("prompts", drafts(*subjects))
    for prompt in (await bench.answer(writing(*subjects), PromptsWritten)).prompts:
        await bench.answer(ChangePrompt(caller=ANNA, prompt_id=prompt.id, text="🎨" * 4000), PromptShown)

    answer = await bench.answer(writing(*subjects), PromptsWritten)

    assert 0 < len(answer.prompts) < 10
    assert len(encoded(answer)) < MAX_BODY_BYTES


async def test_others_do_not_see_them(bench: Bench):
    bench.writer.says("prompts", drafts("A pier"))
    (prompt,) = (await bench.answer(writing("A pier"), PromptsWritten)).prompts

    refusal = await bench.refusal(GetPrompt(caller=BERT, prompt_id=prompt.id))

    assert refusal.code is Refusal.NOT_FOUND


async def test_each_call_writes_its_own_prompts(bench: Bench):
    bench.writer.says("prompts", drafts("A pier"))
    first = await bench.answer(writing("A pier"), PromptsWritten)
    second = await bench.answer(writing("A pier", call=a_call("call-2")), PromptsWritten)

    assert first.prompts[0].id != second.prompts[0].id


def encoded(answer: PromptsWritten) -> bytes:
    return Envelope.wrap(answer, message_id="m" * 36, source="imagetron/prompt", time=NOW).encode()
