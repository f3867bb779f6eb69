"""Kept prompts: listed, read, changed, removed."""

import asyncio

import pytest

from imagetron_chassis.errors import Transient
from imagetron_contracts.envelope import MAX_BODY_BYTES, Envelope
from imagetron_contracts.rpc import (
    Caller,
    ChangePrompt,
    GetPrompt,
    ListPrompts,
    Prompt,
    PromptPage,
    PromptRemoved,
    PromptShown,
    Refusal,
    RemovePrompt,
)
from support.builders import NOW
from unit.prompt.desks import ANNA, BERT, OPERATOR, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def listed(bench: Bench, caller: Caller = ANNA, **fields) -> PromptPage:
    return await bench.answer(ListPrompts(caller=caller, **fields), PromptPage)


async def shown(bench: Bench, prompt: Prompt) -> Prompt:
    return (await bench.answer(GetPrompt(caller=ANNA, prompt_id=prompt.id), PromptShown)).prompt


async def changed(bench: Bench, prompt: Prompt, **fields) -> Prompt:
    request = ChangePrompt(caller=fields.pop("caller", ANNA), prompt_id=prompt.id, **fields)
    return (await bench.answer(request, PromptShown)).prompt


async def kept(bench: Bench, count: int, caller: Caller = ANNA) -> list[Prompt]:
    """So many prompts, a second apart, oldest first."""
    prompts: list[Prompt] = []
    for number in range(count):
        bench.clock.advance(1)
        prompts += await bench.written(f"subject {number}", caller=caller, number=number)
    return prompts


async def test_prompts_are_listed_page_by_page_newest_first(bench: Bench):
    oldest_first = await kept(bench, 5)

    first = await listed(bench, limit=2)
    second = await listed(bench, limit=2, after=first.next)
    third = await listed(bench, limit=2, after=second.next)

    assert [*first.prompts, *second.prompts, *third.prompts] == oldest_first[::-1]
    assert third.next is None


async def test_a_page_that_is_just_full_is_the_last(bench: Bench):
    await kept(bench, 2)

    assert (await listed(bench, limit=2)).next is None


async def test_prompts_of_one_label_are_listed(bench: Bench):
    prompts = await kept(bench, 3)
    await changed(bench, prompts[1], status="approved")

    assert [one.id for one in (await listed(bench, status="approved")).prompts] == [prompts[1].id]
    assert len((await listed(bench, status="draft")).prompts) == 2
    assert (await listed(bench, status="no-such")).prompts == ()


async def test_a_label_that_is_no_longer_configured_stays_readable_and_can_be_listed(bench: Bench):
    (prompt,) = await kept(bench, 1)
    later = Bench(documents=bench.documents, statuses=("new", "old"))

    assert (await listed(later, status="draft")).prompts == (prompt,)
    assert (await shown(later, prompt)).status == "draft"
    assert (await changed(later, prompt, title="Mine")).status == "draft"


async def test_a_page_is_cut_where_the_message_is_full_and_the_next_goes_on_there(bench: Bench):
    prompts = await kept(bench, 12)
    for prompt in prompts:
        await changed(bench, prompt, text="🎨" * 4000)

    seen: list[Prompt] = []
    after, pages = None, 0
    while pages == 0 or after:
        page = await listed(bench, limit=200, after=after)
        assert (
            len(Envelope.wrap(page, message_id="m" * 36, source="imagetron/prompt", time=NOW).encode()) < MAX_BODY_BYTES
        )
        seen, after, pages = [*seen, *page.prompts], page.next, pages + 1

    assert [one.id for one in seen] == [one.id for one in prompts[::-1]]
    assert pages == 4


async def test_a_text_is_kept_byte_for_byte(bench: Bench):
    (prompt,) = await kept(bench, 1)
    text = " \ufeff\u202eA\tpier\r\n\u2028\x1b[31m\U000e0041e\u0301 "

    assert (await changed(bench, prompt, text=text)).text == text
    assert (await shown(bench, prompt)).text == text


async def test_what_is_not_given_stays(bench: Bench):
    (prompt,) = await kept(bench, 1)
    bench.clock.advance(5)

    after = await changed(bench, prompt, title="Mine")

    assert after == prompt.model_copy(update={"title": "Mine", "version": 2, "updated_at": bench.clock.now()})
    assert (await changed(bench, prompt, status="used")).title == "Mine"


async def test_a_prompt_is_changed_only_at_the_version_that_was_read(bench: Bench):
    (prompt,) = await kept(bench, 1)
    await changed(bench, prompt, title="Mine", if_version=1)

    refusal = await bench.refusal(ChangePrompt(caller=ANNA, prompt_id=prompt.id, title="Yours", if_version=1))

    assert (refusal.code, refusal.retryable) == (Refusal.CHANGED, False)
    assert (await shown(bench, prompt)).title == "Mine"


async def test_a_change_without_a_version_is_made_however_often_others_are_faster(bench: Bench):
    (prompt,) = await kept(bench, 1)
    bench.documents.races = 5

    assert (await changed(bench, prompt, title="Mine")).version == 7


async def test_a_change_that_loses_a_race_is_refused_if_it_names_a_version(bench: Bench):
    (prompt,) = await kept(bench, 1)
    bench.documents.races = 1

    refusal = await bench.refusal(ChangePrompt(caller=ANNA, prompt_id=prompt.id, title="Mine", if_version=1))

    assert refusal.code is Refusal.CHANGED


async def test_a_change_is_given_up_at_last(bench: Bench):
    (prompt,) = await kept(bench, 1)
    bench.documents.races = 1000

    with pytest.raises(Transient, match=prompt.id):
        await bench.ask(ChangePrompt(caller=ANNA, prompt_id=prompt.id, title="Mine"))


async def test_changes_at_once_are_all_made(bench: Bench):
    (prompt,) = await kept(bench, 1)

    await asyncio.gather(*(changed(bench, prompt, status=status) for status in bench.statuses))

    assert (await shown(bench, prompt)).version == 5


async def test_a_prompt_is_removed_at_the_version_that_was_read_or_at_any(bench: Bench):
    first, second = await kept(bench, 2)
    await changed(bench, first, title="Mine")

    refusal = await bench.refusal(RemovePrompt(caller=ANNA, prompt_id=first.id, if_version=1))
    await bench.answer(RemovePrompt(caller=ANNA, prompt_id=first.id, if_version=2), PromptRemoved)
    await bench.answer(RemovePrompt(caller=ANNA, prompt_id=second.id), PromptRemoved)

    assert refusal.code is Refusal.CHANGED
    assert (await listed(bench)).prompts == ()


@pytest.mark.parametrize("prompt_id", ["0b9a2f0e-0000-4000-8000-000000000000", "", "../x", "\x00", "$ne"])
async def test_what_is_not_there_is_not_found(bench: Bench, prompt_id):
    await kept(bench, 1)
    requests = [
        GetPrompt(caller=ANNA, prompt_id=prompt_id),
        ChangePrompt(caller=ANNA, prompt_id=prompt_id, title="Mine"),
        RemovePrompt(caller=ANNA, prompt_id=prompt_id),
    ]

    refusals = [await bench.refusal(request) for request in requests]

    assert [(one.code, one.retryable) for one in refusals] == [(Refusal.NOT_FOUND, False)] * 3


async def test_other_owners_prompts_are_not_there(bench: Bench):
    (prompt,) = await kept(bench, 1)
    requests = [
        GetPrompt(caller=BERT, prompt_id=prompt.id),
        ChangePrompt(caller=BERT, prompt_id=prompt.id, title="Mine"),
        RemovePrompt(caller=BERT, prompt_id=prompt.id),
    ]

    assert [(await bench.refusal(request)).code for request in requests] == [Refusal.NOT_FOUND] * 3
    assert (await listed(bench, BERT)).prompts == ()
    assert await shown(bench, prompt) == prompt


async def test_who_sees_all_owners_changes_a_prompt_and_it_stays_its_owners(bench: Bench):
    (prompt,) = await kept(bench, 1)

    await changed(bench, prompt, caller=OPERATOR, status="rejected")

    assert (await shown(bench, prompt)).status == "rejected"
    assert len((await listed(bench, OPERATOR)).prompts) == 1
