"""Prompts for chosen subjects, kept."""

from collections.abc import Sequence
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_contracts.rpc import (
    MAX_PROMPTS,
    MAX_SUBJECT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    MAX_WRITTEN_CHARACTERS,
    Prompt,
    PromptsWritten,
    WritePrompts,
)
from imagetron_prompt.domain.accepting import check_line, check_text
from imagetron_prompt.domain.calls import Purpose, product_id
from imagetron_prompt.domain.cleaning import cleaned, one_line
from imagetron_prompt.domain.errors import Invalid
from imagetron_prompt.domain.pages import fitting
from imagetron_prompt.domain.prompts import KeptPrompt
from imagetron_prompt.domain.written import Draft, Written
from imagetron_prompt.ports import Calls, Prompts, Unusable, Writer
from imagetron_prompt.usecases.callers import principal_of
from imagetron_prompt.usecases.measuring import measured
from imagetron_prompt.usecases.spending import Order, spend

MAX_STYLE_CHARACTERS: Final = 200


async def write_prompts(
    request: WritePrompts, *, writer: Writer, prompts: Prompts, calls: Calls, clock: Clock, new_status: str
) -> PromptsWritten:
    """The new prompts, in the order of their subjects. Of a repeated call: those that are still there, as they are now."""
    _check(request)
    principal = principal_of(request.caller)
    subjects = [subject for subject in request.subjects for _ in range(request.per_subject)]
    prompt_ids = tuple(product_id(request.call.id, number) for number in range(len(subjects)))

    async def ask() -> Written[tuple[Draft, ...]]:
        asked = writer.prompts(
            request.subjects,
            request.per_subject,
            request.style,
            call_id=request.call.id,
            budget_seconds=request.budget_seconds,
        )
        return await measured(Purpose.PROMPTS, asked)

    async def find() -> list[Prompt] | None:
        found = [await prompts.get(prompt_id, principal) for prompt_id in prompt_ids]
        return [kept.prompt for kept in found if kept is not None] or None

    async def keep(written: Written[tuple[Draft, ...]]) -> list[Prompt]:
        drafts, now = _checked(written.value, subjects), clock.now()
        for prompt_id, draft in zip(prompt_ids, drafts, strict=True):
            prompt = Prompt(
                id=prompt_id,
                version=1,
                title=draft.title,
                text=draft.text,
                subject=draft.subject,
                status=new_status,
                source=written.source,
                template=written.template,
                created_at=now,
                updated_at=now,
            )
            await prompts.add(KeptPrompt(principal.owner, prompt), principal)
        return await find() or []

    order = Order(
        paid=request.call,
        purpose=Purpose.PROMPTS,
        principal=principal,
        budget_seconds=request.budget_seconds,
        product_ids=prompt_ids,
        ask=ask,
        keep=keep,
        find=find,
        is_whole=lambda found: len(found) == len(prompt_ids),
    )
    made, is_replay = await spend(order, calls=calls, clock=clock)
    # New ones always fit; people may have made them longer since.
    return PromptsWritten(prompts=tuple(made[: fitting(made)]), is_replay=is_replay)


def _check(request: WritePrompts) -> None:
    for subject in request.subjects:
        check_line("subjects", subject, at_most=MAX_SUBJECT_CHARACTERS)
    if len({subject.strip().casefold() for subject in request.subjects}) < len(request.subjects):
        raise Invalid("subjects", "names a subject twice")
    wanted = len(request.subjects) * request.per_subject
    if wanted > MAX_PROMPTS:
        raise Invalid("perSubject", f"asks for {wanted} prompts; at most {MAX_PROMPTS} are written at once")
    check_text("style", request.style, at_most=MAX_STYLE_CHARACTERS, may_be_blank=True)


def _checked(drafts: Sequence[Draft], subjects: Sequence[str]) -> list[Draft]:
    """Clean, and what was asked for: nobody may find a prompt under another subject."""
    clean = [
        Draft(
            draft.subject,
            one_line(draft.title, MAX_TITLE_CHARACTERS),
            cleaned(draft.text, MAX_WRITTEN_CHARACTERS),
        )
        for draft in drafts
    ]
    if [draft.subject for draft in clean] != list(subjects):
        raise Unusable("the language model wrote other prompts than those that were asked for")
    if not all(draft.title and draft.text for draft in clean):
        raise Unusable("the language model wrote an empty prompt or title")
    return clean
