"""Operators' controls in the document store: one document per lane, changed by replace-if-version."""

from typing import Any, Final

from imagetron_chassis.documents import Collection, Document, Documents, Duplicate
from imagetron_chassis.errors import Transient
from imagetron_contracts.stages import Lane
from imagetron_gateway.ports import Pause

CONTROLS: Final = Collection("controls")
# Operators who press at the same moment are few.
_TRIES: Final = 10


class ControlsContended(Transient):
    """The document changed under every try; nothing was set."""


class DocumentControls:
    """Implements the Controls port."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(CONTROLS)

    async def pause_of(self, lane: Lane) -> Pause | None:
        return _pause(await self._documents.get(CONTROLS, _id_of(lane)))

    async def pause(self, lane: Lane, pause: Pause) -> Pause:
        new = {"by": pause.by, "at": pause.at, "reason": pause.reason}
        for _ in range(_TRIES):
            document = await self._documents.get(CONTROLS, _id_of(lane))
            if current := _pause(document):
                return current
            if await self._set(lane, document, new):
                return pause
        raise ControlsContended(f"lane {lane.value} changed under {_TRIES} tries to pause it")

    async def resume(self, lane: Lane) -> Pause | None:
        for _ in range(_TRIES):
            document = await self._documents.get(CONTROLS, _id_of(lane))
            current = _pause(document)
            if current is None or await self._set(lane, document, None):
                return current
        raise ControlsContended(f"lane {lane.value} changed under {_TRIES} tries to resume it")

    async def _set(self, lane: Lane, document: Document | None, paused: dict[str, Any] | None) -> bool:
        if document is not None:
            version = document["version"]
            changed = {**document, "version": version + 1, "paused": paused}
            return await self._documents.replace(CONTROLS, changed, if_version=version)
        try:
            await self._documents.insert(CONTROLS, {"_id": _id_of(lane), "version": 1, "paused": paused})
        except Duplicate:
            return False
        return True


def _id_of(lane: Lane) -> str:
    return f"lane:{lane.value}"


def _pause(document: Document | None) -> Pause | None:
    paused = document["paused"] if document else None
    return Pause(by=paused["by"], at=paused["at"], reason=paused["reason"]) if paused else None
