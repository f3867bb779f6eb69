"""Which waiting families enter the broker next: a bounded window per lane, owners in turn, oldest first within an owner."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiting family. Candidates of one owner come in the order in which they should enter."""

    job_id: str
    family: str
    owner: str


def choose(waiting: Sequence[Candidate], *, window: int, in_flight: int) -> list[Candidate]:
    """The families to admit now: as many as the window has room for, one of each owner in turn."""
    room = max(0, window - in_flight)
    turns: deque[deque[Candidate]] = deque()
    by_owner: dict[str, deque[Candidate]] = {}
    for candidate in waiting:
        if candidate.owner not in by_owner:
            turns.append(by_owner.setdefault(candidate.owner, deque()))
        by_owner[candidate.owner].append(candidate)
    chosen: list[Candidate] = []
    while turns and len(chosen) < room:
        queue = turns.popleft()
        chosen.append(queue.popleft())
        if queue:
            turns.append(queue)
    return chosen
