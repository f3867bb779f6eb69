"""Templates in the place of a language model: always the same, always something to look at, never a repetition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_contracts.rpc import (
    MAX_SUBJECT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    MAX_WRITTEN_CHARACTERS,
    Source,
    SubjectsTurn,
)
from imagetron_prompt.adapters.offline import OfflineWriter
from imagetron_prompt.domain.cleaning import cleaned, one_line
from support.builders import NOW

WRITER = OfflineWriter()
TEXTS = st.text(min_size=1, max_size=600).filter(lambda text: cleaned(text, 600) != "")


async def subjects(topic: str, count: int, *earlier: SubjectsTurn) -> tuple[str, ...]:
    return (await WRITER.subjects(topic, count, earlier, call_id="c", budget_seconds=1)).value


def a_turn(*subjects: str) -> SubjectsTurn:
    return SubjectsTurn(
        id="t", topic="x", subjects=subjects, source=Source.OFFLINE, template="offline-subjects@1", created_at=NOW
    )


async def test_everything_says_that_no_language_model_wrote_it():
    written = [
        await WRITER.enhance("card", "a pier", budget_seconds=1),
        await WRITER.subjects("harbours", 1, (), call_id="c", budget_seconds=1),
        await WRITER.prompts(("A pier",), 1, "", call_id="c", budget_seconds=1),
        await WRITER.title("A pier at dawn", "Pier", call_id="c", budget_seconds=1),
    ]

    assert {one.source for one in written} == {Source.OFFLINE}
    assert [one.template for one in written] == [
        "offline-enhance@1",
        "offline-subjects@1",
        "offline-prompts@1",
        "offline-title@1",
    ]
    assert {(one.usage.input_tokens, one.usage.output_tokens, one.usage.cost) for one in written} == {(0, 0, None)}


async def test_a_rough_prompt_stays_whole_and_gains_its_intent_a_composition_a_light_and_a_style():
    text = (await WRITER.enhance("homepage card", "a pier at dawn, no people.", budget_seconds=1)).value

    assert text.startswith("a pier at dawn, no people. Made for homepage card: ")
    assert text.count(", ") >= 3
    assert text.endswith(".")


async def test_the_same_request_gets_the_same_answer_and_another_gets_another():
    answers = [(await WRITER.enhance("card", f"pier {n % 20}", budget_seconds=1)).value for n in range(40)]

    assert answers[:20] == answers[20:]
    assert len({answer.partition(": ")[2] for answer in answers}) > 5


@settings(deadline=None)
@given(TEXTS, st.integers(1, 20))
async def test_subjects_are_as_many_as_were_asked_for_all_different_and_clean(topic, count):
    proposed = await subjects(topic, count)

    assert len({subject.casefold() for subject in proposed}) == count
    assert [one_line(subject, MAX_SUBJECT_CHARACTERS) for subject in proposed] == list(proposed)


async def test_what_the_last_turns_proposed_never_comes_again():
    turns: list[SubjectsTurn] = []
    for _ in range(15):
        proposed = await subjects("harbours", 20, *turns[-10:])
        known = {subject.casefold() for turn in turns[-10:] for subject in turn.subjects}
        assert len(proposed) == 20
        assert known.isdisjoint(subject.casefold() for subject in proposed)
        turns.append(a_turn(*(subject.upper() for subject in proposed)))


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=10, unique=True), st.sampled_from(["", "analogue film"]))
async def test_each_subject_gets_its_prompts_in_order_each_with_a_title(chosen, style):
    each = 10 // len(chosen)
    drafts = (await WRITER.prompts(chosen, each, style, call_id="c", budget_seconds=1)).value

    assert [draft.subject for draft in drafts] == [subject for subject in chosen for _ in range(each)]
    assert all(one_line(draft.title, MAX_TITLE_CHARACTERS) for draft in drafts)
    assert all(cleaned(draft.text, MAX_WRITTEN_CHARACTERS) for draft in drafts)
    assert all(style in draft.text for draft in drafts)
    assert len({draft.text for draft in drafts}) == len(drafts)


@settings(deadline=None)
@given(TEXTS)
async def test_a_title_is_always_another_one_however_often_one_asks(text):
    title = "Title"
    for _ in range(5):
        new = (await WRITER.title(text, title, call_id="c", budget_seconds=1)).value
        assert one_line(new, MAX_TITLE_CHARACTERS).casefold() != title.casefold()
        assert one_line(new, MAX_TITLE_CHARACTERS) == new
        title = new


@pytest.mark.parametrize("text", ["...", ",;:"])
async def test_a_text_without_words_gets_a_title_too(text):
    assert (await WRITER.title(text, "", call_id="c", budget_seconds=1)).value == "A picture"


async def test_closing_it_closes_nothing():
    await WRITER.close()
    assert await subjects("harbours", 1)
