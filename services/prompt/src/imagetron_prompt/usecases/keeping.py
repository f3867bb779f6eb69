"""Kept prompts: listed, read, changed, removed. Nothing here costs money."""

from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import Transient
from imagetron_contracts.rpc import (
    MAX_PROMPT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    ChangePrompt,
    GetPrompt,
    ListPrompts,
    PromptPage,
    PromptRemoved,
    PromptShown,
    RemovePrompt,
)
from imagetron_prompt.domain.accepting import check_line, check_text
from imagetron_prompt.domain.errors import Changed, Invalid, NotFound
from imagetron_prompt.ports import Prompts
from imagetron_prompt.usecases.callers import principal_of

COMMIT_TRIES: Final = 20
"""A prompt has one owner, and few writers at a time."""
MISSING: Final = "there is no such prompt"
CHANGED: Final = "the prompt has changed since it was read; nothing was changed"


async def list_prompts(request: ListPrompts, *, prompts: Prompts) -> PromptPage:
    """Newest first. A label that is no longer configured can still be asked for."""
    principal = principal_of(request.caller)
    page = await prompts.page(principal, status=request.status, after=request.after, limit=request.limit)
    return PromptPage(prompts=tuple(kept.prompt for kept in page.prompts), next=page.next)


async def get_prompt(request: GetPrompt, *, prompts: Prompts) -> PromptShown:
    kept = await prompts.get(request.prompt_id, principal_of(request.caller))
    if kept is None:
        raise NotFound(MISSING)
    return PromptShown(prompt=kept.prompt)


async def change_prompt(
    request: ChangePrompt, *, prompts: Prompts, clock: Clock, statuses: tuple[str, ...]
) -> PromptShown:
    """Change what is given. The text is stored as the person wrote it, byte for byte."""
    _check(request, statuses)
    principal = principal_of(request.caller)
    for _ in range(COMMIT_TRIES):
        kept = await prompts.get(request.prompt_id, principal)
        if kept is None:
            raise NotFound(MISSING)
        if request.if_version not in {None, kept.prompt.version}:
            raise Changed(CHANGED)
        changed = kept.changed(title=request.title, text=request.text, status=request.status, now=clock.now())
        if await prompts.replace(changed, principal, if_version=kept.prompt.version):
            return PromptShown(prompt=changed.prompt)
    raise Transient(f"prompt {request.prompt_id} changed under {COMMIT_TRIES} tries to commit")


async def remove_prompt(request: RemovePrompt, *, prompts: Prompts) -> PromptRemoved:
    principal = principal_of(request.caller)
    if not await prompts.remove(request.prompt_id, principal, if_version=request.if_version):
        if await prompts.get(request.prompt_id, principal) is None:
            raise NotFound(MISSING)
        raise Changed(CHANGED)
    return PromptRemoved()


def _check(request: ChangePrompt, statuses: tuple[str, ...]) -> None:
    if request.title is None and request.text is None and request.status is None:
        raise Invalid("title", "name something to change: title, text or status")
    if request.title is not None:
        check_line("title", request.title, at_most=MAX_TITLE_CHARACTERS)
    if request.text is not None:
        check_text("text", request.text, at_most=MAX_PROMPT_CHARACTERS)
    if request.status is not None and request.status not in statuses:
        raise Invalid("status", f"must be one of {', '.join(statuses)}")
