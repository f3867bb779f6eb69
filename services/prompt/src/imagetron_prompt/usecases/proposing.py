"""The subjects' chat: a turn is proposed, kept, read again, forgotten."""

from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_contracts.rpc import (
    MAX_SUBJECT_CHARACTERS,
    ForgetSubjects,
    ProposeSubjects,
    ReadSubjectsHistory,
    SubjectsForgotten,
    SubjectsHistory,
    SubjectsProposed,
    SubjectsTurn,
)
from imagetron_prompt.domain.accepting import check_text
from imagetron_prompt.domain.calls import Purpose, product_id
from imagetron_prompt.domain.cleaning import one_line
from imagetron_prompt.domain.errors import NotFound
from imagetron_prompt.domain.written import Written
from imagetron_prompt.ports import Calls, Turns, Unusable, Writer
from imagetron_prompt.usecases.callers import principal_of
from imagetron_prompt.usecases.measuring import measured
from imagetron_prompt.usecases.spending import Order, spend

MAX_TOPIC_CHARACTERS: Final = 500
_REMEMBERED_TURNS: Final = 10


async def propose_subjects(
    request: ProposeSubjects, *, writer: Writer, turns: Turns, calls: Calls, clock: Clock
) -> SubjectsProposed:
    """The next turn of the caller's chat."""
    check_text("topic", request.topic, at_most=MAX_TOPIC_CHARACTERS)
    principal, turn_id = principal_of(request.caller), product_id(request.call.id)

    async def ask() -> Written[tuple[str, ...]]:
        latest = await turns.page(principal, after=None, limit=_REMEMBERED_TURNS)
        oldest_first = tuple(reversed(latest.turns))
        asked = writer.subjects(
            request.topic,
            request.count,
            oldest_first,
            call_id=request.call.id,
            budget_seconds=request.budget_seconds,
        )
        return await measured(Purpose.SUBJECTS, asked)

    async def keep(written: Written[tuple[str, ...]]) -> SubjectsTurn:
        turn = SubjectsTurn(
            id=turn_id,
            topic=request.topic,
            subjects=_distinct(written.value, request.count),
            source=written.source,
            template=written.template,
            created_at=clock.now(),
        )
        if await turns.add(turn, principal):
            return turn
        first = await turns.get(turn_id, principal)
        if first is None:
            raise NotFound("what this call made has been removed since")
        return first

    order = Order(
        paid=request.call,
        purpose=Purpose.SUBJECTS,
        principal=principal,
        budget_seconds=request.budget_seconds,
        product_ids=(turn_id,),
        ask=ask,
        keep=keep,
        find=lambda: turns.get(turn_id, principal),
    )
    turn, is_replay = await spend(order, calls=calls, clock=clock)
    return SubjectsProposed(turn=turn, is_replay=is_replay)


async def read_subjects_history(request: ReadSubjectsHistory, *, turns: Turns) -> SubjectsHistory:
    """The chat, newest turn first."""
    page = await turns.page(principal_of(request.caller), after=request.after, limit=request.limit)
    return SubjectsHistory(turns=tuple(page.turns), next=page.next)


async def forget_subjects(request: ForgetSubjects, *, turns: Turns) -> SubjectsForgotten:
    """Empty the chat. Emptying it again changes nothing."""
    return SubjectsForgotten(count=await turns.forget(principal_of(request.caller)))


def _distinct(texts: tuple[str, ...], count: int) -> tuple[str, ...]:
    lines = (one_line(text, MAX_SUBJECT_CHARACTERS) for text in texts)
    subjects = tuple({line.casefold(): line for line in reversed([line for line in lines if line])}.values())[::-1]
    if not subjects:
        raise Unusable("the language model proposed no subject")
    return subjects[:count]
