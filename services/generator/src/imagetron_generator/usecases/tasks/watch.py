"""How long this process has seen things unchanged, by its own clock: what other machines' clocks say decides nothing alone."""

from datetime import datetime, timedelta
from typing import Final

from imagetron_generator.domain.provider_tasks import Lease, ProviderTask
from imagetron_generator.ports import Timer

# A worker's clock may be off by minutes; a deadline that is longer past is past by every clock.
SKEW: Final = timedelta(minutes=10)
_MOST_SIGHTINGS: Final = 20_000


class Watch:
    """Leases and deadlines begin for this process when it sees them first. One for each process."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._first_seen: dict[tuple[str, str, int], float] = {}

    def holds(self, key: str, fence: int, lease: Lease | None) -> bool:
        """Whether a worker may still be at it: its claim was not yet seen for as long as its lease is."""
        return lease is not None and self._seen_seconds(key, "fence", fence) < lease.seconds

    def is_held(self, task: ProviderTask) -> bool:
        return self.holds(task.reference, task.fence, task.lease)

    def is_overdue(self, task: ProviderTask, now: datetime) -> bool:
        """Whether the provider has had its time since the last submission."""
        seen_seconds = self._seen_seconds(task.reference, "submission", task.submissions)
        is_long_past = task.deadline_at is not None and now >= task.deadline_at + SKEW
        return seen_seconds >= task.patience_seconds or is_long_past

    def _seen_seconds(self, key: str, what: str, number: int) -> float:
        now = self._timer()
        first = self._first_seen.setdefault((key, what, number), now)
        if len(self._first_seen) > _MOST_SIGHTINGS:
            # Forgotten too early, it would only be waited for once more.
            del self._first_seen[next(iter(self._first_seen))]
        return now - first
