"""The subjects' chat."""

import asyncio

import pytest

from imagetron_contracts.rpc import (
    ForgetSubjects,
    ReadSubjectsHistory,
    Refusal,
    Source,
    SubjectsForgotten,
    SubjectsHistory,
    SubjectsProposed,
)
from unit.prompt.desks import ANNA, BERT, OPERATOR, Bench, a_call, proposing


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.writer.says("subjects", ("A pier", "A crane"))
    return made


async def talked(bench: Bench, count: int, caller=ANNA) -> None:
    for number in range(count):
        bench.clock.advance(1)
        bench.writer.says("subjects", (f"Subject {number}",))
        call = a_call(f"{caller.owner}-{number}")
        await bench.answer(proposing(caller=caller, call=call, topic=f"topic {number}"), SubjectsProposed)


async def history(bench: Bench, caller=ANNA, **fields) -> SubjectsHistory:
    return await bench.answer(ReadSubjectsHistory(caller=caller, **fields), SubjectsHistory)


async def test_a_turn_holds_what_was_asked_and_what_came_back(bench: Bench):
    turn = (await bench.answer(proposing(topic=" harbours ", count=2), SubjectsProposed)).turn

    assert (turn.topic, turn.subjects) == (" harbours ", ("A pier", "A crane"))
    assert (turn.source, turn.template, turn.created_at) == (Source.MODEL, "subjects@1", bench.clock.now())
    assert (await history(bench)).turns == (turn,)


async def test_the_writer_is_told_the_last_ten_turns_oldest_first(bench: Bench):
    await talked(bench, 12)
    await talked(bench, 1, BERT)
    await bench.answer(proposing(topic="more", count=5, budget_seconds=9), SubjectsProposed)

    task, topic, count, earlier, call_id, budget = bench.writer.asked[-1]
    assert (task, topic, count, call_id, budget) == ("subjects", "more", 5, "call-1", 9)
    assert [turn.topic for turn in earlier] == [f"topic {number}" for number in range(2, 12)]


async def test_subjects_are_cleaned_and_none_comes_twice(bench: Bench):
    bench.writer.says("subjects", ("A\u202e pier\n", "a  PIER", "", "\x00", "Straße", "STRASSE", "x" * 300, "more"))

    turn = (await bench.answer(proposing(count=4), SubjectsProposed)).turn

    assert turn.subjects == ("A pier", "Straße", "x" * 200, "more")


async def test_no_more_subjects_are_kept_than_were_asked_for(bench: Bench):
    assert (await bench.answer(proposing(count=1), SubjectsProposed)).turn.subjects == ("A pier",)


@pytest.mark.parametrize("said", [(), ("", " \n"), ("\u200d",)])
async def test_an_answer_without_subjects_is_unusable(bench: Bench, said):
    bench.writer.says("subjects", said)

    refusal = await bench.refusal(proposing())

    assert (refusal.code, refusal.retryable) == (Refusal.UNAVAILABLE, True)
    assert (await history(bench)).turns == ()


async def test_the_history_is_read_page_by_page_newest_first(bench: Bench):
    await talked(bench, 5)

    first = await history(bench, limit=2)
    second = await history(bench, limit=2, after=first.next)
    third = await history(bench, limit=2, after=second.next)

    pages = [[turn.topic for turn in page.turns] for page in (first, second, third)]
    assert pages == [["topic 4", "topic 3"], ["topic 2", "topic 1"], ["topic 0"]]
    assert third.next is None


@pytest.mark.parametrize("reader", [BERT, OPERATOR])
async def test_a_chat_is_its_owners_alone(bench: Bench, reader):
    await talked(bench, 1)

    assert (await history(bench, reader)).turns == ()


async def test_a_chat_is_forgotten_whole_also_beyond_a_page(bench: Bench):
    await talked(bench, 250)
    await talked(bench, 2, BERT)

    forgotten = await bench.answer(ForgetSubjects(caller=ANNA), SubjectsForgotten)
    again = await bench.answer(ForgetSubjects(caller=ANNA), SubjectsForgotten)

    assert (forgotten.count, again.count) == (250, 0)
    assert (await history(bench)).turns == ()
    assert len((await history(bench, BERT)).turns) == 2


async def test_who_sees_all_owners_forgets_only_their_own(bench: Bench):
    await talked(bench, 2)
    await talked(bench, 3, OPERATOR)

    assert (await bench.answer(ForgetSubjects(caller=OPERATOR), SubjectsForgotten)).count == 3
    assert len((await history(bench)).turns) == 2


async def test_two_who_forget_at_once_count_each_turn_once(bench: Bench):
    await talked(bench, 5)

    answers = await asyncio.gather(*(bench.answer(ForgetSubjects(caller=ANNA), SubjectsForgotten) for _ in range(2)))

    assert sum(answer.count for answer in answers) == 5
