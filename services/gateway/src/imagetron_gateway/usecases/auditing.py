"""What operators do is written down before it happens and again when it has: an act without its line cannot be."""

from typing import Final

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_gateway.ports import Audit, AuditLine

# As many as one call may change: what was removed is named here and nowhere else any more.
IDS_IN_A_LINE: Final = 200


class Auditor:
    """Writes the audit's lines, each in the log too."""

    def __init__(self, audit: Audit, *, clock: Clock, new_id: NewId) -> None:
        self._audit = audit
        self._clock = clock
        self._new_id = new_id

    async def note(self, principal: Principal, what: str, **details: str | int | list[str]) -> None:
        """Durable when this returns. Lists are cut to their first two hundred."""
        short = {name: value[:IDS_IN_A_LINE] if isinstance(value, list) else value for name, value in details.items()}
        line = AuditLine(self._new_id(), self._clock.now(), principal.owner, what, short)
        await self._audit.add(line)
        log().info("operator_acted", by=line.by, what=what, **short)
