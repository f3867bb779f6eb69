"""What people ask of a job: cancel ends it for good, retry makes again only what failed."""

import pytest

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import JobCancelled
from imagetron_gateway.domain import commands, saga
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import FamilyStatus, ImageStatus, JobStatus
from support.builders import (
    JOB_ID,
    a_family,
    a_family_started,
    a_job,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)
from unit.gateway.playing import Play, indexes_asked_for, statuses


def partly_failed() -> Play:
    """A job of two families: square has one good image and one bad, landscape has none."""
    play = Play(a_job(a_family("square", images=2), a_family("landscape"))).admit()
    play.hear(family_published(indexes=(0,)), stage_failed(indexes=(1,)), stage_failed(family="landscape"))
    assert play.job.status is JobStatus.PARTIAL
    return play.forget()


def hints(play: Play) -> list[JobCancelled]:
    return [each.message for each in play.emissions if isinstance(each.message, JobCancelled)]


def test_a_waiting_job_is_cancelled_at_once_and_no_worker_has_to_hear_of_it():
    play = Play(a_job("square", "landscape")).cancel()

    assert play.job.status is JobStatus.CANCELLED
    assert set(statuses(play.job).values()) == {"cancelled"}
    assert play.event_types == ["VARIATION_CANCELLED"]
    assert (hints(play), play.job.unmarked_revision) == ([], None)
    assert (play.job.next_check_at, play.job.waiting_since, play.job.in_flight_families) == (None, None, 0)


def test_a_running_job_is_cancelled_with_a_hint_for_the_workers_and_a_marker_that_is_owed():
    play = Play(an_admitted_job()).hear(a_family_started()).cancel()

    assert [(hint.job_id, hint.revision) for hint in hints(play)] == [(JOB_ID, 1)]
    assert play.job.unmarked_revision == 1
    assert play.job.next_check_at == play.now, "the next check writes the marker if nobody has"
    marked = commands.marked(play.job, play.now).job
    assert (marked.unmarked_revision, marked.next_check_at) == (None, None)


def test_what_was_published_before_the_cancellation_stays_readable_and_is_told():
    play = Play(an_admitted_job("square", "landscape")).hear(family_published()).cancel()

    assert statuses(play.job) == {"square": "completed", "landscape": "cancelled"}
    assert play.event("VARIATION_CANCELLED")["partialUrls"].keys() == {"square"}
    assert play.job.published.keys() == {"square"}


def test_a_cancelled_revision_takes_no_name_from_the_one_before():
    play = Play(an_admitted_job()).hear(family_published()).regenerate().admit()
    play.hear(family_published(play.job, indexes=())).cancel()

    assert play.job.published["square"].revision == 1


@pytest.mark.parametrize(
    "late",
    [
        a_family_started(),
        renders_generated(),
        derivatives_rendered(),
        family_published(),
        stage_failed(),
    ],
)
def test_what_workers_say_after_the_cancellation_changes_nothing(late):
    play = Play(an_admitted_job()).cancel()

    assert saga.apply(play.job, late, play.now, url_of) is None
    assert saga.admit(play.job, "square", play.now) is None
    assert saga.tick(play.job.model_copy(update={"unmarked_revision": None}), play.now, url_of) is None


def test_open_images_of_a_cancelled_job_say_why_they_have_no_picture():
    play = Play(an_admitted_job(a_family("square", images=2))).hear(family_published(indexes=(0,))).cancel()

    good, cancelled = play.job.families["square"].images
    assert good.status is ImageStatus.PUBLISHED
    assert cancelled.failure is not None
    assert (cancelled.status, cancelled.failure.code) == (ImageStatus.FAILED, FailureCode.CANCELLED)


@pytest.mark.parametrize("expected", [None, *JobStatus])
def test_a_job_that_has_ended_cannot_be_cancelled(expected):
    play = Play(an_admitted_job()).hear(family_published())

    with pytest.raises(NotAllowed, match="completed"):
        play.cancel(expected)


@pytest.mark.parametrize(
    ("job", "expected"),
    [(a_job(), JobStatus.RUNNING), (Play(an_admitted_job()).hear(a_family_started()).job, JobStatus.QUEUED)],
)
def test_a_job_with_another_status_than_expected_is_not_cancelled(job, expected):
    with pytest.raises(NotAllowed, match=f"not {expected.value}; nothing was changed"):
        Play(job).cancel(expected)


def test_a_cancelled_job_can_be_regenerated_and_the_marker_of_its_old_revision_is_still_owed():
    play = Play(an_admitted_job()).cancel().regenerate()

    assert (play.job.status, play.job.revision, play.job.unmarked_revision) == (JobStatus.QUEUED, 2, 1)
    assert play.job.next_check_at == play.now


def test_a_retry_asks_only_for_the_missing_images_of_failed_families_as_a_new_attempt():
    play = partly_failed().retry()
    assert play.job.status is JobStatus.QUEUED
    assert statuses(play.job) == {"square": "waiting", "landscape": "waiting"}

    play.admit()

    assert [(request.family, request.attempt) for request in play.requests] == [("square", 2), ("landscape", 2)]
    assert indexes_asked_for(play.requests) == [(1,), (0,)]
    assert play.event_types == [], "the revision has told its start before"


def test_a_retry_of_one_family_leaves_the_others_as_they_ended():
    play = partly_failed().retry("landscape").admit("landscape")
    play.hear(family_published(play.job, "landscape", attempt=2))

    assert statuses(play.job) == {"square": "partial", "landscape": "completed"}
    assert play.event_types == ["FAMILY_COMPLETED", "VARIATION_PARTIAL"]


def test_a_retry_that_succeeds_completes_the_job_with_the_old_good_images_and_the_new_ones():
    play = partly_failed()
    good = play.job.families["square"].images[0]
    play.retry().admit()
    play.hear(
        family_published(play.job, "square", indexes=(1,), attempt=2),
        family_published(play.job, "landscape", attempt=2),
    )

    assert play.job.status is JobStatus.COMPLETED
    assert play.job.error is None
    assert play.job.families["square"].images[0] == good
    assert play.event_types[-1] == "VARIATION_COMPLETED"
    assert play.job.published.keys() == {"square", "landscape"}


@pytest.mark.parametrize("late", [family_published(indexes=(1,)), stage_failed(indexes=(1,)), a_family_started()])
def test_results_of_the_attempt_before_the_retry_are_ignored(late):
    play = partly_failed().retry().admit()

    assert saga.apply(play.job, late, play.now, url_of) is None


def test_a_failed_family_can_be_retried_while_others_still_run():
    play = Play(an_admitted_job("square", "landscape")).hear(stage_failed()).retry("square")

    assert play.job.status is JobStatus.RUNNING
    assert statuses(play.job) == {"square": "waiting", "landscape": "admitted"}


def test_a_retried_family_has_all_its_requests_and_its_time_again():
    play = partly_failed().retry().admit()
    family = play.job.families["landscape"]

    assert (family.requests_sent, family.started_at, family.failure) == (1, None, None)
    assert family.admitted_at == play.now


@pytest.mark.parametrize(
    ("play", "families", "said"),
    [
        (Play(an_admitted_job()).hear(family_published()), (), "none of its families failed"),
        (Play(a_job()), (), "the job is queued, and none of its families failed"),
        (Play(a_job()).cancel(), (), "was cancelled; it can be regenerated"),
        (partly_failed(), ("hero",), "these families did not fail: hero; those that did: square, landscape"),
    ],
)
def test_where_nothing_failed_nothing_is_retried(play, families, said):
    with pytest.raises(NotAllowed, match=said):
        play.retry(*families)


def test_a_reseeded_job_has_other_seeds_and_says_so():
    play = Play(an_admitted_job(a_family("square", images=2))).hear(family_published(indexes=(0, 1)))
    reseeded = commands.regenerate(play.job, play.now, seed=1000).job

    assert [image.seed for image in reseeded.families["square"].images] == [1000, 1001]
    assert reseeded.parameters.seed == 1000
    assert (reseeded.revision, reseeded.history[-1].what) == (2, "reseeded")


def test_every_request_leaves_a_line_in_the_history():
    play = partly_failed().retry()
    assert [(line.what, line.family) for line in play.job.history[-2:]] == [
        ("retried", "square"),
        ("retried", "landscape"),
    ]
    assert play.cancel().job.history[-1].what == "cancelled"


def test_an_image_that_is_asked_for_again_begins_blank():
    play = Play(an_admitted_job()).hear(renders_generated(), stage_failed()).retry()
    image = play.job.families["square"].images[0]

    assert (image.status, image.digest, image.failure) == (ImageStatus.WAITING, None, None)
    assert play.job.families["square"].status is FamilyStatus.WAITING
