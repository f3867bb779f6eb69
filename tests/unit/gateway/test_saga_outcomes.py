"""What a job tells from admission to its end, event by event. Disorder, repetition and loss are tested beside this."""

import pytest

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.stages import FamilyMessage
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import FamilyStatus, JobStatus
from support.builders import (
    CDN,
    JOB_ID,
    NOW,
    a_family,
    a_family_started,
    a_job,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    picture_names,
    public_key,
    renders_generated,
    stage_failed,
)
from unit.gateway.playing import Play, on_the_wire, statuses


def urls(family: str, revision: int = 1) -> dict[str, str]:
    return {name: f"{CDN}/{public_key(JOB_ID, family, name, 0, revision)}" for name in picture_names(family)}


def without(family: str, pictures: dict[str, str]) -> dict[str, str]:
    return {name: url for name, url in pictures.items() if name != family}


def whole_way(family: str) -> tuple[FamilyMessage, ...]:
    return (
        a_family_started(family=family),
        renders_generated(family=family),
        derivatives_rendered(family=family),
        family_published(family=family),
    )


def test_a_new_job_waits_and_has_told_nothing():
    job = a_job("square", "landscape")

    assert (job.status, job.sequence, job.outbox) == (JobStatus.QUEUED, 0, ())
    assert statuses(job) == {"square": "waiting", "landscape": "waiting"}
    assert (job.waiting_since, job.in_flight_families, job.next_check_at) == (NOW, 0, None)
    assert [line.what for line in job.history] == ["created"]


def test_the_first_admitted_family_starts_the_variation_and_asks_for_its_images():
    play = Play(a_job("square", "landscape")).admit("square")

    assert play.event("VARIATION_STARTED") == {
        "variationId": JOB_ID,
        "revision": 1,
        "name": "hero-sunset-beach",
        "familyCount": 2,
    }
    (request,) = play.requests
    assert on_the_wire(request) == {
        "jobId": JOB_ID,
        "revision": 1,
        "family": "square",
        "attempt": 1,
        "lane": "interactive",
        "specKey": f"jobs/{JOB_ID}/1/spec.json",
        "imageIndexes": [0],
        "budgetSeconds": 100.0,
    }
    assert play.job.status is JobStatus.QUEUED
    assert play.job.in_flight_families == 1


def test_a_job_keeps_its_place_in_the_line_until_its_last_family_is_admitted():
    play = Play(a_job("square", "landscape")).later(30)

    assert play.admit("square").job.waiting_since == NOW
    assert play.admit("landscape").job.waiting_since is None


def test_a_variation_starts_once_even_when_its_families_are_admitted_one_by_one():
    play = Play(a_job("square", "landscape", "hero")).admit("square").later(60)
    play.hear(*whole_way("square")).later(60).admit("landscape").later(60).admit("hero")

    assert play.event_types == ["VARIATION_STARTED", "FAMILY_COMPLETED"]
    assert [request.family for request in play.requests] == ["square", "landscape", "hero"]
    assert play.job.waiting_since is None


def test_a_family_is_admitted_only_while_it_waits():
    job = an_admitted_job()
    ended = Play(job).hear(family_published()).job

    assert saga.admit(job, "square", NOW) is None
    assert saga.admit(ended, "square", NOW) is None


def test_each_message_of_the_workers_moves_the_family_on():
    play = Play(an_admitted_job())
    seen = [statuses(play.hear(message).job)["square"] for message in whole_way("square")]

    assert seen == ["generating", "deriving", "publishing", "completed"]


def test_the_job_runs_from_the_first_sign_of_work():
    play = Play(an_admitted_job("square", "landscape")).later(9).hear(a_family_started())

    assert play.job.status is JobStatus.RUNNING
    assert play.job.started_at == play.now
    assert play.events == []


def test_a_job_whose_families_all_succeed_is_completed():
    play = Play(a_job("square", "landscape")).admit()
    play.hear(*whole_way("square")).later(5).hear(*whole_way("landscape"))

    assert play.job.status is JobStatus.COMPLETED
    assert (play.job.error, play.job.finished_at, play.job.next_check_at) == (None, play.now, None)
    assert play.event_types == ["VARIATION_STARTED", "FAMILY_COMPLETED", "FAMILY_COMPLETED", "VARIATION_COMPLETED"]
    assert play.sequences == [1, 2, 3, 4]
    assert play.job.sequence == 4
    assert play.event("VARIATION_COMPLETED") == {
        "variationId": JOB_ID,
        "revision": 1,
        "name": "hero-sunset-beach",
        "category": "marketing/seo",
        "publicUrls": {"square": urls("square"), "landscape": urls("landscape")},
    }


def test_a_completed_family_tells_its_master_and_its_derivatives():
    play = Play(an_admitted_job()).hear(*whole_way("square"))
    square = urls("square")

    assert play.event("FAMILY_COMPLETED") == {
        "variationId": JOB_ID,
        "revision": 1,
        "familyName": "square",
        "publicUrl": square["square"],
        "derivatives": without("square", square),
        "images": [{"index": 0, "url": square["square"], "derivatives": without("square", square)}],
    }


def test_a_job_of_which_some_families_fail_is_partial():
    play = Play(an_admitted_job("square", "landscape"))
    play.hear(*whole_way("square"), stage_failed(family="landscape", message="no memory"))

    assert play.job.status is JobStatus.PARTIAL
    assert play.job.error == "landscape: no memory"
    assert play.event_types == ["FAMILY_COMPLETED", "FAMILY_FAILED", "VARIATION_PARTIAL"]
    assert play.event("VARIATION_PARTIAL") == {
        "variationId": JOB_ID,
        "revision": 1,
        "partialUrls": {"square": urls("square")},
        "errors": {"landscape": "no memory"},
    }


def test_a_job_of_which_every_family_fails_has_failed():
    play = Play(an_admitted_job("square", "landscape"))
    play.hear(stage_failed(message="no memory"), stage_failed(family="landscape", message="no disk"))

    assert play.job.status is JobStatus.FAILED
    assert play.job.published == {}
    assert play.event_types == ["FAMILY_FAILED", "FAMILY_FAILED", "VARIATION_FAILED"]
    assert play.event("VARIATION_FAILED") == {
        "variationId": JOB_ID,
        "revision": 1,
        "errorMessage": "square: no memory; landscape: no disk",
        "errors": {"square": "no memory", "landscape": "no disk"},
    }


@pytest.mark.parametrize(
    ("code", "is_retryable"), [(FailureCode.OUT_OF_MEMORY, True), (FailureCode.CONTENT_FILTERED, False)]
)
@pytest.mark.parametrize("stage", Stage)
def test_a_failed_family_tells_where_why_and_whether_asking_again_can_help(stage, code, is_retryable):
    play = Play(an_admitted_job("square", "landscape")).hear(stage_failed(stage=stage, code=code, message="why"))

    assert play.event("FAMILY_FAILED") == {
        "variationId": JOB_ID,
        "revision": 1,
        "familyName": "square",
        "stage": stage.value,
        "code": code.value,
        "message": "why",
        "retryable": is_retryable,
    }
    failure = play.job.families["square"].failure
    assert failure is not None
    assert failure.support_id == "support-1"


def test_what_makes_the_picture_repeatable_and_what_it_took_are_recorded():
    play = Play(an_admitted_job("square", "landscape")).hear(*whole_way("square"))
    square = play.job.families["square"]

    assert (square.images[0].digest, square.images[0].seed, square.fingerprint) == ("render-0", 7, "preview-1")
    assert (square.model_seconds, square.encode_seconds) == (2.5, 1.5)
    assert (square.started_at, square.finished_at, square.check_at) == (NOW, NOW, None)


def test_the_window_counts_what_is_in_the_broker_and_the_next_check_is_the_earliest():
    quick, slow = a_family("square", budget_seconds=10), a_family("landscape", budget_seconds=50)
    play = Play(an_admitted_job(quick, slow))

    assert play.job.in_flight_families == 2
    assert play.job.next_check_at == play.job.families["square"].check_at
    play.hear(*whole_way("square"))
    assert play.job.in_flight_families == 1
    assert play.job.next_check_at == play.job.families["landscape"].check_at
    play.hear(*whole_way("landscape"))
    assert (play.job.in_flight_families, play.job.next_check_at) == (0, None)


def test_the_history_tells_the_jobs_way_and_keeps_its_newest_hundred_lines():
    play = Play(an_admitted_job()).hear(*whole_way("square"))
    assert [(line.what, line.family) for line in play.job.history] == [
        ("created", None),
        ("admitted", "square"),
        ("family_completed", "square"),
        ("completed", None),
    ]

    for _ in range(40):
        play.regenerate().admit()
        play.hear(family_published(play.job))

    assert len(play.job.history) == 100
    assert (play.job.history[-1].what, play.job.history[-1].at) == ("completed", play.now)


def test_a_family_that_nobody_was_asked_for_yet_has_no_results():
    job = a_job("square", "landscape")

    for message in whole_way("square"):
        assert saga.apply(job, message, NOW, lambda key: key) is None
    assert job.families["square"].status is FamilyStatus.WAITING
