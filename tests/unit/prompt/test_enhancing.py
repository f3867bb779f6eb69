"""A proposal for a final prompt: nothing of it is kept."""

import asyncio

import pytest

from imagetron_chassis.errors import Permanent, QuotaExceeded, RateLimited, Transient, UnknownOutcome
from imagetron_contracts.rpc import MAX_PROMPT_CHARACTERS, PromptEnhanced, Refusal, RequestRefused, Source
from imagetron_prompt.adapters.offline import OfflineWriter
from imagetron_prompt.ports import Declined, TooSlow, Unusable
from unit.prompt.desks import Bench, enhancing

FOR_NOW = [
    TooSlow("no answer in time"),
    Unusable("nonsense"),
    Transient("away"),
    UnknownOutcome("the connection broke"),
    RateLimited("slow down", retry_after_seconds=7),
    QuotaExceeded("spent"),
]


class SlowStandIn(OfflineWriter):
    """Fails as well."""

    async def enhance(self, intent: str, prompt: str, *, budget_seconds: float):
        raise TooSlow(f"{len(intent + prompt)} characters are too many for {budget_seconds:g} s")


async def test_the_proposal_is_what_the_writer_wrote_within_the_budget():
    bench = Bench()
    bench.writer.says("enhance", "A long wooden pier at dawn.")

    answer = await bench.answer(enhancing(), PromptEnhanced)

    assert (answer.final_prompt, answer.source) == ("A long wooden pier at dawn.", Source.MODEL)
    assert bench.writer.asked == [("enhance", "homepage card", "a pier", 1.2)]


async def test_nothing_is_kept():
    bench = Bench()
    bench.writer.says("enhance", "A long wooden pier at dawn.")

    await bench.answer(enhancing(), PromptEnhanced)

    assert bench.documents._documents == {}


async def test_the_proposal_is_cleaned_and_not_longer_than_a_prompt_may_be():
    bench = Bench()
    bench.writer.says("enhance", "\ufeffA pier\u202e\r\n" + "x" * 5000)

    answer = await bench.answer(enhancing(), PromptEnhanced)

    assert answer.final_prompt.startswith("A pier\nxxx")
    assert len(answer.final_prompt) == MAX_PROMPT_CHARACTERS


@pytest.mark.parametrize("said", ["", " \n ", "\x00", "\u200d"])
async def test_a_proposal_of_nothing_is_unusable(said):
    bench = Bench()
    bench.writer.says("enhance", said)

    refusal = await bench.refusal(enhancing())

    assert (refusal.code, refusal.retryable) == (Refusal.UNAVAILABLE, True)


async def test_a_writer_that_is_too_slow_is_told_as_such():
    bench = Bench()
    bench.writer.says("enhance", FOR_NOW[0])

    refusal = await bench.refusal(enhancing())

    assert (refusal.code, refusal.retryable) == (Refusal.TIMED_OUT, True)


async def test_a_writer_that_declines_is_told_as_such_and_no_stand_in_is_asked():
    bench = Bench(stand_in=OfflineWriter())
    bench.writer.says("enhance", Declined("I will not write about this"))

    refusal = await bench.refusal(enhancing())

    assert (refusal.code, refusal.retryable) == (Refusal.CONTENT_FILTERED, False)


@pytest.mark.parametrize("error", FOR_NOW, ids=lambda error: type(error).__name__)
async def test_a_stand_in_answers_when_the_writer_cannot_and_says_so(error):
    bench = Bench(stand_in=OfflineWriter())
    bench.writer.says("enhance", error)

    answer = await bench.answer(enhancing(), PromptEnhanced)

    assert answer.source is Source.OFFLINE
    assert answer.final_prompt.startswith("a pier")


@pytest.mark.parametrize("error", FOR_NOW, ids=lambda error: type(error).__name__)
async def test_without_a_stand_in_the_caller_is_told(error):
    bench = Bench()
    bench.writer.says("enhance", error)

    [answer] = await asyncio.gather(bench.ask(enhancing()), return_exceptions=True)

    assert answer is error or isinstance(answer, RequestRefused)


async def test_a_stand_in_answers_for_an_empty_proposal():
    bench = Bench(stand_in=OfflineWriter())
    bench.writer.says("enhance", "\u200d")

    assert (await bench.answer(enhancing(), PromptEnhanced)).source is Source.OFFLINE


async def test_a_wrong_configuration_is_not_covered_up_by_the_stand_in():
    bench = Bench(stand_in=OfflineWriter())
    bench.writer.says("enhance", Permanent("the key is not accepted"))

    with pytest.raises(Permanent, match="not accepted"):
        await bench.ask(enhancing())


async def test_a_stand_in_that_fails_too_is_told():
    bench = Bench(stand_in=SlowStandIn())
    bench.writer.says("enhance", Transient("away"))

    assert (await bench.refusal(enhancing())).code is Refusal.TIMED_OUT
