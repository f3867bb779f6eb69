"""What is asked once is paid for once, whatever happens to the worker. Shown on the subjects' chat."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from imagetron_chassis.documents import Collection, DocumentsUnavailable, Equals
from imagetron_chassis.errors import ChassisError, Permanent, QuotaExceeded, RateLimited, Transient, UnknownOutcome
from imagetron_contracts.rpc import (
    ForgetSubjects,
    ReadSubjectsHistory,
    Refusal,
    RequestRefused,
    SubjectsForgotten,
    SubjectsHistory,
    SubjectsProposed,
)
from imagetron_prompt.adapters.calls import CALLS
from imagetron_prompt.domain.written import Usage, spent
from imagetron_prompt.ports import Declined, TooSlow, Unusable
from unit.prompt.desks import ANNA, BERT, Bench, RacingDocuments, ScriptedWriter, a_call, gated, proposing, writing

USAGE = Usage(100, 20, Decimal("0.000072"))
HISTORY = ReadSubjectsHistory(caller=ANNA)


class FailingDocuments(RacingDocuments):
    """The store goes away at the next replacement in a collection."""

    failing: Collection | None = None

    async def replace(self, collection: Collection, document: Any, *, if_version: int) -> bool:
        if collection is self.failing:
            self.failing = None
            raise DocumentsUnavailable("the store went away")
        return await super().replace(collection, document, if_version=if_version)


@pytest.fixture
def bench() -> Bench:
    made = Bench(ScriptedWriter(usage=USAGE), documents=FailingDocuments())
    made.writer.says("subjects", ("A pier",), ("A second answer",))
    return made


async def tried(bench: Bench, **fields: Any) -> RequestRefused | SubjectsProposed | ChassisError:
    try:
        answer = await bench.ask(proposing(**fields))
    except ChassisError as error:
        return error
    assert isinstance(answer, RequestRefused | SubjectsProposed)
    return answer


async def turns(bench: Bench) -> list[tuple[str, ...]]:
    return [turn.subjects for turn in (await bench.answer(HISTORY, SubjectsHistory)).turns]


async def test_the_call_is_in_the_ledger_before_the_writer_is_asked(bench: Bench):
    seen: list[dict[str, Any]] = []

    async def look() -> tuple[str, ...]:
        seen.append(await bench.call("call-1"))
        return ("A pier",)

    bench.writer.says("subjects", look)
    await bench.answer(proposing(), SubjectsProposed)

    assert (seen[0]["state"], seen[0]["attempt"], seen[0]["owner"]) == ("begun", 1, "anna")


async def test_a_repeated_call_gets_the_first_answer_and_is_not_paid_for_again(bench: Bench):
    first = await bench.answer(proposing(), SubjectsProposed)
    again = await bench.answer(proposing(), SubjectsProposed)

    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.turn == first.turn
    assert len(bench.writer.asked) == 1
    assert await turns(bench) == [("A pier",)]


async def test_the_ledger_says_what_a_call_cost_and_what_it_made_but_no_text(bench: Bench):
    turn = (await bench.answer(proposing(topic="canary-topic"), SubjectsProposed)).turn

    line = await bench.call("call-1")
    assert line["state"] == "done"
    assert line["products"] == [turn.id]
    assert (line["inputTokens"], line["outputTokens"], line["costNanodollars"]) == (100, 20, 72_000)
    assert (line["purpose"], line["template"]) == ("subjects", "subjects@1")
    assert "canary" not in str(line)
    assert "pier" not in str(line)


async def test_an_id_with_another_request_is_refused(bench: Bench):
    await bench.answer(proposing(), SubjectsProposed)

    refusals = [
        await bench.refusal(proposing(call=a_call(fingerprint="other"))),
        await bench.refusal(writing(call=a_call())),
        await bench.refusal(proposing(caller=BERT)),
    ]

    assert [(one.code, one.retryable) for one in refusals] == [(Refusal.KEY_REUSED, False)] * 3
    assert len(bench.writer.asked) == 1


async def test_a_call_under_way_is_not_begun_a_second_time(bench: Bench):
    gate = asyncio.Event()
    bench.writer.says("subjects", gated(gate.wait, ("A pier",)))
    first = asyncio.create_task(bench.answer(proposing(budget_seconds=20), SubjectsProposed))
    await bench.writer.was_asked()
    bench.clock.advance(12)

    refusal = await bench.refusal(proposing(budget_seconds=20))
    gate.set()
    await first

    assert (refusal.code, refusal.retryable) == (Refusal.STILL_RUNNING, True)
    assert refusal.retry_after_seconds == 18
    assert len(bench.writer.asked) == 1


async def test_of_many_at_once_one_pays(bench: Bench):
    answers = await asyncio.gather(*(tried(bench) for _ in range(10)))

    assert sum(isinstance(answer, SubjectsProposed) and not answer.is_replay for answer in answers) == 1
    refused = {answer.code for answer in answers if isinstance(answer, RequestRefused)}
    assert refused <= {Refusal.STILL_RUNNING}
    assert len(bench.writer.asked) == 1


async def dies(bench: Bench, **fields: Any) -> None:
    """The worker is gone in the middle: nothing of what it would have written is written."""
    bench.writer.says("subjects", gated(asyncio.Event().wait, ()))
    working = asyncio.create_task(bench.ask(proposing(**fields)))
    await bench.writer.was_asked()
    working.cancel()
    await asyncio.wait([working])
    bench.writer.says("subjects", ("A pier",))


async def test_a_call_whose_worker_died_is_taken_over_when_its_lease_is_over(bench: Bench):
    await dies(bench, budget_seconds=20)
    assert (await bench.refusal(proposing())).code is Refusal.STILL_RUNNING
    bench.clock.advance(30)

    answer = await bench.answer(proposing(), SubjectsProposed)

    assert (answer.is_replay, answer.turn.subjects) == (False, ("A pier",))
    assert (await bench.call("call-1"))["attempt"] == 2
    assert await turns(bench) == [("A pier",)]


async def test_a_call_is_paid_for_at_most_twice(bench: Bench):
    for _ in range(2):
        await dies(bench, budget_seconds=20)
        bench.clock.advance(30)

    refusal = await bench.refusal(proposing())

    assert (refusal.code, refusal.retryable) == (Refusal.UNKNOWN_OUTCOME, False)
    assert len(bench.writer.asked) == 2


async def test_only_one_takes_over(bench: Bench):
    await dies(bench)
    bench.clock.advance(30)

    answers = await asyncio.gather(*(tried(bench) for _ in range(5)))

    assert len(bench.writer.asked) == 2
    assert sum(isinstance(answer, SubjectsProposed) for answer in answers) >= 1
    assert {answer.code for answer in answers if isinstance(answer, RequestRefused)} <= {Refusal.STILL_RUNNING}


async def test_a_turn_that_was_stored_before_its_worker_died_is_not_paid_for_again(bench: Bench):
    assert isinstance(bench.documents, FailingDocuments)
    bench.documents.failing = CALLS
    assert isinstance(await tried(bench), DocumentsUnavailable)

    answer = await bench.answer(proposing(), SubjectsProposed)

    assert (answer.is_replay, answer.turn.subjects) == (True, ("A pier",))
    assert len(bench.writer.asked) == 1
    assert ((await bench.call("call-1"))["state"], (await bench.call("call-1"))["attempt"]) == ("done", 1)


async def test_a_worker_that_was_taken_for_dead_changes_nothing_that_can_be_seen(bench: Bench):
    gate = asyncio.Event()
    bench.writer.says("subjects", gated(gate.wait, ("The late answer",)), ("A pier",))
    late = asyncio.create_task(bench.answer(proposing(), SubjectsProposed))
    await bench.writer.was_asked()
    bench.clock.advance(60)
    in_time = await bench.answer(proposing(), SubjectsProposed)
    gate.set()

    assert (await late).turn == in_time.turn
    assert await turns(bench) == [("A pier",)]
    line = await bench.call("call-1")
    assert (line["state"], line["inputTokens"], line["costNanodollars"]) == ("done", 200, 144_000)


async def test_a_late_failure_does_not_undo_what_the_next_worker_did(bench: Bench):
    gate = asyncio.Event()
    bench.writer.says("subjects", gated(gate.wait, TooSlow("no answer in time")), ("A pier",))
    late = asyncio.create_task(tried(bench))
    await bench.writer.was_asked()
    bench.clock.advance(60)
    await bench.answer(proposing(), SubjectsProposed)
    gate.set()
    await late

    assert (await bench.call("call-1"))["state"] == "done"


@pytest.mark.parametrize(
    "error",
    [Transient("away"), RateLimited("slow down", retry_after_seconds=7), QuotaExceeded("spent"), Permanent("no")],
)
async def test_a_failure_that_cost_nothing_does_not_count_and_may_be_repeated_at_once(bench: Bench, error):
    bench.writer.says("subjects", error, error, error, error, ("A pier",))
    for _ in range(4):
        assert await tried(bench) is error

    answer = await bench.answer(proposing(), SubjectsProposed)

    assert answer.turn.subjects == ("A pier",)
    assert (await bench.call("call-1"))["attempt"] == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TooSlow("too late"), Refusal.TIMED_OUT),
        (Unusable("nonsense"), Refusal.UNAVAILABLE),
        (UnknownOutcome("the connection broke"), None),
    ],
)
async def test_a_failure_that_may_have_cost_counts_and_may_be_repeated_once(bench: Bench, error, code):
    bench.writer.says("subjects", error)
    for _ in range(2):
        failed = await tried(bench)
        assert failed is error if code is None else isinstance(failed, RequestRefused) and failed.code is code

    refusal = await bench.refusal(proposing())

    assert (refusal.code, refusal.retryable) == (Refusal.UNKNOWN_OUTCOME, False)
    assert len(bench.writer.asked) == 2


async def test_what_an_unusable_answer_cost_is_in_the_books(bench: Bench):
    bench.writer.says("subjects", ("\x00",), ("A pier",))
    await bench.refusal(proposing())
    await bench.answer(proposing(), SubjectsProposed)

    line = await bench.call("call-1")
    assert (line["attempt"], line["inputTokens"], line["outputTokens"]) == (2, 200, 40)


async def test_what_was_paid_before_a_call_failed_is_in_the_books_and_counts(bench: Bench):
    bench.writer.says("subjects", spent(Transient("the server went away after an unusable answer"), USAGE))

    assert isinstance(await tried(bench), Transient)

    line = await bench.call("call-1")
    assert (line["inputTokens"], line["outputTokens"], line["attempt"]) == (
        USAGE.input_tokens,
        USAGE.output_tokens,
        1,
    )


async def test_a_call_that_was_declined_is_answered_so_again_and_not_paid_for_again(bench: Bench):
    bench.writer.says("subjects", spent(Declined("no"), USAGE))

    answers = [await tried(bench) for _ in range(3)]

    assert [answer.code for answer in answers if isinstance(answer, RequestRefused)] == [Refusal.CONTENT_FILTERED] * 3
    line = await bench.call("call-1")
    assert (line["state"], line["outputTokens"]) == ("refused", USAGE.output_tokens)
    assert len(bench.writer.asked) == 1


async def test_a_repeat_finds_nothing_once_what_was_made_is_removed(bench: Bench):
    await bench.answer(proposing(), SubjectsProposed)
    await bench.answer(ForgetSubjects(caller=ANNA), SubjectsForgotten)

    refusal = await bench.refusal(proposing())

    assert (refusal.code, refusal.retryable) == (Refusal.NOT_FOUND, False)
    assert len(bench.writer.asked) == 1


async def test_a_turn_that_is_forgotten_while_two_workers_are_at_it_stays_forgotten(bench: Bench):
    gate = asyncio.Event()

    class Forgetful(RacingDocuments):
        async def get(self, collection: Collection, document_id: str, *filters: Any) -> Any:
            found = await super().get(collection, document_id, *filters)
            if collection.name == "turns" and found is not None:
                await self.delete(collection, document_id, Equals("owner", "anna"))
                return None
            return found

    bench = Bench(documents=Forgetful())
    bench.writer.says("subjects", gated(gate.wait, ("The late answer",)), ("A pier",))
    late = asyncio.create_task(bench.refusal(proposing()))
    await bench.writer.was_asked()
    bench.clock.advance(60)
    await bench.answer(proposing(), SubjectsProposed)
    gate.set()

    assert (await late).code is Refusal.NOT_FOUND


@pytest.mark.parametrize("races", [1, 3])
async def test_a_call_is_completed_however_often_its_line_changes_meanwhile(bench: Bench, races):
    async def disturb() -> tuple[str, ...]:
        bench.documents.races = races
        return ("A pier",)

    bench.writer.says("subjects", disturb)
    await bench.answer(proposing(), SubjectsProposed)

    assert (await bench.call("call-1"))["state"] == "done"


async def test_a_call_that_cannot_be_completed_has_stored_what_it_made(bench: Bench):
    async def disturb() -> tuple[str, ...]:
        bench.documents.races = 1000
        return ("A pier",)

    bench.writer.says("subjects", disturb)
    assert isinstance(await tried(bench), Transient)
    bench.documents.races = 0

    assert (await bench.answer(proposing(), SubjectsProposed)).is_replay


async def test_a_line_that_is_lost_does_not_come_back(bench: Bench):
    async def lose() -> tuple[str, ...]:
        await bench.documents.delete(CALLS, "call-1")
        return ("A pier",)

    bench.writer.says("subjects", lose)

    assert isinstance(await tried(bench), Transient)


async def test_who_loses_the_race_to_take_over_is_told_to_come_back(bench: Bench):
    await dies(bench)
    bench.clock.advance(60)
    bench.documents.races = 1

    refusal = await bench.refusal(proposing())

    assert (refusal.code, refusal.retry_after_seconds) == (Refusal.STILL_RUNNING, 1)
