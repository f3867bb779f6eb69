"""Messages come twice, late and in any order: the end is the same, and every event is told once."""

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import FamilyMessage, Progress
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import Job, JobStatus
from support.builders import (
    NOW,
    a_family,
    a_family_started,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)
from unit.gateway.playing import Play, on_the_wire

FAMILIES = ("square", "landscape")
EXAMPLES = int(os.environ.get("IMAGETRON_TEST_EXAMPLES", "200"))


def whole_way(*families: str) -> list[FamilyMessage]:
    makers = (a_family_started, renders_generated, derivatives_rendered, family_published)
    return [make(family=family) for family in families for make in makers]


def some_fail(*families: str) -> list[FamilyMessage]:
    return [*whole_way(families[0]), *(stage_failed(family=family) for family in families[1:])]


def with_bad_image(*families: str) -> list[FamilyMessage]:
    return [
        message
        for family in families
        for message in (
            a_family_started(family=family, indexes=(0, 1)),
            renders_generated(family=family, indexes=(1,), bad={0: FailureCode.CONTENT_FILTERED}),
            derivatives_rendered(family=family, indexes=(1,)),
            family_published(family=family, indexes=(1,)),
        )
    ]


def end_of(job: Job) -> dict[str, object]:
    """The state without what tells the way: history, and when and how long things ran."""
    way = {"history", "outbox", "version"}
    timing = {"started_at", "encode_seconds"}
    ended: dict[str, object] = job.model_dump(mode="json", exclude=way)
    ended["families"] = {
        name: family.model_dump(mode="json", by_alias=False, exclude=timing) for name, family in job.families.items()
    }
    return ended


def told(play: Play) -> list[dict[str, object]]:
    events = [{"type": event.TYPE, **on_the_wire(event)} for event in play.events]
    return sorted(events, key=lambda event: (str(event["type"]), str(event.get("familyName"))))


def orders(messages: list[FamilyMessage]) -> list[tuple[FamilyMessage, ...]]:
    """Every order of one family's messages against the other's: all permutations of four, all ways to merge two fours."""
    halves = [messages[: len(messages) // 2], messages[len(messages) // 2 :]]
    within = [
        (*first, *second) for first in itertools.permutations(halves[0]) for second in itertools.permutations(halves[1])
    ]
    between = []
    for places in itertools.combinations(range(len(messages)), len(halves[0])):
        first, second = iter(halves[0]), iter(halves[1])
        between.append(tuple(next(first) if at in places else next(second) for at in range(len(messages))))
    return [*within, *between]


@pytest.mark.parametrize(("script", "images"), [(whole_way, 1), (with_bad_image, 2)])
def test_any_order_of_the_messages_ends_in_the_same_state_with_the_same_events(script, images):
    job = an_admitted_job(*(a_family(name, images=images) for name in FAMILIES))
    messages = script(*FAMILIES)
    in_order = Play(job).hear(*messages)
    ended, events = end_of(in_order.job), told(in_order)
    assert in_order.job.status.is_terminal

    for order in orders(messages):
        play = Play(job).hear(*order)

        assert end_of(play.job) == ended, [message.TYPE for message in order]
        assert told(play) == events, [message.TYPE for message in order]
        assert play.sequences == list(range(2, len(events) + 2))


def test_every_permutation_of_a_job_of_which_one_family_fails_ends_alike():
    job = an_admitted_job(*FAMILIES)
    messages = some_fail(*FAMILIES)
    in_order = Play(job).hear(*messages)

    for order in itertools.permutations(messages):
        play = Play(job).hear(*order)

        assert end_of(play.job) == end_of(in_order.job)
        assert told(play) == told(in_order)


def test_every_permutation_with_a_repeated_message_ends_alike():
    job = an_admitted_job("square")
    messages = whole_way("square")
    in_order = Play(job).hear(*messages)

    for repeated in messages:
        for order in set(itertools.permutations([*range(4), messages.index(repeated)])):
            play = Play(job).hear(*(messages[at] for at in order))

            assert end_of(play.job) == end_of(in_order.job)
            assert told(play) == told(in_order)


@given(st.permutations([*with_bad_image(*FAMILIES), *with_bad_image(*FAMILIES)]))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_order_of_all_messages_twice_ends_alike(order):
    job = an_admitted_job(*(a_family(name, images=2) for name in FAMILIES))
    in_order = Play(job).hear(*with_bad_image(*FAMILIES))
    play = Play(job).hear(*order)

    assert end_of(play.job) == end_of(in_order.job)
    assert told(play) == told(in_order)


@pytest.mark.parametrize("script", [whole_way, some_fail])
def test_a_repeated_message_changes_nothing_and_tells_nothing(script):
    play = Play(an_admitted_job(*FAMILIES))

    for message in script(*FAMILIES):
        play.hear(message).later(1)

        assert saga.apply(play.job, message, play.now, url_of) is None


def test_all_messages_again_after_the_end_change_nothing():
    play = Play(an_admitted_job(*FAMILIES)).hear(*whole_way(*FAMILIES)).later(3600)

    for message in whole_way(*FAMILIES):
        assert saga.apply(play.job, message, play.now, url_of) is None


@pytest.mark.parametrize("behind", [{"revision": 1}, {"attempt": 1}, {"revision": 3}, {"attempt": 3}])
def test_messages_of_another_revision_or_attempt_are_ignored(behind):
    job = (
        Play(an_admitted_job(a_family("square", attempt=2))).hear(family_published(attempt=2)).regenerate().admit().job
    )
    job = job.model_copy(
        update={"families": {"square": job.families["square"].model_copy(update={"attempt": 2})}},
    )
    work = {"revision": 2, "attempt": 2} | behind

    for make in (a_family_started, renders_generated, derivatives_rendered, family_published, stage_failed):
        assert saga.apply(job, make(**work), NOW, url_of) is None


def test_messages_about_a_family_that_the_job_does_not_have_are_ignored():
    assert saga.apply(an_admitted_job("square"), family_published(family="hero"), NOW, url_of) is None


def test_a_message_that_is_no_result_is_ignored():
    message = Progress(job_id=an_admitted_job().id, revision=1, family="square", attempt=1, index=0, step=1, steps=9)

    assert saga.apply(an_admitted_job(), message, NOW, url_of) is None


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (family_published(), JobStatus.COMPLETED),
        (stage_failed(), JobStatus.FAILED),
    ],
)
def test_an_end_is_final(last, status):
    ended = Play(an_admitted_job()).hear(last).job
    contrary: list[FamilyMessage] = [*whole_way("square"), stage_failed(), stage_failed(code=FailureCode.INTERNAL)]

    play = Play(ended).later(60).hear(*contrary)

    assert play.events == []
    assert play.job.status is status
    assert play.job.families["square"].status is ended.families["square"].status
    assert play.job.sequence == ended.sequence
    assert not play.later(10**6).tick()


@pytest.mark.parametrize("last", [family_published(), stage_failed()])
def test_facts_of_a_render_that_come_after_the_end_are_kept_and_tell_nothing(last):
    play = Play(an_admitted_job()).hear(last).forget().hear(renders_generated(fingerprint="late"))
    square = play.job.families["square"]

    assert (square.images[0].digest, square.fingerprint, square.model_seconds) == ("render-0", "late", 2.5)
    assert play.emissions == []


def test_late_facts_are_kept_with_the_pictures_that_names_point_to():
    play = Play(an_admitted_job()).hear(family_published(), renders_generated())

    assert play.job.published["square"].images == play.job.families["square"].images


def test_the_first_digest_of_a_render_stays():
    play = Play(an_admitted_job()).hear(renders_generated(digest="first"), renders_generated(digest="second"))

    assert play.job.families["square"].images[0].digest == "first-0"
