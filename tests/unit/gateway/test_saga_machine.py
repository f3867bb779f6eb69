"""The saga under everything at once: random admission, messages in any order and number, time, regeneration.

Invariants: an end is absorbing, the sequence is dense, every event fits the document, derived fields never drift.
IMAGETRON_TEST_EXAMPLES and IMAGETRON_TEST_STEPS make it longer.
"""

import os
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.stages import FamilyMessage
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.decisions import Decision
from imagetron_gateway.domain.job import HISTORY_LIMIT, FamilyStatus, ImageStatus, Job, JobStatus
from imagetron_gateway.domain.saga import MAX_REQUESTS
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
_ORDER = list(ImageStatus)

families = st.sampled_from(NAMES)
indexes = st.sets(st.integers(0, MAX_IMAGES), max_size=MAX_IMAGES + 1)
seconds = st.integers(0, 4000)


class Saga(RuleBasedStateMachine):
    """One job; `heard` keeps every message, so that any of them may come again at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.heard: list[FamilyMessage] = []
        self.events: list[tuple[int, str, int, str | None]] = []

    @initialize(images=st.lists(st.integers(1, MAX_IMAGES), min_size=1, max_size=3), budget=st.sampled_from([10, 400]))
    def submit(self, images, budget):
        chosen = zip(NAMES, images, strict=False)
        self.job = a_job(*(a_family(name, images=count, budget_seconds=budget) for name, count in chosen))

    @rule(family=families)
    def admit(self, family):
        if family in self.job.families:
            self.follow(saga.admit(self.job, family, self.now))

    @rule(family=families, wanted=indexes, back=st.integers(0, 1), attempt=st.integers(1, 2))
    def start(self, family, wanted, back, attempt):
        work = {"family": family, "revision": max(1, self.job.revision - back), "attempt": attempt}
        self.hear(a_family_started(self.job, indexes=wanted, at=self.now, **work))

    @rule(
        make=st.sampled_from([renders_generated, derivatives_rendered, family_published]),
        family=families,
        good=indexes,
        bad=indexes,
        back=st.integers(0, 1),
    )
    def report(self, make, family, good, bad, back):
        failed = dict.fromkeys(bad - good, FailureCode.RENDER_UNREADABLE)
        revision = max(1, self.job.revision - back)
        self.hear(make(self.job, indexes=good, bad=failed, family=family, revision=revision))

    @rule(family=families, wanted=indexes, stage=st.sampled_from(Stage), code=st.sampled_from(FailureCode))
    def give_up(self, family, wanted, stage, code):
        self.hear(stage_failed(self.job, family=family, indexes=wanted, stage=stage, code=code))

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def hear_again(self, data):
        self.follow(saga.apply(self.job, data.draw(st.sampled_from(self.heard)), self.now, url_of))

    @rule(passed=seconds)
    def wait(self, passed):
        self.now += timedelta(seconds=passed)

    @rule()
    def check(self):
        due = self.job.next_check_at
        decision = saga.tick(self.job, self.now, url_of)
        assert (decision is not None) == (due is not None and due <= self.now)
        self.follow(decision)

    @precondition(lambda self: self.job.status.is_terminal)
    @rule()
    def regenerate(self):
        self.follow(saga.regenerate(self.job, self.now), is_explicit=True)

    def hear(self, message: FamilyMessage) -> None:
        self.heard.append(message)
        self.follow(saga.apply(self.job, message, self.now, url_of))
        assert saga.apply(self.job, message, self.now, url_of) is None, "the same message again must say nothing new"

    def follow(self, decision: Decision | None, *, is_explicit: bool = False) -> None:
        if decision is None:
            return
        before, self.job = self.job, decision.job
        if not is_explicit:
            self.nothing_went_back(before, self.job)
        for emission in decision.emissions:
            if emission.sequence is None:
                assert not before.status.is_terminal, "an ended job asks for work"
                continue
            assert not before.status.is_terminal or is_explicit, "an ended job tells something"
            family = getattr(emission.message, "family_name", None)
            self.events.append((emission.sequence, emission.message.TYPE, self.job.revision, family))

    @staticmethod
    def nothing_went_back(before: Job, after: Job) -> None:
        assert after.revision == before.revision
        if before.status.is_terminal:
            assert after.status is before.status
        for name, family in before.families.items():
            changed = after.families[name]
            if family.status.is_terminal:
                assert changed.status is family.status
            assert list(FamilyStatus).index(changed.status) >= list(FamilyStatus).index(family.status)
            for was, now in zip(family.images, changed.images, strict=True):
                assert _ORDER.index(now.status) >= _ORDER.index(was.status)
                if was.status.is_terminal:
                    assert (now.status, now.files, now.failure) == (was.status, was.files, was.failure)

    @invariant()
    def the_sequence_is_dense(self):
        assert [sequence for sequence, *_ in self.events] == list(range(1, self.job.sequence + 1))

    @invariant()
    def each_revision_starts_once_and_ends_once_and_each_family_ends_once(self):
        told = [(revision, kind, family) for _, kind, revision, family in self.events]
        assert len(told) == len(set(told))
        for revision in range(1, self.job.revision + 1):
            kinds = [kind for at, kind, _ in told if at == revision]
            ends = [kind for kind in kinds if kind.startswith("VARIATION_") and kind != "VARIATION_STARTED"]
            is_over = revision < self.job.revision or self.job.status.is_terminal
            assert kinds[:1] == ["VARIATION_STARTED"][: len(kinds)]
            assert len(ends) == is_over
            assert kinds[-1:] == ends[-1:] or not ends
            if is_over:
                assert len(kinds) == 2 + len(self.job.families)

    @invariant()
    def the_jobs_status_follows_from_its_families(self):
        ends = [family.status for family in self.job.families.values() if family.status.is_terminal]
        if len(ends) < len(self.job.families):
            assert not self.job.status.is_terminal
        elif set(ends) == {FamilyStatus.COMPLETED}:
            assert self.job.status is JobStatus.COMPLETED
        elif set(ends) == {FamilyStatus.FAILED}:
            assert self.job.status is JobStatus.FAILED
        else:
            assert self.job.status is JobStatus.PARTIAL

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
        assert self.job.in_flight_families == len(in_flight)
        assert None not in checks
        assert self.job.next_check_at == min((check for check in checks if check), default=None)
        waits = any(family.status is FamilyStatus.WAITING for family in all_families)
        assert (self.job.waiting_since is not None) == waits
        assert self.job.waiting_since is None or self.job.waiting_since <= self.now
        assert len(self.job.history) <= HISTORY_LIMIT
        assert all(family.requests_sent <= MAX_REQUESTS for family in all_families)

    @invariant()
    def names_point_to_published_pictures_of_a_revision_that_ended(self):
        for name, published in self.job.published.items():
            assert published.images
            assert published.revision < self.job.revision or self.job.status.is_terminal
            for image in published.images:
                assert all(file.key.endswith(f"-r{published.revision}.webp") for file in image.files)
                assert all(file.key.partition("/")[2].startswith(name) for file in image.files)
                assert all(url_of(file.key).startswith(CDN) for file in image.files)

    def teardown(self):
        """Left alone, every job ends: what waits is admitted, what is silent is given up."""
        for name in self.job.families:
            self.follow(saga.admit(self.job, name, self.now))
        rounds = 0
        while self.job.next_check_at is not None:
            rounds += 1
            assert rounds <= (MAX_REQUESTS + 1) * len(NAMES), "the checks do not come to an end"
            self.now = max(self.now, self.job.next_check_at)
            self.check()
        assert self.job.status.is_terminal
        self.the_sequence_is_dense()
        self.each_revision_starts_once_and_ends_once_and_each_family_ends_once()


TestSaga = Saga.TestCase
TestSaga.settings = settings(
    max_examples=int(os.environ.get("IMAGETRON_TEST_EXAMPLES", "200")),
    stateful_step_count=int(os.environ.get("IMAGETRON_TEST_STEPS", "50")),
    deadline=None,
)
