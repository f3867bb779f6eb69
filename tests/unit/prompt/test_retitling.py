"""Another title for a prompt, paid for once."""

import asyncio

import pytest

from imagetron_chassis.errors import Transient
from imagetron_contracts.rpc import (
    ChangePrompt,
    GetPrompt,
    Prompt,
    PromptRemoved,
    PromptShown,
    Refusal,
    RemovePrompt,
)
from unit.prompt.desks import ANNA, BERT, Bench, a_call, gated, retitling


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def a_prompt(bench: Bench) -> Prompt:
    (prompt,) = await bench.written("A pier")
    bench.writer.asked.clear()
    bench.writer.says("title", "Dawn\n at the  pier", "A second title")
    return prompt


async def title_of(bench: Bench, prompt: Prompt) -> str:
    return (await bench.answer(GetPrompt(caller=ANNA, prompt_id=prompt.id), PromptShown)).prompt.title


async def test_the_prompt_gets_the_title_that_was_written(bench: Bench):
    prompt = await a_prompt(bench)
    bench.clock.advance(5)

    answer = await bench.answer(retitling(prompt.id, budget_seconds=9), PromptShown)

    assert bench.writer.asked == [("title", prompt.text, prompt.title, "call-1", 9)]
    assert answer.prompt == prompt.model_copy(
        update={"title": "Dawn at the pier", "version": 2, "updated_at": bench.clock.now()}
    )
    assert not answer.is_replay


async def test_a_repeated_call_does_not_change_the_title_again(bench: Bench):
    prompt = await a_prompt(bench)
    await bench.answer(retitling(prompt.id), PromptShown)
    await bench.answer(ChangePrompt(caller=ANNA, prompt_id=prompt.id, title="Mine"), PromptShown)

    again = await bench.answer(retitling(prompt.id, if_version=1), PromptShown)

    assert (again.is_replay, again.prompt.title) == (True, "Mine")
    assert len(bench.writer.asked) == 1


async def test_a_title_is_cut_to_its_length(bench: Bench):
    prompt = await a_prompt(bench)
    bench.writer.says("title", "x" * 300)

    assert (await bench.answer(retitling(prompt.id), PromptShown)).prompt.title == "x" * 100


@pytest.mark.parametrize("said", ["", "\u200d", "Title of A pier", "TITLE\nof a  PIER"])
async def test_the_title_that_is_there_already_is_unusable(bench: Bench, said):
    prompt = await a_prompt(bench)
    bench.writer.says("title", said)

    refusal = await bench.refusal(retitling(prompt.id))

    assert (refusal.code, refusal.retryable) == (Refusal.UNAVAILABLE, True)
    assert await title_of(bench, prompt) == prompt.title


async def test_a_prompt_of_another_version_is_refused_before_anything_is_paid(bench: Bench):
    prompt = await a_prompt(bench)

    refusal = await bench.refusal(retitling(prompt.id, if_version=7))

    assert (refusal.code, refusal.retryable) == (Refusal.CHANGED, False)
    assert bench.writer.asked == []
    assert (await bench.call("call-1"))["attempt"] == 0


async def test_a_prompt_that_changes_meanwhile_is_left_alone_if_a_version_was_named(bench: Bench):
    prompt = await a_prompt(bench)
    change = ChangePrompt(caller=ANNA, prompt_id=prompt.id, text="Mine")
    bench.writer.says("title", gated(lambda: bench.ask(change), "Dawn"))

    refusal = await bench.refusal(retitling(prompt.id, if_version=1))

    assert refusal.code is Refusal.CHANGED
    assert await title_of(bench, prompt) == prompt.title
    assert (await bench.call("call-1"))["attempt"] == 1, "it was paid for"


async def test_a_prompt_that_changes_meanwhile_keeps_the_change_and_gets_its_title(bench: Bench):
    prompt = await a_prompt(bench)
    change = ChangePrompt(caller=ANNA, prompt_id=prompt.id, text="Mine")
    bench.writer.says("title", gated(lambda: bench.ask(change), "Dawn"))

    answer = (await bench.answer(retitling(prompt.id), PromptShown)).prompt

    assert (answer.title, answer.text) == ("Dawn", "Mine")


async def test_a_prompt_that_is_removed_meanwhile_is_not_found(bench: Bench):
    prompt = await a_prompt(bench)
    removal = RemovePrompt(caller=ANNA, prompt_id=prompt.id)
    bench.writer.says("title", gated(lambda: bench.answer(removal, PromptRemoved), "Dawn"))

    assert (await bench.refusal(retitling(prompt.id))).code is Refusal.NOT_FOUND


async def test_a_prompt_that_is_not_the_callers_is_not_found_and_nothing_is_paid(bench: Bench):
    prompt = await a_prompt(bench)

    assert (await bench.refusal(retitling(prompt.id, caller=BERT))).code is Refusal.NOT_FOUND
    assert bench.writer.asked == []


async def test_a_title_is_stored_however_often_others_are_faster(bench: Bench):
    prompt = await a_prompt(bench)

    async def disturb() -> str:
        bench.documents.races = 3
        return "Dawn"

    bench.writer.says("title", disturb)

    assert (await bench.answer(retitling(prompt.id), PromptShown)).prompt.title == "Dawn"


async def test_storing_a_title_is_given_up_at_last(bench: Bench):
    prompt = await a_prompt(bench)

    async def disturb() -> str:
        bench.documents.races = 1000
        return "Dawn"

    bench.writer.says("title", disturb)

    with pytest.raises(Transient, match=prompt.id):
        await bench.ask(retitling(prompt.id))


async def test_of_two_workers_of_one_call_the_first_title_stays(bench: Bench):
    prompt = await a_prompt(bench)
    gate = asyncio.Event()
    bench.writer.says("title", gated(gate.wait, "Late"), "Dawn")
    late = asyncio.create_task(bench.answer(retitling(prompt.id), PromptShown))
    await bench.writer.was_asked()
    bench.clock.advance(60)
    in_time = await bench.answer(retitling(prompt.id), PromptShown)
    gate.set()

    assert (await late).prompt == in_time.prompt
    assert await title_of(bench, prompt) == "Dawn"


async def test_only_the_last_calls_are_remembered(bench: Bench):
    prompt = await a_prompt(bench)
    for number in range(105):
        bench.writer.says("title", f"Title {number}")
        await bench.answer(retitling(prompt.id, call=a_call(f"call-{number}")), PromptShown)

    stored = bench.documents._documents["prompts"][prompt.id]
    assert stored["retitledBy"] == [f"call-{number}" for number in range(5, 105)]
