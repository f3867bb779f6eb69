"""Whether what clients were told agrees with what the outside world saw: pure functions over a history.

Each invariant is one function. It yields what breaks it, in sentences; a history without a finding satisfies it.
"""

import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from chaos.ledger import (
    Acknowledged,
    Asked,
    Attempt,
    Died,
    Heard,
    History,
    Picture,
    Quiet,
    Run,
    Seen,
    Shown,
    Stored,
)
from imagetron_contracts.events import (
    FamilyCompleted,
    VariationCancelled,
    VariationCompleted,
    VariationFailed,
    VariationPartial,
    VariationStarted,
)
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.ids import event_id

Document = dict[str, Any]
_RANK: Final = {"queued": 0, "running": 1, "completed": 2, "partial": 2, "failed": 2, "cancelled": 2}
_TERMINAL_RANK: Final = 2
_FAMILY_RANK: Final = {
    "waiting": 0, "admitted": 1, "generating": 2, "deriving": 3, "publishing": 4,
    "completed": 5, "partial": 5, "failed": 5, "cancelled": 5,
}  # fmt: skip
_ENDING: Final = {
    "completed": VariationCompleted.TYPE,
    "partial": VariationPartial.TYPE,
    "failed": VariationFailed.TYPE,
    "cancelled": VariationCancelled.TYPE,
}
# Asked to stop so early that Python itself answers, a process ends by the signal.
_POLITE: Final = frozenset({0, -signal.SIGTERM})
_GOOD_ANSWERS: Final = frozenset({"200", "202", "409", "429", "503"})


class Kind(StrEnum):
    """What a finding is counted as."""

    LOST = "lost"
    DOUBLED = "doubled"
    STUCK = "stuck"
    BACKWARDS = "backwards"
    CONTRADICTION = "contradiction"
    PICTURE = "picture"
    FAILED = "failed"
    REFUSED = "refused"
    RUN = "run"
    """The run itself did not do what it was to do, and so proves nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    job: str
    what: str


Check = Callable[["Facts"], Iterator[Finding]]


class Facts:
    """A history, looked up in the ways that the checks need."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.documents: dict[str, Document] = {each.document["_id"]: each.document for each in history.of(Stored)}
        self.jobs_of_key: dict[str, set[str]] = _grouped((each.key, each.job) for each in history.of(Acknowledged))
        self.acknowledged: set[str] = {each.job for each in history.of(Acknowledged)}
        self.pictures: dict[str, Picture] = {each.key: each for each in history.of(Picture)}
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        for seen in history.of(Seen):
            self.seen[seen.job].append(seen)
        self.heard: dict[str, list[Heard]] = defaultdict(list)
        for heard in history.of(Heard):
            self.heard[heard.job].append(heard)
        self.asked: Counter[tuple[str, str]] = Counter((each.job, each.verb) for each in history.of(Asked))

    def told(self, job: str) -> list[Heard]:
        """The job's events, each once, in the order of their sequence."""
        first: dict[int, Heard] = {}
        for event in self.heard[job]:
            first.setdefault(event.sequence, event)
        return [first[number] for number in sorted(first)]


def what_was_acknowledged_exists(facts: Facts) -> Iterator[Finding]:
    """I1: an acknowledged job has a document."""
    for job in sorted(facts.acknowledged - facts.documents.keys()):
        yield Finding(Kind.LOST, job, "was acknowledged and has no document")


def a_key_has_one_job(facts: Facts) -> Iterator[Finding]:
    """I1: one key, one job, whether its client heard of it or not."""
    for key, jobs in facts.jobs_of_key.items():
        if len(jobs) > 1:
            yield Finding(Kind.DOUBLED, min(jobs), f"key {key} was answered with {len(jobs)} jobs")
    names = _grouped((document["name"], job) for job, document in facts.documents.items())
    for name, jobs in names.items():
        if len(jobs) > 1:
            yield Finding(Kind.DOUBLED, min(jobs), f"{len(jobs)} jobs are named {name}")


def no_client_saw_a_job_go_back(facts: Facts) -> Iterator[Finding]:
    """I2, G5: within a revision and its attempts a status only advances, a family's too, and a terminal one stays."""
    for job, story in facts.seen.items():
        for before, after in pairwise(story):
            if objection := _step_back(before, after):
                yield Finding(Kind.BACKWARDS, job, objection)


def a_run_starts_when_it_is_asked_for(facts: Facts) -> Iterator[Finding]:
    """I2: a terminal status is left by an explicit request alone."""
    for job, document in facts.documents.items():
        if document["revision"] > 1 + facts.asked[job, "regenerate"]:
            yield Finding(Kind.DOUBLED, job, f"is at revision {document['revision']}, which nobody asked for")
        attempts = max((family["attempt"] for family in document["families"].values()), default=1)
        if attempts > 1 + facts.asked[job, "retry"]:
            yield Finding(Kind.DOUBLED, job, f"has a family at attempt {attempts}, which nobody asked for")


def every_event_was_heard(facts: Facts) -> Iterator[Finding]:
    """I3: a job's events are 1..n without a hole, and a subscriber hears each."""
    for job, document in facts.documents.items():
        heard = {event.sequence for event in facts.heard[job]}
        if missing := sorted(set(range(1, document["sequence"] + 1)) - heard):
            yield Finding(Kind.LOST, job, f"of {document['sequence']} events nobody heard {missing}")


def events_agree_with_each_other(facts: Facts) -> Iterator[Finding]:
    """I3: an event's id has one meaning, however often it comes, and so has a job's n-th event."""
    for job, events in facts.heard.items():
        for what, groups in (
            ("id", _grouped((event.id, event.digest) for event in events)),
            ("sequence", _grouped((str(event.sequence), event.digest) for event in events)),
        ):
            for name, meanings in groups.items():
                if len(meanings) > 1:
                    yield Finding(Kind.CONTRADICTION, job, f"{len(meanings)} different events have the {what} {name}")


def no_event_is_foreign(facts: Facts) -> Iterator[Finding]:
    """I9: every event that was heard is one that a job's document numbered."""
    for job, events in facts.heard.items():
        last = facts.documents.get(job, {}).get("sequence", 0)
        for event in events:
            if event.id != event_id(job, event.sequence) or not 1 <= event.sequence <= last:
                yield Finding(Kind.CONTRADICTION, job, f"event {event.id} ({event.type}, {event.sequence}) is nobody's")


def each_fact_is_told_once(facts: Facts) -> Iterator[Finding]:
    """G3: a revision starts once, a family is completed once in it and ends once, but for what was asked for again."""
    for job in facts.heard:
        again = facts.asked[job, "retry"]
        told = Counter(_fact(event) for event in facts.told(job))
        for fact, times in told.items():
            if times > 1 + again:
                yield Finding(
                    Kind.DOUBLED, job, f"{' '.join(map(str, fact))} was told {times} times as different events"
                )


def the_last_word_is_the_documents(facts: Facts) -> Iterator[Finding]:
    """Events and document agree: the last event says how the job ended, with the same pictures."""
    for job, document in facts.documents.items():
        expected = _ENDING.get(document["status"])
        if expected is None:
            continue
        last = next(reversed(facts.told(job)), None)
        if last is None or last.type != expected or last.data.get("revision", 1) != document["revision"]:
            said = f"{last.type} of revision {last.data.get('revision', 1)}" if last else "nothing"
            yield Finding(
                Kind.CONTRADICTION,
                job,
                f"is {document['status']} in revision {document['revision']}; told last: {said}",
            )
        elif document["status"] == "completed":
            told = {key for urls in last.data["publicUrls"].values() for key in map(key_of, urls.values())}
            stored = {file["key"] for file in _files(document)}
            if told != stored:
                yield Finding(Kind.CONTRADICTION, job, f"its last event names {len(told ^ stored)} other objects")


def every_picture_shown_is_there(facts: Facts) -> Iterator[Finding]:
    """I5: every URL in an answer or event is an object of its job that decodes and has the size of its name."""
    for job, family, name, url in _urls(facts):
        key = key_of(url)
        picture = facts.pictures.get(key)
        wanted = _size(family, name)
        if not key.startswith(f"{job}/"):
            yield Finding(Kind.PICTURE, job, f"{family}.{name} leads to another job's object {key}")
        elif picture is None:
            yield Finding(Kind.PICTURE, job, f"{family}.{name} leads to nothing: {key}")
        elif picture.error:
            yield Finding(Kind.PICTURE, job, f"{family}.{name} is no picture: {picture.error}")
        elif (picture.width, picture.height) != wanted:
            found = f"{picture.width}x{picture.height}"
            yield Finding(Kind.PICTURE, job, f"{family}.{name} is {found} and should be {wanted[0]}x{wanted[1]}")


def a_completed_job_shows_everything(facts: Facts) -> Iterator[Finding]:
    """I5, G1: what is completed shows every picture of every family, and as its document has it."""
    for shown in facts.history.of(Shown):
        document = facts.documents.get(shown.job)
        if document is None:
            continue
        if shown.status != document["status"] or shown.revision != document["revision"]:
            stored = f"{document['status']} in revision {document['revision']}"
            said = f"{shown.status} in revision {shown.revision}"
            yield Finding(Kind.CONTRADICTION, shown.job, f"is shown as {said}; its document: {stored}")
        if shown.status != "completed":
            continue
        there = {(each["family"], each["name"]) for each in shown.pictures}
        if missing := sorted(".".join(pair) for pair in _expected(document) - there):
            yield Finding(Kind.LOST, shown.job, f"is completed without {', '.join(missing)}")


def at_rest_nothing_is_open(facts: Facts) -> Iterator[Finding]:
    """I6, I10: when all is quiet every job is terminal and has told everything."""
    for job, document in facts.documents.items():
        if _RANK.get(document["status"], 0) != _TERMINAL_RANK:
            families = {name: family["status"] for name, family in document["families"].items()}
            yield Finding(Kind.STUCK, job, f"is {document['status']}: {families}")
        if document["outbox"]:
            yield Finding(Kind.STUCK, job, f"{len(document['outbox'])} messages wait in its outbox")


def images_are_counted_once(facts: Facts) -> Iterator[Finding]:
    """I7: a family's images have different indexes, and its files different names."""
    for job, document in facts.documents.items():
        for name, family in document["families"].items():
            indexes = Counter(image["index"] for image in family["images"])
            if sorted(indexes.elements()) != list(range(len(indexes))):
                yield Finding(Kind.DOUBLED, job, f"{name} has images {sorted(indexes.elements())}")
            for image in family["images"]:
                names = Counter(file["name"] for file in image["files"])
                if twice := [each for each, times in names.items() if times > 1]:
                    yield Finding(Kind.DOUBLED, job, f"{name} has {', '.join(twice)} twice")


def nothing_failed_without_a_reason(facts: Facts) -> Iterator[Finding]:
    """Processes that die are no reason: whatever nobody cancelled is completed, and was never told to have failed."""
    bad = {VariationFailed.TYPE, VariationPartial.TYPE}
    for job in sorted(facts.documents.keys() | facts.heard.keys()):
        told = [event for event in facts.told(job) if event.type in bad]
        status = facts.documents.get(job, {}).get("status", "")
        if told or status in {"failed", "partial"}:
            errors = told[-1].data.get("errors") if told else _errors(facts.documents[job])
            yield Finding(Kind.FAILED, job, f"failed though nothing but processes did: {errors}")
        if status == "cancelled" and not facts.asked[job, "cancel"]:
            yield Finding(Kind.FAILED, job, "was cancelled by nobody")


def nobody_was_refused(facts: Facts) -> Iterator[Finding]:
    """Clients that behave are served, or told to come again: no 4xx, and no 5xx but 503."""
    for attempt in facts.history.of(Attempt):
        if attempt.answer.isdigit() and attempt.answer not in _GOOD_ANSWERS:
            yield Finding(Kind.REFUSED, "", f"key {attempt.key} was answered {attempt.answer}")
    for asked in facts.history.of(Asked):
        if asked.answer.isdigit() and asked.answer not in _GOOD_ANSWERS:
            yield Finding(Kind.REFUSED, asked.job, f"{asked.verb} was answered {asked.answer}")


def the_run_did_its_work(facts: Facts) -> Iterator[Finding]:
    """A run that came to no end, or in which processes died by themselves, proves nothing."""
    for death in facts.history.of(Died):
        if death.cause == "unexpected":
            yield Finding(Kind.RUN, "", f"{death.process} ended by itself with status {death.status}")
        elif death.cause == "stopped" and death.status not in _POLITE:
            yield Finding(Kind.RUN, "", f"{death.process} was asked to stop and ended with status {death.status}")
    if not any(quiet.in_time for quiet in facts.history.of(Quiet)):
        yield Finding(Kind.RUN, "", "the time was up before all was quiet")


def it_bites(facts: Facts) -> Iterator[Finding]:
    """Without one event that came twice nobody knows whether the run killed where it hurts."""
    kills = sum(run.kills for run in facts.history.of(Run))
    # Fewer kills may really leave no trace.
    if kills >= 60 and not repeats(facts.history):
        yield Finding(Kind.RUN, "", f"{kills} kills and no event came twice: this run does not bite")


def points_not_hit(expected: Iterable[tuple[str, str]], history: History) -> list[tuple[str, str]]:
    """The pairs of service and fault point at which nobody died."""
    hit = {(death.service, death.point) for death in history.of(Died)}
    return [pair for pair in expected if pair not in hit]


def repeats(history: History) -> int:
    """How many events a subscriber heard that it had heard before."""
    heard = [event.id for event in history.of(Heard)]
    return len(heard) - len(set(heard))


CHECKS: Final[tuple[Check, ...]] = (
    what_was_acknowledged_exists,
    a_key_has_one_job,
    no_client_saw_a_job_go_back,
    a_run_starts_when_it_is_asked_for,
    every_event_was_heard,
    events_agree_with_each_other,
    no_event_is_foreign,
    each_fact_is_told_once,
    the_last_word_is_the_documents,
    every_picture_shown_is_there,
    a_completed_job_shows_everything,
    at_rest_nothing_is_open,
    images_are_counted_once,
    nothing_failed_without_a_reason,
    nobody_was_refused,
    the_run_did_its_work,
    it_bites,
)


def check(history: History) -> list[Finding]:
    """Everything that is wrong with this history."""
    facts = Facts(history)
    return [finding for each in CHECKS for finding in each(facts)]


def jobs_of(kind: Kind, findings: Sequence[Finding]) -> set[str]:
    """The jobs that have a finding of this kind."""
    return {finding.job for finding in findings if finding.kind is kind}


def key_of(url: str) -> str:
    """The object's key: `<job>/<digest>.<extension>`, the last two steps of its address."""
    return "/".join(urlsplit(url).path.split("/")[-2:])


def _step_back(before: Seen, after: Seen) -> str | None:
    if after.status not in _RANK:
        return f"was {before.status} and then gave {after.status}"
    if before.status not in _RANK:
        return None  # reported when it was seen
    said = f"{before.status} (revision {before.revision}), then {after.status} (revision {after.revision})"
    if after.revision != before.revision:
        return said if after.revision < before.revision else None
    if any(after.attempts.get(name, 0) < attempt for name, attempt in before.attempts.items()):
        return f"{said}: a family's attempt fell"
    if after.attempts != before.attempts:
        return None
    if _RANK[after.status] < _RANK[before.status]:
        return said
    if _RANK[before.status] == _TERMINAL_RANK and after.status != before.status:
        return said
    for name, status in before.families.items():
        if _FAMILY_RANK[after.families[name]] < _FAMILY_RANK[status]:
            return f"family {name} was {status}, then {after.families[name]}"
    return None


def _fact(event: Heard) -> tuple[object, ...]:
    """What an event says, apart from the pictures."""
    revision = event.data.get("revision", 1)
    if event.type == VariationStarted.TYPE:
        return event.type, revision
    if event.type in _ENDING.values():
        return "the end of revision", revision
    return event.type, revision, event.data.get("familyName")


def _urls(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    """(job, family, picture, URL) of everything that was ever shown or told."""
    for shown in facts.history.of(Shown):
        for each in shown.pictures:
            yield shown.job, each["family"], each["name"], each["url"]
    for job in facts.heard:
        for event in facts.told(job):
            if event.type == FamilyCompleted.TYPE:
                family = event.data["familyName"]
                yield job, family, family, event.data["publicUrl"]
                for name, url in event.data.get("derivatives", {}).items():
                    yield job, family, name, url
            for names in ("publicUrls", "partialUrls"):
                for family, urls in event.data.get(names, {}).items():
                    for name, url in urls.items():
                        yield job, family, name, url


def _size(family: str, name: str) -> tuple[int, int]:
    table = FAMILIES[family]
    size = {item.name: item.size for item in table.derivatives}.get(name, table.master)
    return size.width, size.height


def _expected(document: Document) -> set[tuple[str, str]]:
    return {
        (family, name)
        for family in document["families"]
        for name in (family, *(item.name for item in FAMILIES[family].derivatives))
    }


def _files(document: Document) -> Iterator[dict[str, Any]]:
    for family in document["families"].values():
        for image in family["images"]:
            yield from image["files"]


def _errors(document: Document) -> Mapping[str, Any]:
    return {name: family.get("failure") for name, family in document["families"].items() if family.get("failure")}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        groups[name].add(value)
    return groups
