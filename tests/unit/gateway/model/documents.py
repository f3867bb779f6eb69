"""The real saga as a table: every job state that can be reached has a number, every decision is made once.

Time is left out: a state is a document without its clocks, and a check comes due whenever the world wants it to. What a
single document or a single change of it must never be is checked here, in the moment it is seen first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from imagetron_contracts.message import Message
from imagetron_contracts.stages import FamilyMessage, FamilyRequested, JobCancelled
from imagetron_gateway.domain import commands, saga
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import Family, FamilyStatus, ImageStatus, Job, JobStatus, OutboxEntry
from imagetron_gateway.domain.pictures import pictures, shown_images
from support.builders import (
    NOW,
    a_family,
    a_family_started,
    a_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    url_of,
)

# Every check that is due is long overdue by then, every other one is not.
LATER: Final = NOW + timedelta(days=1)
NEVER: Final = NOW + timedelta(days=365)
NAMES: Final = ("square", "landscape")
# What a worker says, in the order of the work: the gateway's queues.
FACTS: Final = (a_family_started, renders_generated, derivatives_rendered, family_published)
_FAMILY_ORDER: Final = list(FamilyStatus)
_IMAGE_ORDER: Final = list(ImageStatus)

Told = tuple[str, str | None]
"""The type of a public event, and its family if it is about one."""


class Violation(AssertionError):
    """Something that must never be; the sentence says what."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


@dataclass(frozen=True, slots=True)
class Entry:
    """What waits in an outbox: a request for a family, or the n-th public event."""

    id: str
    family: int | None = None
    sequence: int | None = None
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One decision of the saga: the next document and what it puts into the outbox."""

    doc: int
    entries: tuple[int, ...]
    asks_again: bool
    gives_up: bool


class Documents:
    """Numbers for documents, outbox entries and operations; a table of decisions that fills itself."""

    def __init__(self, *, families: int, images: int, requests_left: int) -> None:
        names = NAMES[:families]
        self.count = families
        self.images = images
        job = a_job(*(a_family(name, images=images) for name in names))
        used = saga.MAX_REQUESTS[job.lane] - requests_left
        job = job.model_copy(
            update={
                "families": {
                    name: family.model_copy(update={"requests_sent": used}) for name, family in job.families.items()
                }
            }
        )
        self.names = names
        self.jobs: list[Job] = []
        self.told: list[tuple[Told, ...]] = []
        self.shown: list[int] = []
        """A bit for each family whose pictures the document shows."""
        self.has_ended: list[bool] = []
        self.is_cancelled: list[bool] = []
        self.owes_marker: list[bool] = []
        self.waiting: list[tuple[int, ...]] = []
        self.in_flight: list[tuple[int, ...]] = []
        self.entries: list[Entry] = []
        self._entry_numbers: dict[Entry, int] = {}
        self._numbers: dict[tuple[str, tuple[Told, ...]], int] = {}
        self._decisions: dict[tuple[int, int, tuple[int, ...]], Change | None] = {}
        self._steps: set[tuple[int, int]] = set()
        indexes = tuple(range(images))
        self._facts: list[FamilyMessage] = [fact(job, name, indexes=indexes) for fact in FACTS for name in names]
        # Operations: facts first (the number is that of the gateway's queue), then what the gateway does by itself.
        self.admissions = range(len(self._facts), len(self._facts) + families)
        self.checks = range(self.admissions.stop, self.admissions.stop + (1 << families) - 1)
        self.cancel = self.checks.stop
        self.mark = self.cancel + 1
        self.first = self._number(job, ())

    def name_of(self, operation: int) -> str:
        if operation < len(self._facts):
            return f"{self._facts[operation].TYPE} of {self._facts[operation].family}"
        if operation in self.admissions:
            return f"admission of {self.names[operation - self.admissions.start]}"
        if operation in self.checks:
            return f"check of {' and '.join(self._due(operation))}"
        return "cancellation" if operation == self.cancel else "note that the marker is written"

    def decide(self, doc: int, operation: int, outbox: tuple[int, ...]) -> Change | None:
        """What the saga makes of it; None if it changes nothing but times."""
        # Only checks look at the outbox, and only at the requests in it.
        unsent: tuple[int, ...] = ()
        if operation in self.checks:
            unsent = tuple(sorted(entry for entry in outbox if self.entries[entry].family is not None))
        key = (doc, operation, unsent)
        if key not in self._decisions:
            self._decisions[key] = self._made(doc, self._asked(doc, operation, unsent))
        return self._decisions[key]

    def silent(self, doc: int) -> frozenset[int]:
        """The facts that tell this document nothing new. Of a family that still waits, nobody can tell anything."""
        waiting = {self.names[family] for family in self.waiting[doc]}
        return frozenset(
            operation
            for operation, fact in enumerate(self._facts)
            if fact.family not in waiting and self.decide(doc, operation, ()) is None
        )

    def check_step(self, before: int, after: int) -> None:
        """The document that was replaced, and the one that replaced it, whoever decided on what."""
        if (before, after) not in self._steps:
            self._check_step(before, after)
            self._steps.add((before, after))

    def _asked(self, doc: int, operation: int, unsent: Collection[int]) -> Decision | None:
        job = self.jobs[doc]
        if operation < len(self._facts):
            return saga.apply(job, self._facts[operation], NOW, url_of)
        if operation in self.admissions:
            return saga.admit(job, self.names[operation - self.admissions.start], NOW)
        if operation in self.checks:
            return saga.tick(self._overdue(job, self._due(operation), unsent), LATER, url_of)
        if operation == self.mark:
            return commands.marked(job, NOW)
        return commands.cancel(job, NOW, url_of)

    def _due(self, operation: int) -> list[str]:
        chosen = operation - self.checks.start + 1
        return [name for index, name in enumerate(self.names) if chosen >> index & 1]

    def _overdue(self, job: Job, due: Collection[str], unsent: Collection[int]) -> Job:
        families = {
            name: family if name in due or family.check_at is None else family.model_copy(update={"check_at": NEVER})
            for name, family in job.families.items()
        }
        outbox = tuple(OutboxEntry(id=self.entries[entry].id, exchange="", routing_key="", body="") for entry in unsent)
        return job.model_copy(update={"families": families, "outbox": outbox})

    def _made(self, doc: int, decision: Decision | None) -> Change | None:
        if decision is None:
            return None
        before = self.jobs[doc]
        said = [emission for emission in decision.emissions if emission.sequence is not None]
        sequences = [emission.sequence for emission in said]
        following = list(range(before.sequence + 1, decision.job.sequence + 1))
        require(sequences == following, f"events are numbered {sequences}, and {following} would be dense")
        after = self._number(decision.job, (*self.told[doc], *(_told(emission.message) for emission in said)))
        if after == doc and not decision.emissions:
            return None
        requests = [emission for emission in decision.emissions if isinstance(emission.message, FamilyRequested)]
        lost = [
            name
            for name, family in decision.job.families.items()
            if family.status is FamilyStatus.FAILED and before.families[name].status is not FamilyStatus.FAILED
        ]
        return Change(
            after,
            tuple(self._entry(emission) for emission in decision.emissions if _must_arrive(emission)),
            asks_again=any(before.families[each.message.family].status.is_in_flight for each in requests),  # type: ignore[attr-defined]
            gives_up=bool(lost),
        )

    def _entry(self, emission: Emission) -> int:
        message = emission.message
        if isinstance(message, FamilyRequested):
            entry = Entry(message.message_id(), family=self.names.index(message.family))
        else:
            entry = Entry(f"#{emission.sequence}", sequence=emission.sequence, told=_told(message))
        if entry not in self._entry_numbers:
            self._entry_numbers[entry] = len(self.entries)
            self.entries.append(entry)
        return self._entry_numbers[entry]

    def _number(self, job: Job, told: tuple[Told, ...]) -> int:
        timeless = without_time(job)
        key = (timeless.model_dump_json(), told)
        if key not in self._numbers:
            self._check_document(timeless, told)
            self._numbers[key] = len(self.jobs)
            self.jobs.append(timeless)
            self.told.append(told)
            families = list(enumerate(timeless.families.values()))
            self.shown.append(sum(1 << index for index, family in families if _is_shown(timeless, family)))
            self.has_ended.append(timeless.status.is_terminal)
            self.is_cancelled.append(timeless.status is JobStatus.CANCELLED)
            self.owes_marker.append(timeless.unmarked_revision is not None)
            self.waiting.append(
                tuple(index for index, family in families if family.status is FamilyStatus.WAITING)
                if not timeless.status.is_terminal
                else ()
            )
            self.in_flight.append(tuple(index for index, family in families if family.status.is_in_flight))
        return self._numbers[key]

    def _check_document(self, job: Job, told: tuple[Told, ...]) -> None:
        require(len(told) == job.sequence, f"{len(told)} events were told, and the sequence is {job.sequence}")
        for name in job.families:
            indexes = [image.index for image in shown_images(job, name) if image.status is ImageStatus.PUBLISHED]
            require(len(indexes) <= self.images, f"{len(indexes)} images of {name} are visible, asked for were fewer")
            require(len(indexes) == len(set(indexes)), f"an image of {name} is visible twice: {indexes}")
        urls = [picture.file.key for picture in pictures(job)]
        require(len(urls) == len(set(urls)), "two pictures have one URL")
        ends = [kind for kind, family in told if family is None and kind != "VARIATION_STARTED"]
        expected = {JobStatus.COMPLETED: "VARIATION_COMPLETED", JobStatus.CANCELLED: "VARIATION_CANCELLED"}
        if job.status.is_terminal:
            require(len(ends) == 1, f"a job that is {job.status.value} told these ends: {ends}")
            require(told[-1] == (ends[0], None), f"after its end the job told {told[-1]}")
            require(expected.get(job.status, ends[0]) == ends[0], f"a {job.status.value} job told {ends[0]}")
            require(
                all(family.status.is_terminal for family in job.families.values()), "an ended job has open families"
            )
        else:
            require(not ends, f"a job that is {job.status.value} told an end: {ends}")
        families = [family for _, family in told if family is not None]
        require(len(families) == len(set(families)), f"a family's end was told twice: {families}")

    def _check_step(self, before: int, after: int) -> None:
        old, new = self.jobs[before], self.jobs[after]
        told, now_told = self.told[before], self.told[after]
        require(now_told[: len(told)] == told, f"what was told changed: {told} became {now_told}")
        if old.status.is_terminal:
            require(new.status is old.status, f"the end {old.status.value} became {new.status.value}")
            require(now_told == told, "an ended job told something")
        if new.status is JobStatus.CANCELLED and old.status is not JobStatus.CANCELLED and old.in_flight_families:
            require(self.owes_marker[after], "work in flight was cancelled, and no marker would tell the workers")
        if old.status is JobStatus.CANCELLED:
            require(self.shown[after] == self.shown[before], "a cancelled job showed new pictures")
        require(self.silent(before) <= self.silent(after), "what was old news is news again")
        for name, family in old.families.items():
            _check_family(name, family, new.families[name])


def _check_family(name: str, old: Family, new: Family) -> None:
    if old.status.is_terminal:
        require(new.status is old.status, f"{name} was {old.status.value} and became {new.status.value}")
    forward = _FAMILY_ORDER.index(new.status) >= _FAMILY_ORDER.index(old.status)
    require(forward, f"{name} went back from {old.status.value} to {new.status.value}")
    require(new.requests_sent >= old.requests_sent, f"{name} forgot a request")
    for was, now in zip(old.images, new.images, strict=True):
        forward = _IMAGE_ORDER.index(now.status) >= _IMAGE_ORDER.index(was.status)
        require(forward, f"image {was.index} of {name} went back from {was.status.value} to {now.status.value}")
        if was.status.is_terminal:
            require(now.status is was.status, f"image {was.index} of {name} left its end {was.status.value}")


def _must_arrive(emission: Emission) -> bool:
    """The cancellation hint may be lost at any time, and whoever hears it does what the marker makes them do anyway."""
    return not isinstance(emission.message, JobCancelled)


def _told(message: Message) -> Told:
    return message.TYPE, getattr(message, "family_name", None)


def _is_shown(job: Job, family: Family) -> bool:
    own: Sequence[Any] = [file for image in family.images for file in image.files]
    return bool(own) or any(picture.family == family.name for picture in pictures(job))


def without_time(job: Job) -> Job:
    families = {
        name: family.model_copy(
            update={
                "admitted_at": _now(family.admitted_at),
                "started_at": _now(family.started_at),
                "check_at": _now(family.check_at),
                "finished_at": _now(family.finished_at),
                "recut": family.recut
                and family.recut.model_copy(update={"asked_at": NOW, "check_at": _now(family.recut.check_at)}),
                "model_seconds": 0,
                "encode_seconds": 0,
            }
        )
        for name, family in job.families.items()
    }
    return job.model_copy(
        update={
            "families": families,
            "history": (),
            "outbox": (),
            "outbox_at": None,
            "waiting_since": _now(job.waiting_since),
            "next_check_at": _now(job.next_check_at),
            "updated_at": NOW,
            "started_at": _now(job.started_at),
            "finished_at": _now(job.finished_at),
        }
    )


def _now(moment: datetime | None) -> datetime | None:
    return None if moment is None else NOW
