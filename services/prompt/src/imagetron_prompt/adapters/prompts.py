"""Kept prompts over the chassis' document store."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from imagetron_chassis.cursors import closed, opened
from imagetron_chassis.documents import Collection, Document, Documents, Duplicate, Equals, Filter, Sort
from imagetron_chassis.errors import Permanent
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import Prompt
from imagetron_prompt.domain.pages import fitting
from imagetron_prompt.domain.prompts import KeptPrompt
from imagetron_prompt.ports import PromptsPage

PROMPTS: Final = Collection(
    "prompts",
    indexes=(("owner", "createdAt"), ("owner", "status", "createdAt"), ("createdAt",), ("status", "createdAt")),
)


class PromptUnreadable(Permanent):
    """A document is no prompt, or one that this service does not know how to read."""


class DocumentPrompts:
    """Implements the Prompts port over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(PROMPTS)

    async def add(self, prompt: KeptPrompt, principal: Principal) -> bool:
        if prompt.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot add a prompt of {prompt.owner}")
        try:
            await self._documents.insert(PROMPTS, _document(prompt))
        except Duplicate:
            return False
        return True

    async def get(self, prompt_id: str, principal: Principal) -> KeptPrompt | None:
        document = await self._documents.get(PROMPTS, prompt_id, *_owned_by(principal))
        return _prompt(document) if document else None

    async def page(self, principal: Principal, *, status: str | None, after: str | None, limit: int) -> PromptsPage:
        filters = (*_owned_by(principal), *(() if status is None else (Equals("status", status),)))
        newest_first = Sort("createdAt", descending=True)
        found = await self._documents.find(PROMPTS, *filters, sort=newest_first, after=opened(after), limit=limit + 1)
        readable = list(_readable(found[:limit]))
        shown = readable[: fitting(kept.prompt for kept in readable)]
        if len(shown) < len(readable):
            last = shown[-1].prompt
            return PromptsPage(shown, closed((last.created_at, last.id)))
        following = closed((found[limit - 1]["createdAt"], found[limit - 1]["_id"])) if len(found) > limit else None
        return PromptsPage(shown, following)

    async def replace(self, prompt: KeptPrompt, principal: Principal, *, if_version: int) -> bool:
        if not principal.sees_all_owners and prompt.owner != principal.owner:
            raise PermissionError(f"{principal.owner} cannot change a prompt of {prompt.owner}")
        return await self._documents.replace(PROMPTS, _document(prompt), if_version=if_version)

    async def remove(self, prompt_id: str, principal: Principal, *, if_version: int | None) -> bool:
        version = () if if_version is None else (Equals("version", if_version),)
        return await self._documents.delete(PROMPTS, prompt_id, *_owned_by(principal), *version)


def _owned_by(principal: Principal) -> tuple[Filter, ...]:
    return () if principal.sees_all_owners else (Equals("owner", principal.owner),)


def _document(kept: KeptPrompt) -> Document:
    document = kept.prompt.model_dump(by_alias=True)
    return {
        **document,
        "_id": document.pop("id"),
        "source": kept.prompt.source.value,
        "owner": kept.owner,
        "retitledBy": list(kept.retitled_by),
    }


def _prompt(document: Mapping[str, Any]) -> KeptPrompt:
    try:
        prompt = Prompt.model_validate({**document, "id": document["_id"]})
        return KeptPrompt(document["owner"], prompt, tuple(document["retitledBy"]))
    except (ValidationError, KeyError) as error:
        # Neither the error nor its cause may go on: pydantic quotes what it read, and that is the prompt.
        raise PromptUnreadable(f"prompt {document['_id']} cannot be read ({type(error).__name__})") from None


def _readable(documents: Iterable[Document]) -> Iterable[KeptPrompt]:
    """Without those that cannot be read: one broken document must not hide all others."""
    for document in documents:
        try:
            yield _prompt(document)
        except PromptUnreadable as error:
            log().error("prompt_unreadable", prompt_id=document["_id"], reason=str(error))
