"""The ledger: what clients were told and what the outside world saw, appended line by line. Nothing is judged here.

It lies outside the system under test and is written by the run alone, so no fault can touch it.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Final, TypeVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line. `at` is in seconds since the epoch, by the one clock of this machine."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Entry):
    """The first line: what makes this run repeatable, and where it ran."""

    seed: int
    kills: int
    jobs: int
    commit: str
    machine: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt(Entry):
    """A submission and what came of it: a status, or the name of the error that stood in its place."""

    key: str
    gateway: int
    answer: str
    replayed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged(Entry):
    """A gateway answered 202 to this key, with this job."""

    key: str
    job: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen(Entry):
    """What a client read of its job. Written when it differs from what the same client read before."""

    job: str
    revision: int
    status: str
    attempts: dict[str, int]
    families: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked(Entry):
    """Cancel, retry or regenerate, and what came of it."""

    job: str
    verb: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard(Entry):
    """A public event as a subscriber of another team received it."""

    id: str
    type: str
    job: str
    sequence: int
    digest: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyBegun(Entry):
    """A generator said that it calls the model for a family. The same id again: it was called again."""

    id: str
    job: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Entry):
    process: str
    service: str
    pid: int
    plan: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready(Entry):
    """A process is ready, so long after its start and after the death of the one it replaces."""

    process: str
    pid: int
    start_seconds: float
    death_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered(Entry):
    """The replacement of a dead process has handled a message, so long after the death."""

    process: str
    pid: int
    death_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Died(Entry):
    """`cause`: planned (at a fault point), random (killed by its number), stopped (asked to), unexpected."""

    process: str
    service: str
    pid: int
    cause: str
    status: int
    point: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerBack(Entry):
    """Seconds from the broker's open port: to the first message of a service, its first and its last consumers."""

    down_seconds: float
    publish_seconds: float | None
    consume_seconds: float | None
    all_consume_seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown(Entry):
    """How the API shows a job when all is quiet."""

    job: str
    status: str
    revision: int
    pictures: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored(Entry):
    """A job's document at the end."""

    document: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture(Entry):
    """An object of the public store at the end: its size in pixels, or why it is no picture."""

    key: str
    width: int = 0
    height: int = 0
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetters(Entry):
    """Messages that nobody will handle any more, by queue."""

    queue: str
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quiet(Entry):
    """Everything came to rest, or the time was up before."""

    in_time: bool
    seconds: float


_KINDS: Final[dict[str, type[Entry]]] = {
    kind.__name__: kind
    for kind in (
        Run, Attempt, Acknowledged, Seen, Asked, Heard, FamilyBegun, Started, Ready, Delivered, Died, BrokerBack,
        Shown, Stored, Picture, DeadLetters, Quiet,
    )
}  # fmt: skip
E = TypeVar("E", bound=Entry)


class Ledger:
    """Append-only. What is written is in the file, whatever becomes of this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)

    def write(self, entry: Entry) -> None:
        self._file.write(line_of(entry) + "\n")

    def close(self) -> None:
        self._file.close()


class History:
    """A ledger that was read: its entries by kind, in the order in which they were written."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_kind: dict[type[Entry], list[Entry]] = {}
        for entry in entries:
            self._by_kind.setdefault(type(entry), []).append(entry)

    def of(self, kind: type[E]) -> list[E]:
        return self._by_kind.get(kind, [])  # type: ignore[return-value]  # keyed by the type itself


def line_of(entry: Entry) -> str:
    return json.dumps({"kind": type(entry).__name__, **asdict(entry)}, ensure_ascii=False, separators=(",", ":"))


def entries_in(path: Path) -> Iterator[Entry]:
    """Raises ValueError on a line that is no entry: a ledger with holes proves nothing."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            yield _entry_of(json.loads(line), number)


def _entry_of(raw: dict[str, Any], number: int) -> Entry:
    kind = _KINDS.get(raw.pop("kind", ""))
    if kind is None or not raw.keys() <= {each.name for each in fields(kind)}:
        raise ValueError(f"line {number} of the ledger is no entry")
    return kind(**raw)
