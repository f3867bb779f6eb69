"""The subjects' chats over the chassis' document store."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from imagetron_chassis.cursors import closed, opened
from imagetron_chassis.documents import Collection, Document, Documents, Duplicate, Equals, Sort
from imagetron_chassis.errors import Permanent
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import SubjectsTurn
from imagetron_prompt.domain.pages import fitting
from imagetron_prompt.ports import TurnsPage

TURNS: Final = Collection("turns", indexes=(("owner", "createdAt"),))
_FORGOTTEN_AT_ONCE: Final = 100


class TurnUnreadable(Permanent):
    """A document is no turn, or one that this service does not know how to read."""


class DocumentTurns:
    """Implements the Turns port over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(TURNS)

    async def add(self, turn: SubjectsTurn, principal: Principal) -> bool:
        document = turn.model_dump(by_alias=True)
        own = {"_id": document.pop("id"), "version": 1, "owner": principal.owner, "source": turn.source.value}
        try:
            await self._documents.insert(TURNS, {**document, **own, "subjects": list(turn.subjects)})
        except Duplicate:
            return False
        return True

    async def get(self, turn_id: str, principal: Principal) -> SubjectsTurn | None:
        document = await self._documents.get(TURNS, turn_id, _own(principal))
        return _turn(document) if document else None

    async def page(self, principal: Principal, *, after: str | None, limit: int) -> TurnsPage:
        newest_first = Sort("createdAt", descending=True)
        found = await self._documents.find(
            TURNS, _own(principal), sort=newest_first, after=opened(after), limit=limit + 1
        )
        readable = list(_readable(found[:limit]))
        shown = readable[: fitting(readable)]
        if len(shown) < len(readable):
            return TurnsPage(shown, closed((shown[-1].created_at, shown[-1].id)))
        following = closed((found[limit - 1]["createdAt"], found[limit - 1]["_id"])) if len(found) > limit else None
        return TurnsPage(shown, following)

    async def forget(self, principal: Principal) -> int:
        count = 0
        while found := await self._documents.find(TURNS, _own(principal), limit=_FORGOTTEN_AT_ONCE):
            for document in found:
                count += await self._documents.delete(TURNS, document["_id"], _own(principal))
        return count


def _own(principal: Principal) -> Equals:
    return Equals("owner", principal.owner)


def _turn(document: Mapping[str, Any]) -> SubjectsTurn:
    try:
        return SubjectsTurn.model_validate({**document, "id": document["_id"]})
    except ValidationError as error:
        # Neither the error nor its cause may go on: pydantic quotes what it read, and that is the chat.
        raise TurnUnreadable(f"turn {document['_id']} cannot be read ({type(error).__name__})") from None


def _readable(documents: Iterable[Document]) -> Iterable[SubjectsTurn]:
    """Without those that cannot be read: one broken document must not hide all others."""
    for document in documents:
        try:
            yield _turn(document)
        except TurnUnreadable as error:
            log().error("turn_unreadable", turn_id=document["_id"], reason=str(error))
