"""The audit in the document store: lines are inserted and read, nothing else."""

from typing import Final

from imagetron_chassis.cursors import closed, opened
from imagetron_chassis.documents import Collection, Document, Documents, Sort
from imagetron_gateway.ports import AuditLine, AuditPage

AUDIT: Final = Collection("audit", indexes=(("at",),))


class DocumentAudit:
    """Implements the Audit port."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(AUDIT)

    async def add(self, line: AuditLine) -> None:
        await self._documents.insert(
            AUDIT,
            {"_id": line.id, "version": 1, "at": line.at, "by": line.by, "what": line.what, "details": line.details},
        )

    async def page(self, *, after: str | None, limit: int) -> AuditPage:
        found = await self._documents.find(
            AUDIT, sort=Sort("at", descending=True), after=opened(after), limit=limit + 1
        )
        lines = [_line(document) for document in found[:limit]]
        following = closed((lines[-1].at, lines[-1].id)) if len(found) > limit else None
        return AuditPage(lines, following)


def _line(document: Document) -> AuditLine:
    return AuditLine(
        id=document["_id"],
        at=document["at"],
        by=document["by"],
        what=document["what"],
        details=document["details"],
    )
