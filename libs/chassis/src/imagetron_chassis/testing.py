"""Twins of the chassis' ports for unit tests: a clock that is set by hand, a publisher that remembers. No pytest fixtures."""

from datetime import UTC, datetime, timedelta

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.publishing import Outgoing
from imagetron_contracts.envelope import Envelope, decode


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class RecordingPublisher:
    """Keeps what was sent; raises the errors it was told to, one for each send, before it keeps anything."""

    def __init__(self, *failures: ChassisError | None) -> None:
        self.sent: list[Outgoing] = []
        self._failures = list(failures)

    async def send(self, message: Outgoing) -> None:
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        self.sent.append(message)

    def envelopes(self) -> list[Envelope]:
        return [decode(message.body) for message in self.sent]
