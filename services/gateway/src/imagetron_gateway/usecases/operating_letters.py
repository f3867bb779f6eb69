"""Dead letters as an operator handles them: read with what is known of their jobs, send home, drop.

What changes something is audited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from imagetron_chassis.errors import Permanent
from imagetron_chassis.letters import DeadLetters, Handled, Letter, Wanted
from imagetron_chassis.logs import log
from imagetron_chassis.principals import Principal
from imagetron_contracts.topology import QUEUES, Queue
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.ports import Jobs
from imagetron_gateway.usecases.auditing import Auditor

_BY_NAME: Final = {name: queue for queue in QUEUES for name in (queue.name, queue.dead_letters)}


class QueueUnknown(Exception):
    """No work queue has this name."""


class LetterMissing(Exception):
    """No such letter among those within reach: it was sent home, dropped, or lies too deep."""


@dataclass(frozen=True, slots=True)
class KnownLetter:
    """A letter and the job that it is about, if there is one."""

    letter: Letter
    job: Job | None

    @property
    def hint(self) -> str | None:
        """What an operator who wants this job's pictures should know before sending the letter home."""
        if self.job is None or self.job.status not in {JobStatus.FAILED, JobStatus.PARTIAL}:
            return None
        return (
            f"the job is {self.job.status.value}: a result of an attempt that has ended changes nothing any more; "
            f"ask for its failed families again with `imagetron queue retry {self.job.id}`"
        )


@dataclass(frozen=True, slots=True)
class KnownLetters:
    """Some letters, oldest first. `is_all` is False where more lie behind them."""

    letters: Sequence[KnownLetter]
    is_all: bool


def queue_named(name: str) -> Queue:
    """By its name or that of its dead-letter queue. Raises QueueUnknown."""
    queue = _BY_NAME.get(name)
    if queue is None:
        raise QueueUnknown(f"no queue {name[:100]!r}; there are: {', '.join(each.name for each in QUEUES)}")
    return queue


async def look_at_letters(
    queue: Queue, principal: Principal, *, limit: int, letters: DeadLetters, jobs: Jobs
) -> KnownLetters:
    """The oldest letters of a queue; they stay where they are."""
    look = await letters.look(queue, limit=limit)
    ids = {letter.job_id for letter in look.letters}
    known = {job_id: await _job(job_id, principal, jobs) for job_id in ids if job_id}
    return KnownLetters([KnownLetter(letter, known.get(letter.job_id or "")) for letter in look.letters], look.is_all)


async def look_at_letter(
    queue: Queue, letter_id: str, principal: Principal, *, letters: DeadLetters, jobs: Jobs
) -> KnownLetter:
    """One letter. Raises LetterMissing."""
    letter = await letters.find(queue, letter_id)
    if letter is None:
        raise LetterMissing(f"no letter {letter_id[:100]!r} within reach in {queue.dead_letters}")
    return KnownLetter(letter, await _job(letter.job_id, principal, jobs) if letter.job_id else None)


async def _job(job_id: str, principal: Principal, jobs: Jobs) -> Job | None:
    """None too for a job that cannot be read: its letter is looked at all the more."""
    try:
        return await jobs.get(job_id, principal)
    except Permanent as error:
        log().error("job_of_letter_unreadable", job_id=job_id, reason=str(error))
        return None


async def replay_letters(
    queue: Queue,
    wanted: Wanted,
    principal: Principal,
    *,
    limit: int,
    per_second: float,
    dry_run: bool,
    letters: DeadLetters,
    auditor: Auditor,
) -> Handled:
    """Send letters home to their work queue; each keeps its event id, so sending one twice does no harm."""
    if dry_run:
        return await letters.choose(queue, wanted, limit=limit)
    await auditor.note(principal, "dead_letters.replay", queue=queue.name, limit=limit, letters=sorted(wanted or ()))
    handled = await letters.replay(queue, wanted, limit=limit, per_second=per_second)
    await _note_outcome(principal, "dead_letters.replayed", queue, handled, auditor)
    return handled


async def drop_letters(
    queue: Queue,
    wanted: Wanted,
    principal: Principal,
    *,
    limit: int,
    dry_run: bool,
    letters: DeadLetters,
    auditor: Auditor,
) -> Handled:
    """Take letters away for good."""
    if dry_run:
        return await letters.choose(queue, wanted, limit=limit)
    await auditor.note(principal, "dead_letters.drop", queue=queue.name, limit=limit, letters=sorted(wanted or ()))
    handled = await letters.drop(queue, wanted, limit=limit)
    await _note_outcome(principal, "dead_letters.dropped", queue, handled, auditor)
    return handled


async def _note_outcome(principal: Principal, what: str, queue: Queue, handled: Handled, auditor: Auditor) -> None:
    ids = list(handled.ids)
    await auditor.note(principal, what, queue=queue.name, count=len(ids), letters=ids, stopped=handled.stopped or "")
