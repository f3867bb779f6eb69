"""The inbox of callbacks: bodies in the work store, documents with an outbox in the document store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from imagetron_chassis.blobs import Blobs
from imagetron_chassis.documents import (
    Collection,
    Document,
    Documents,
    Duplicate,
    Equals,
    Range,
    Sort,
    UniqueKey,
)
from imagetron_chassis.outbox import Pending
from imagetron_chassis.publishing import Outgoing
from imagetron_contracts.spec import callback_key
from imagetron_gateway.adapters.jobs import EPOCH
from imagetron_gateway.domain.callbacks import InboxItem

INBOX: Final = Collection(
    "inbox",
    unique=(UniqueKey("event", ("provider", "event")),),
    indexes=(("provider", "taskReference"), ("receivedAt",), ("outboxAt",)),
)
_CONTENT_TYPE: Final = "application/json"


class DocumentInbox:
    """Implements the Inbox port and the relay's OutboxStore over any Documents and Blobs adapters."""

    def __init__(self, documents: Documents, work: Blobs) -> None:
        self._documents = documents
        self._work = work

    async def prepare(self) -> None:
        await self._documents.prepare(INBOX)

    async def has(self, item_id: str) -> bool:
        return await self._documents.get(INBOX, item_id) is not None

    async def add(self, item: InboxItem, body: bytes) -> bool:
        # First: where a document is, there is a body. A repeat after a crash in between finds it there.
        await self._work.put_if_absent(callback_key(item.provider, item.id), body, content_type=_CONTENT_TYPE)
        try:
            await self._documents.insert(INBOX, _document(item))
        except Duplicate:
            return False
        return True

    async def count(self, provider: str, task_reference: str) -> int:
        mine = (Equals("provider", provider), Equals("taskReference", task_reference))
        return await self._documents.count(INBOX, *mine)

    async def forget(self, before: datetime, *, limit: int) -> int:
        filters = (Range("receivedAt", at_least=EPOCH, below=before), Equals("outboxAt", None))
        found = await self._documents.find(INBOX, *filters, sort=Sort("receivedAt"), limit=limit)
        for document in found:
            # The object first: a document that is left behind is found again, an object would not be.
            await self._work.delete(callback_key(document["provider"], document["_id"]))
            await self._documents.delete(INBOX, document["_id"])
        return len(found)

    async def pending(self, document_id: str) -> Pending | None:
        document = await self._documents.get(INBOX, document_id)
        if document is None or not document["outbox"]:
            return None
        return Pending(document_id, [_outgoing(entry) for entry in document["outbox"]])

    async def pending_since(self, before: datetime, limit: int) -> Sequence[str]:
        waiting = Range("outboxAt", at_least=EPOCH, below=before)
        found = await self._documents.find(INBOX, waiting, sort=Sort("outboxAt"), limit=limit)
        return [document["_id"] for document in found]

    async def mark_sent(self, document_id: str, message_ids: frozenset[str]) -> None:
        document = await self._documents.get(INBOX, document_id)
        if document is None:
            return
        version = document["version"]
        kept = [entry for entry in document["outbox"] if entry["id"] not in message_ids]
        document.update(outbox=kept, outboxAt=document["outboxAt"] if kept else None, version=version + 1)
        # Nobody changes an item but relays, and they all take away the same: who was faster has done this.
        await self._documents.replace(INBOX, document, if_version=version)


def _document(item: InboxItem) -> Document:
    return {
        "_id": item.id,
        "version": 1,
        "provider": item.provider,
        "event": item.event,
        "taskReference": item.task_reference,
        "isSigned": item.is_signed,
        "receivedAt": item.received_at,
        "outbox": [entry.model_dump(by_alias=True) for entry in item.outbox],
        "outboxAt": item.received_at if item.outbox else None,
    }


def _outgoing(entry: dict[str, Any]) -> Outgoing:
    return Outgoing(entry["id"], entry["exchange"], entry["routingKey"], entry["body"].encode())
