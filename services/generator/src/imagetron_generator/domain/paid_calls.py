"""The books of paid calls that are answered at once: counted before the money is spent, never above `MOST_CALLS`. Pure."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from imagetron_contracts.stages import FamilyMessage
from imagetron_generator.domain.provider_tasks import Lease

MOST_CALLS: Final = 2
"""For one image of one attempt, those included whose answer was lost."""
_CALLS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "calls.imagetron")


@dataclass(frozen=True, slots=True)
class PaidCall:
    """The calls for one image. `calls` counts those that were paid for, or may have been, the present one included."""

    id: str
    job_id: str
    provider: str
    created_at: datetime
    updated_at: datetime
    version: int = 1
    calls: int = 0
    fence: int = 0
    lease: Lease | None = None

    @property
    def is_spent(self) -> bool:
        return self.calls >= MOST_CALLS

    def begun(self, owner: str, lease_seconds: float, now: datetime) -> "PaidCall":
        """Somebody is about to call."""
        lease = Lease(owner, lease_seconds)
        return self._next(now, calls=self.calls + 1, fence=self.fence + 1, lease=lease)

    def ended(self, now: datetime, *, has_cost: bool) -> "PaidCall":
        """The call is over; one that has cost nothing is not counted."""
        return self._next(now, lease=None, calls=self.calls if has_cost else self.calls - 1)

    def _next(self, now: datetime, **changes: Any) -> "PaidCall":  # noqa: ANN401 - any field
        return replace(self, version=self.version + 1, updated_at=now, **changes)


def no_call_yet(work: FamilyMessage, index: int, provider: str, now: datetime) -> PaidCall:
    """The books of an image that nobody has paid for. Equal work has equal ids."""
    name = "/".join(map(str, (work.job_id, work.revision, work.family, work.attempt, index, provider)))
    return PaidCall(uuid.uuid5(_CALLS, name).hex, work.job_id, provider, now, now)
