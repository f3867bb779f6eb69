"""Time and new identifiers as ports, so that decisions can be tested. No date arithmetic lives here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Says what time it is, in UTC, to the millisecond (what every document store keeps)."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        # MongoDB keeps milliseconds; truncating here makes a document read back equal to the one written.
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


NewId = Callable[[], str]
"""Makes a new identifier: UUIDv7 in text, so that ids sort by creation."""
