"""The saga under everything at once: random admission, messages in any order and number, lost ones, time, and people who
cancel, retry, regenerate, reseed and cut again.

Invariants: an end is left only when somebody asks, the sequence is dense, every event fits the document, each end is told
once, cutting again moves nothing but files, derived fields never drift. IMAGETRON_TEST_EXAMPLES and IMAGETRON_TEST_STEPS make
it longer.
"""

import os
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagetron_contracts.crops import Misfit
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.stages import DerivativesRequested, FamilyMessage, FamilyRequested, Lane
from imagetron_gateway.domain import commands, recutting, saga
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import (
    HISTORY_LIMIT,
    Family,
    FamilyStatus,
    Image,
    ImageStatus,
    Job,
    JobStatus,
    OutboxEntry,
    PublishedFamily,
)
from imagetron_gateway.domain.pictures import good_images
from support.builders import (
    CDN,
    NOW,
    a_family,
    a_family_started,
    a_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)

NAMES = ("square", "landscape", "hero")
MAX_IMAGES = 3
MAX_REQUESTS = saga.MAX_REQUESTS[Lane.INTERACTIVE]
_ORDER = list(ImageStatus)

# Which of the job's families, counted around; the last number means one that the job does not have.
STRANGER = 6
families = st.integers(0, STRANGER)
everything = set(range(MAX_IMAGES + 1))
# Often all, as workers do; else any of them, and one that was never asked for.
indexes = st.just(everything) | st.sets(st.integers(0, MAX_IMAGES), max_size=MAX_IMAGES + 1)
some: st.SearchStrategy[set[int]] = st.just(set()) | st.sets(st.integers(0, MAX_IMAGES))
seconds = st.integers(0, 4000)
# Mostly the present, sometimes what a worker still makes of the past.
back = st.sampled_from([0, 0, 0, 1])


@dataclass(frozen=True, slots=True)
class Told:
    """A public event, and when it was told: in which run of which revision, about which attempt."""

    sequence: int
    kind: str
    revision: int
    run: int
    family: str | None
    attempt: int | None
    derivation: int | None

    @property
    def is_end(self) -> bool:
        return self.family is None and self.kind != "VARIATION_STARTED"


class Saga(RuleBasedStateMachine):
    """One job; `heard` keeps every message, so that any of them may come again at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.heard: list[FamilyMessage] = []
        self.asked: list[FamilyRequested] = []
        """In the broker: work that a worker may do, do twice, or never see."""
        self.cuttings: list[DerivativesRequested] = []
        """Everything that was ever to be cut again."""
        self.told: list[Told] = []
        self.run = 0
        """How often this revision has gone on after an end, because somebody retried."""
        self.cancelled_over: dict[str, PublishedFamily] = {}
        """What the names pointed to when the job was cancelled."""

    @initialize(
        images=st.lists(st.integers(1, MAX_IMAGES), min_size=1, max_size=3),
        budget=st.sampled_from([10, 400]),
        past=st.sampled_from(["none", "regenerated", "retried", "cut again", "cut again and retried"]),
        failed=st.sets(families, min_size=1),
    )
    def submit(self, images, budget, past, failed):
        """A new job, or one that people have asked something of before: chance alone rarely gets that far."""
        chosen = zip(NAMES, images, strict=False)
        self.job = a_job(*(a_family(name, images=count, budget_seconds=budget) for name, count in chosen))
        if past == "none":
            return
        for family in range(len(images)):
            if past.startswith("cut again"):
                self.render(family)
            self.finish(family, {0} if past.endswith("retried") and family in {0, *failed} else set())
        if past.startswith("cut again"):
            for name in self.ready():
                self.follow(commands.cut_again(self.job, name, {}, self.now))
        if past == "cut again":
            return
        if past == "regenerated":
            self.follow(commands.regenerate(self.job, self.now), is_explicit=True)
        else:
            self.follow(commands.retry(self.job, self.now), is_explicit=True)
            self.run = 1

    @rule(family=families)
    def admit(self, family):
        if family != STRANGER:
            self.follow(saga.admit(self.job, self.name_of(family), self.now))

    @rule(count=st.integers(1, 8))
    def relay(self, count):
        """The first entries of the outbox reach the broker; events reach whoever listens."""
        sent, kept = self.job.outbox[:count], self.job.outbox[count:]
        self.job = self.job.model_copy(update={"outbox": kept})
        self.asked += [FamilyRequested.model_validate_json(entry.body) for entry in sent if entry.body]

    def render(self, family):
        """All renders of a family are known."""
        self.admit(family)
        indexes = [image.index for image in self.job.families[self.name_of(family)].images]
        self.hear(renders_generated(self.job, indexes=indexes, **self.work_of(family, 0, 0)))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def drop(self, data):
        """The broker loses some requests, or the whole queue."""
        lost = data.draw(st.just(self.asked) | st.lists(st.sampled_from(self.asked), min_size=1))
        self.asked = [request for request in self.asked if request not in lost]

    @precondition(lambda self: self.asked)
    @rule(
        make=st.sampled_from([a_family_started, renders_generated, derivatives_rendered, family_published]),
        bad=some,
        data=st.data(),
    )
    def work(self, make, bad, data):
        """A worker answers a request as workers do: with all of the images that it asks for."""
        request = data.draw(st.sampled_from(self.asked))
        work = {"family": request.family, "revision": request.revision, "attempt": request.attempt}
        wanted = set(request.image_indexes)
        if make is a_family_started:
            self.hear(a_family_started(self.job, indexes=wanted, at=self.now, **work))
            return
        failed = dict.fromkeys(bad & wanted, FailureCode.RENDER_UNREADABLE)
        self.hear(make(self.job, indexes=wanted - bad, bad=failed, **work))

    @rule(family=families, bad=some)
    def finish(self, family, bad):
        """A family's end is heard of before anything that led to it; the rest comes late, or never."""
        if family != STRANGER:
            self.admit(family)
            known = self.job.families[self.name_of(family)]
            wanted = {image.index for image in known.images if not image.status.is_terminal}
            failed = dict.fromkeys(bad & wanted, FailureCode.INTERNAL)
            work = self.work_of(family, 0, 0)
            self.hear(family_published(self.job, indexes=wanted - bad, bad=failed, **work))

    @rule(family=families, wanted=indexes, revisions=back, attempts=back)
    def start(self, family, wanted, revisions, attempts):
        work = self.work_of(family, revisions, attempts)
        self.hear(a_family_started(self.job, indexes=wanted, at=self.now, **work))

    @rule(
        make=st.sampled_from([renders_generated, derivatives_rendered, family_published]),
        family=families,
        good=indexes,
        bad=some,
        revisions=back,
        attempts=back,
    )
    def report(self, make, family, good, bad, revisions, attempts):
        failed = dict.fromkeys(bad, FailureCode.RENDER_UNREADABLE)
        self.hear(make(self.job, indexes=good - bad, bad=failed, **self.work_of(family, revisions, attempts)))

    @rule(
        family=families,
        wanted=indexes,
        stage=st.sampled_from(Stage),
        code=st.sampled_from(FailureCode),
        revisions=back,
        attempts=back,
    )
    def give_up(self, family, wanted, stage, code, revisions, attempts):
        work = self.work_of(family, revisions, attempts)
        self.hear(stage_failed(self.job, indexes=wanted, stage=stage, code=code, **work))

    @precondition(lambda self: self.ready())
    @rule(misfit=st.none() | st.sampled_from(Misfit), data=st.data())
    def cut_again(self, misfit, data):
        name = data.draw(st.sampled_from(self.ready()))
        before = self.job
        self.follow(commands.cut_again(before, name, {"misfit": misfit}, self.now))
        assert self.job.families[name].derivation == before.families[name].derivation + 1
        assert name in recutting.under_way(self.job)

    @precondition(lambda self: self.cuttings)
    @rule(
        make=st.sampled_from([derivatives_rendered, family_published, family_published, stage_failed]),
        bad=some,
        good=indexes,
        data=st.data(),
    )
    def answer(self, make, bad, good, data):
        """Mostly to the newest cutting again, as workers do; or to one that was superseded, of some images, of others."""
        live = [request for request in self.cuttings if self.is_live(request)]
        request = data.draw(st.sampled_from(live or self.cuttings) | st.sampled_from(self.cuttings))
        work = {name: getattr(request, name) for name in ("family", "revision", "attempt", "derivation")}
        if make is not stage_failed:
            work["bad"] = dict.fromkeys(bad, FailureCode.RENDER_UNREADABLE)
        before = self.job
        self.hear(make(self.job, indexes=good - bad, **work))
        self.only_files_moved(before.families[request.family], self.job.families[request.family])
        assert self.job.cost == before.cost
        assert self.job.status is before.status

    @staticmethod
    def only_files_moved(before: Family, after: Family) -> None:
        moving = {"images", "recut"}
        assert after.model_dump(exclude=moving) == before.model_dump(exclude=moving)
        for was, now in zip(before.images, after.images, strict=True):
            assert now.model_dump(exclude={"files", "detection"}) == was.model_dump(exclude={"files", "detection"})
            if now.files != was.files:
                assert all(file.key.endswith(f"-d{after.derivation}.webp") for file in now.files)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hear_again(self, data):
        self.follow(saga.apply(self.job, data.draw(st.sampled_from(self.heard)), self.now, url_of))

    @rule(passed=seconds)
    def wait(self, passed):
        self.now += timedelta(seconds=passed)

    @rule()
    def check(self):
        checks = [family.check_at for family in self.job.families.values() if family.status.is_in_flight]
        checks += [family.recut.check_at for family in self.job.families.values() if family.recut]
        decision = saga.tick(self.job, self.now, url_of)
        assert (decision is not None) == any(check is not None and check <= self.now for check in checks)
        self.follow(decision)

    @precondition(lambda self: not self.job.status.is_terminal)
    @rule()
    def cancel(self):
        before = self.job
        self.cancelled_over = before.published
        self.follow(commands.cancel(before, self.now, url_of))
        assert self.job.status is JobStatus.CANCELLED
        is_under_way = before.in_flight_families or recutting.under_way(before)
        owed = before.revision if is_under_way else before.unmarked_revision
        assert self.job.unmarked_revision == owed, "workers would not hear of it"

    @precondition(lambda self: self.job.unmarked_revision is not None)
    @rule()
    def mark(self):
        self.follow(commands.marked(self.job, self.now))

    @precondition(lambda self: self.job.status is not JobStatus.CANCELLED and self.failed())
    @rule(data=st.data())
    def retry(self, data):
        failed = self.failed()
        chosen = data.draw(st.lists(st.sampled_from(failed), unique=True))
        before = self.job
        self.follow(commands.retry(before, self.now, chosen), is_explicit=True)
        if before.status.is_terminal:
            self.run += 1
        self.only_these_began_anew(before, set(chosen or failed))

    @precondition(lambda self: self.job.status.is_terminal)
    @rule(seed=st.none() | st.integers(0, 2**63))
    def regenerate(self, seed):
        self.follow(commands.regenerate(self.job, self.now, seed), is_explicit=True)
        self.run = 0

    @invariant()
    def what_is_not_allowed_is_refused_before_there_is_a_decision(self):
        for expected in JobStatus:
            if self.job.status.is_terminal or expected is not self.job.status:
                with pytest.raises(commands.NotAllowed):
                    commands.cancel(self.job, self.now, url_of, expected)
        if self.job.status is JobStatus.CANCELLED or not self.failed():
            with pytest.raises(commands.NotAllowed):
                commands.retry(self.job, self.now)
        if not self.job.status.is_terminal:
            with pytest.raises(commands.NotAllowed):
                commands.regenerate(self.job, self.now)

        for name in set(self.job.families) - set(self.ready()):
            with pytest.raises(commands.NotAllowed):
                commands.cut_again(self.job, name, {}, self.now)

    def ready(self) -> list[str]:
        """To be cut again."""
        return [name for name in self.job.families if recutting.objection_to(self.job, name) is None]

    def is_live(self, request: DerivativesRequested) -> bool:
        family = self.job.families[request.family]
        is_newest = (request.revision, request.derivation) == (self.job.revision, family.derivation)
        return is_newest and request.family in recutting.under_way(self.job)

    def failed(self) -> list[str]:
        unhappy = {FamilyStatus.FAILED, FamilyStatus.PARTIAL}
        return [name for name, family in self.job.families.items() if family.status in unhappy]

    def name_of(self, family: int) -> str:
        names = list(self.job.families)
        others = [name for name in FAMILIES if name not in names]
        return others[0] if family == STRANGER else names[family % len(names)]

    def work_of(self, family: int, revisions: int, attempts: int):
        name = self.name_of(family)
        attempt = self.job.families[name].attempt if name in self.job.families else 1
        return {
            "family": name,
            "revision": max(1, self.job.revision - revisions),
            "attempt": max(1, attempt - attempts),
        }

    def hear(self, message: FamilyMessage) -> None:
        self.heard.append(message)
        self.follow(saga.apply(self.job, message, self.now, url_of))
        assert saga.apply(self.job, message, self.now, url_of) is None, "the same message again must say nothing new"

    def follow(self, decision: Decision | None, *, is_explicit: bool = False) -> None:
        """Store the decision as a gateway does: what it says waits in the outbox."""
        if decision is None:
            return
        before = self.job
        entries = tuple(_entry(emission) for emission in decision.emissions)
        self.job = decision.job.model_copy(update={"outbox": (*before.outbox, *entries)})
        if not is_explicit:
            self.nothing_went_back(before, self.job)
        for emission in decision.emissions:
            if emission.sequence is None:
                if isinstance(emission.message, DerivativesRequested):
                    self.cuttings.append(emission.message)
                    continue
                assert not before.status.is_terminal, "an ended job asks for work"
                continue
            derivation = getattr(emission.message, "derivation", None)
            assert derivation or not before.status.is_terminal, "an ended job tells something"
            family = getattr(emission.message, "family_name", None)
            attempt = self.job.families[family].attempt if family else None
            kind = emission.message.TYPE
            self.told.append(Told(emission.sequence, kind, self.job.revision, self.run, family, attempt, derivation))

    @staticmethod
    def nothing_went_back(before: Job, after: Job) -> None:
        assert after.revision == before.revision
        if before.status.is_terminal:
            assert after.status is before.status
        for name, family in before.families.items():
            changed = after.families[name]
            assert changed.attempt == family.attempt
            if family.status.is_terminal:
                assert changed.status is family.status
            assert list(FamilyStatus).index(changed.status) >= list(FamilyStatus).index(family.status)
            for was, now in zip(family.images, changed.images, strict=True):
                assert _ORDER.index(now.status) >= _ORDER.index(was.status)
                if was.status.is_terminal:
                    assert (now.status, now.failure) == (was.status, was.failure)
                    assert now.files == was.files or is_owed(family, was)

    def only_these_began_anew(self, before: Job, chosen: set[str]) -> None:
        assert (self.job.revision, self.job.published) == (before.revision, before.published)
        for name, family in before.families.items():
            now = self.job.families[name]
            assert (now != family) == (name in chosen)
            assert good_images(now.images) == good_images(family.images)
            if name in chosen:
                assert (now.status, now.attempt) == (FamilyStatus.WAITING, family.attempt + 1)

    @invariant()
    def the_sequence_is_dense(self):
        assert [told.sequence for told in self.told] == list(range(1, self.job.sequence + 1))

    @invariant()
    def each_revision_starts_once_and_before_everything_else(self):
        for revision in range(1, self.job.revision + 1):
            kinds = [told.kind for told in self.told if told.revision == revision]
            assert kinds.count("VARIATION_STARTED") == (kinds[:1] == ["VARIATION_STARTED"])
            assert kinds[:1] in ([], ["VARIATION_STARTED"], ["VARIATION_CANCELLED"])
            assert kinds[:1] != ["VARIATION_CANCELLED"] or len(kinds) == 1

    @invariant()
    def each_run_of_a_revision_ends_once_and_then_is_silent(self):
        """But for cuttings again, which have a time of their own."""
        runs = {(told.revision, told.run) for told in self.told} | {(self.job.revision, self.run)}
        for revision, run in runs:
            events = [told for told in self.told if (told.revision, told.run, told.derivation) == (revision, run, None)]
            is_over = (revision, run) != (self.job.revision, self.run) or self.job.status.is_terminal
            assert [told for told in events if told.is_end] == (events[-1:] if is_over else [])
            assert len(events) > 0 or not is_over

    @invariant()
    def nothing_is_told_of_a_cancelled_revision_after_its_end(self):
        for position, told in enumerate(self.told):
            if told.kind == "VARIATION_CANCELLED":
                assert told.revision not in {later.revision for later in self.told[position + 1 :]}
        ended = [told for told in self.told if told.is_end and told.revision == self.job.revision]
        is_cancelled = self.job.status is JobStatus.CANCELLED
        assert [told.kind for told in ended].count("VARIATION_CANCELLED") == is_cancelled

    @invariant()
    def each_attempt_of_a_family_is_told_of_once_when_it_ends_and_never_when_it_is_cancelled(self):
        ends = [(told.revision, told.family, told.attempt) for told in self.told if told.family and not told.derivation]
        assert len(ends) == len(set(ends))
        for name, family in self.job.families.items():
            has_ended = family.status.is_terminal and family.status is not FamilyStatus.CANCELLED
            assert ((self.job.revision, name, family.attempt) in ends) == has_ended
            earlier = [(self.job.revision, name, attempt) for attempt in range(1, family.attempt)]
            assert set(earlier) <= set(ends)

    @invariant()
    def the_jobs_status_follows_from_its_families(self):
        statuses = [family.status for family in self.job.families.values()]
        if self.job.status is JobStatus.CANCELLED:
            assert FamilyStatus.CANCELLED in statuses
            assert all(status.is_terminal for status in statuses)
        elif not all(status.is_terminal for status in statuses):
            assert not self.job.status.is_terminal
            assert FamilyStatus.CANCELLED not in statuses
        elif set(statuses) == {FamilyStatus.COMPLETED}:
            assert self.job.status is JobStatus.COMPLETED
        elif set(statuses) == {FamilyStatus.FAILED}:
            assert self.job.status is JobStatus.FAILED
        else:
            assert self.job.status is JobStatus.PARTIAL
        assert self.job.status.is_terminal == (self.job.finished_at is not None)

    @invariant()
    def a_family_ends_exactly_when_its_images_have_ended(self):
        for family in self.job.families.values():
            assert family.status.is_terminal == all(image.status.is_terminal for image in family.images)
            assert (family.finished_at is not None) == family.status.is_terminal
            assert len({image.index for image in family.images}) == len(family.images)
            for image in family.images:
                assert bool(image.files) == (image.status is ImageStatus.PUBLISHED)
                assert (image.failure is not None) == (image.status is ImageStatus.FAILED)

    @invariant()
    def derived_fields_follow_from_the_families(self):
        all_families = self.job.families.values()
        in_flight = [family for family in all_families if family.status.is_in_flight]
        checks = [family.check_at for family in in_flight]
        checks += [recut.check_at for recut in recutting.under_way(self.job).values()]
        assert self.job.in_flight_families == len(in_flight)
        assert None not in checks
        if self.job.unmarked_revision is None:
            assert self.job.next_check_at == min((check for check in checks if check), default=None)
        else:
            assert self.job.next_check_at is not None, "a marker is owed, and nobody would look"
            assert self.job.next_check_at <= self.now
        waits = any(family.status is FamilyStatus.WAITING for family in all_families)
        assert (self.job.waiting_since is not None) == waits
        assert self.job.waiting_since is None or self.job.waiting_since <= self.now
        assert self.job.waiting_owner == (self.job.owner if waits else None)
        assert len(self.job.history) <= HISTORY_LIMIT
        assert all(family.requests_sent <= MAX_REQUESTS for family in all_families)

    @invariant()
    def a_request_is_never_twice_in_the_outbox(self):
        """It has one id however often it is asked for: marking one as sent would remove the other unsent."""
        waiting = [entry.id for entry in self.job.outbox]
        assert len(waiting) == len(set(waiting))

    @invariant()
    def names_point_to_published_pictures_of_a_revision_that_ended(self):
        for name, published in self.job.published.items():
            assert published.images
            assert published.revision < self.job.revision or self.job.status.is_terminal or self.run
            for image in published.images:
                revisions = [
                    file.key.removesuffix(".webp").partition("-r")[2].partition("-d")[0] for file in image.files
                ]
                assert set(revisions) == {str(published.revision)}
                assert all(file.key.partition("/")[2].startswith(name) for file in image.files)
                assert all(url_of(file.key).startswith(CDN) for file in image.files)

    @invariant()
    def names_point_to_the_good_images_of_a_job_that_ended(self):
        """Of a cancelled one too, where no older revision has the name."""
        if not self.job.status.is_terminal:
            return
        for name, family in self.job.families.items():
            good = tuple(good_images(family.images))
            published = self.job.published.get(name)
            if good and (self.job.status is not JobStatus.CANCELLED or not self.is_of_older(published)):
                assert published == PublishedFamily(revision=self.job.revision, images=good)

    @invariant()
    def names_point_to_the_newest_cutting_of_their_images(self):
        for name, published in self.job.published.items():
            if published.revision == self.job.revision:
                now = {image.index: image.files for image in self.job.families[name].images}
                assert all(image.files == now[image.index] for image in published.images)

    @invariant()
    def a_cutting_again_is_about_published_images_and_is_over_or_looked_after(self):
        for family in self.job.families.values():
            assert family.recut is None or family.derivation > 0
            if family.recut is None:
                continue
            assert {each.index for each in family.recut.images} <= {image.index for image in good_images(family.images)}
            assert family.recut.is_under_way == (family.recut.check_at is not None)
            assert family.recut.is_under_way or family.recut.failure is not None
            assert family.recut.requests_sent <= MAX_REQUESTS
            assert not (family.recut.is_under_way and self.job.status is JobStatus.CANCELLED)

    @invariant()
    def a_family_that_ended_with_pictures_is_cut_as_was_said_last(self):
        """The newest derivation was asked for of every published image, or the family is still at work."""
        for family in self.job.families.values():
            if family.recut and family.status.is_terminal and family.status is not FamilyStatus.CANCELLED:
                assert [each.index for each in family.recut.images] == [
                    image.index for image in good_images(family.images)
                ]

    def is_of_older(self, published: PublishedFamily | None) -> bool:
        return published is not None and published.revision < self.job.revision

    @invariant()
    def a_cancelled_revision_takes_no_name_away_from_an_older_one(self):
        if self.job.status is JobStatus.CANCELLED:
            now = {name: published.revision for name, published in self.job.published.items()}
            then = {name: published.revision for name, published in self.cancelled_over.items()}
            assert now | then == now

    def teardown(self):
        """Left alone, every job ends: what waits is admitted and sent, what is silent is given up."""
        for name in self.job.families:
            self.follow(saga.admit(self.job, name, self.now))
        rounds = 0
        while self.job.next_check_at is not None:
            rounds += 1
            assert rounds <= (MAX_REQUESTS + 2) * len(NAMES) * 3 + 1, "the checks do not come to an end"
            self.relay(len(self.job.outbox))
            if self.job.unmarked_revision is not None:
                self.mark()
                continue
            self.now = max(self.now, self.job.next_check_at)
            self.check()
        assert self.job.status.is_terminal
        self.the_sequence_is_dense()
        self.each_revision_starts_once_and_before_everything_else()
        self.each_run_of_a_revision_ends_once_and_then_is_silent()
        self.nothing_is_told_of_a_cancelled_revision_after_its_end()


def is_owed(family: Family, image: Image) -> bool:
    return family.recut is not None and any(each.is_owed and each.index == image.index for each in family.recut.images)


def _entry(emission: Emission) -> OutboxEntry:
    message = emission.message
    identity = message.message_id() if emission.sequence is None else f"#{emission.sequence}"
    body = message.model_dump_json() if isinstance(message, FamilyRequested) else ""
    return OutboxEntry(id=identity, exchange="", routing_key="", body=body)


TestSaga = Saga.TestCase
TestSaga.settings = settings(
    max_examples=int(os.environ.get("IMAGETRON_TEST_EXAMPLES", "200")),
    stateful_step_count=int(os.environ.get("IMAGETRON_TEST_STEPS", "50")),
    deadline=None,
)
