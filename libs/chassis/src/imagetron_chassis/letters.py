"""The port to dead letters: what an operator sees of them and may do with them. No broker is imported here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from imagetron_chassis.errors import Transient
from imagetron_contracts.topology import Queue

HOLD_LIMIT: Final = 200
"""Letters that one look holds unanswered at most. What lies deeper is reached when those in front are gone."""
MAX_PER_SECOND: Final = 100.0
"""A replay is no faster, whatever is asked for: it shares the broker and the workers with live work."""


class DeadLettersUnavailable(Transient):
    """The broker does not answer, or its queues are not declared yet; no letter is lost by that."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages wait in a work queue and among its dead letters, and how many consumers take the work."""

    queue: Queue
    messages: int
    consumers: int
    dead: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, read and given back. `id` is the message's own, or made of its body where it has none that is plain."""

    id: str
    body: bytes
    headers: dict[str, Any]
    content_type: str | None
    died_at: datetime | None
    """When it was dead-lettered for the first time."""
    reason: str | None
    deaths: int
    """How often it was dead-lettered from its work queue."""
    envelope: dict[str, str | int]
    """The CloudEvents attributes that could be read, of a body that is an object at least."""
    unreadable: str | None
    """Why the body is no message of ours; None if it is one."""

    @property
    def job_id(self) -> str | None:
        """The job that it says it is about."""
        job = self.envelope.get("correlationid", self.envelope.get("subject"))
        return job if isinstance(job, str) else None


@dataclass(frozen=True, slots=True)
class Look:
    """Letters in their order, oldest first. `is_all` is False where more lie behind them."""

    letters: Sequence[Letter]
    is_all: bool


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a selection. `stopped` says why it ended before its limit (None: nothing was left to do)."""

    ids: Sequence[str]
    stopped: str | None = None


Wanted = frozenset[str] | None
"""Ids of letters, or None for all, oldest first."""


class DeadLetters(Protocol):
    """The dead letters of every work queue. All methods may raise DeadLettersUnavailable."""

    async def depths(self) -> Sequence[QueueDepth]:
        """Every work queue of the topology."""
        ...

    async def look(self, queue: Queue, *, limit: int) -> Look:
        """The oldest letters, which stay where they are, in their order."""
        ...

    async def find(self, queue: Queue, letter_id: str) -> Letter | None:
        """The oldest letter with this id, among the first HOLD_LIMIT."""
        ...

    async def choose(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        """What `replay` or `drop` would handle now; nothing happens."""
        ...

    async def replay(self, queue: Queue, wanted: Wanted, *, limit: int, per_second: float) -> Handled:
        """Send letters home to their work queue, each confirmed before it is taken from here, so many a second at most.

        A letter keeps its id and its bytes, except for a spent try counter. It stops at the first that the broker does
        not take, and after some seconds; what was handled until then stays handled. A crash may repeat a letter, and
        never loses one.
        """
        ...

    async def drop(self, queue: Queue, wanted: Wanted, *, limit: int) -> Handled:
        """Take letters away for good."""
        ...


def printable(text: str) -> str:
    """Text that neither a terminal nor a store takes for something else: what is not printable is escaped."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )
