"""Another title for a prompt, written by the language model."""

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import Transient
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import MAX_TITLE_CHARACTERS, PromptShown, RetitlePrompt
from imagetron_prompt.domain.calls import Purpose
from imagetron_prompt.domain.cleaning import one_line
from imagetron_prompt.domain.errors import Changed, NotFound
from imagetron_prompt.domain.prompts import KeptPrompt
from imagetron_prompt.domain.written import Written
from imagetron_prompt.ports import Calls, Prompts, Unusable, Writer
from imagetron_prompt.usecases.callers import principal_of
from imagetron_prompt.usecases.keeping import CHANGED, COMMIT_TRIES, MISSING
from imagetron_prompt.usecases.measuring import measured
from imagetron_prompt.usecases.spending import Order, spend


async def retitle_prompt(
    request: RetitlePrompt, *, writer: Writer, prompts: Prompts, calls: Calls, clock: Clock
) -> PromptShown:
    """The prompt with its new title. A call gives it one title, however often it is repeated."""
    principal = principal_of(request.caller)
    before = await _present(request, principal, prompts)

    async def find() -> KeptPrompt | None:
        kept = await _present(request, principal, prompts)
        return kept if request.call.id in kept.retitled_by else None

    async def ask() -> Written[str]:
        _check_version(request, before)
        asked = writer.title(
            before.prompt.text,
            before.prompt.title,
            call_id=request.call.id,
            budget_seconds=request.budget_seconds,
        )
        return await measured(Purpose.TITLE, asked)

    async def keep(written: Written[str]) -> KeptPrompt:
        title = one_line(written.value, MAX_TITLE_CHARACTERS)
        if not title or title.casefold() == before.prompt.title.casefold():
            raise Unusable("the language model wrote no other title")
        return await _retitled(request, title, principal, prompts, clock)

    order = Order(
        paid=request.call,
        purpose=Purpose.TITLE,
        principal=principal,
        budget_seconds=request.budget_seconds,
        product_ids=(request.prompt_id,),
        ask=ask,
        keep=keep,
        find=find,
    )
    kept, is_replay = await spend(order, calls=calls, clock=clock)
    return PromptShown(prompt=kept.prompt, is_replay=is_replay)


async def _retitled(
    request: RetitlePrompt, title: str, principal: Principal, prompts: Prompts, clock: Clock
) -> KeptPrompt:
    """With this title; with the one that the same call has given it already, if it has."""
    for _ in range(COMMIT_TRIES):
        kept = await _present(request, principal, prompts)
        if request.call.id in kept.retitled_by:
            return kept
        _check_version(request, kept)
        retitled = kept.retitled(title, request.call.id, clock.now())
        if await prompts.replace(retitled, principal, if_version=kept.prompt.version):
            return retitled
    raise Transient(f"prompt {request.prompt_id} changed under {COMMIT_TRIES} tries to commit")


async def _present(request: RetitlePrompt, principal: Principal, prompts: Prompts) -> KeptPrompt:
    kept = await prompts.get(request.prompt_id, principal)
    if kept is None:
        raise NotFound(MISSING)
    return kept


def _check_version(request: RetitlePrompt, kept: KeptPrompt) -> None:
    if request.if_version not in {None, kept.prompt.version}:
        raise Changed(CHANGED)
