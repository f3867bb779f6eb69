"""The net under lost messages: overdue work is asked for again, a bounded number of times, and then fails with a reason."""

from datetime import timedelta

import pytest

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.job import FamilyStatus, JobStatus, OutboxEntry
from support.builders import (
    JOB_ID,
    NOW,
    a_family,
    a_family_started,
    a_job,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
)
from unit.gateway.playing import Play, indexes_asked_for, seconds_until

BUDGET = 100.0
ASKED = saga.MAX_REQUESTS[Lane.INTERACTIVE]


def waited(play: Play) -> float:
    """Lets the time run to the next check; says how long that took."""
    seconds = seconds_until(play.job.next_check_at, play.now)
    play.later(seconds)
    return seconds


def asked_until_it_failed(play: Play) -> list[float]:
    waits = []
    while not play.job.status.is_terminal:
        waits.append(waited(play))
        assert play.tick()
    return waits


def test_work_that_answers_nothing_is_asked_for_again_when_its_time_is_up_and_not_before():
    play = Play(an_admitted_job()).later(30 + BUDGET - 0.001)
    assert not play.tick()

    play.later(0.001)
    assert play.tick()
    assert indexes_asked_for(play.requests) == [(0,)]
    assert play.job.families["square"].requests_sent == 2
    assert play.job.history[-1].what == "asked_again"


def test_asking_again_repeats_the_message_under_the_same_id():
    play = Play(a_job()).admit()
    waited(play)
    play.tick()

    assert play.requests[0] == play.requests[1]
    assert play.requests[0].message_id() == play.requests[1].message_id()


def test_the_time_between_two_requests_doubles_and_the_last_silence_ends_in_work_lost():
    play = Play(an_admitted_job())
    waits = asked_until_it_failed(play)

    assert waits == [30 * 2**sent + BUDGET for sent in range(ASKED)]
    assert len(play.requests) == ASKED - 1
    assert play.event_types == ["FAMILY_FAILED", "VARIATION_FAILED"]
    failed = play.event("FAMILY_FAILED")
    assert (failed["code"], failed["stage"], failed["retryable"]) == ("work_lost", "generating", True)
    assert failed["message"] == f"no answer after asking {ASKED} times; please quote {JOB_ID}"
    failure = play.job.families["square"].failure
    assert failure is not None
    assert failure.support_id == JOB_ID
    assert (play.job.status, play.job.next_check_at) == (JobStatus.FAILED, None)


def test_who_waits_hears_of_an_outage_of_all_workers_after_half_an_hour_and_batch_work_outlasts_a_night():
    assert 1800 < sum(asked_until_it_failed(Play(an_admitted_job()))) < 3600
    assert 12 * 3600 < sum(asked_until_it_failed(Play(an_admitted_job(lane=Lane.BATCH)))) < 24 * 3600


def test_an_outage_of_the_broker_spends_no_request():
    """What is still in the outbox nobody has heard: asking again says nothing new."""
    play = Play(a_job()).admit()
    request = play.requests[0]
    unsent = OutboxEntry(id=request.message_id(), exchange="imagetron.stages", routing_key="", body="")
    play.job = play.job.model_copy(update={"outbox": (unsent,)})
    play.forget()

    for _ in range(1000):
        waited(play)
        assert play.tick()
    assert (play.requests, play.job.families["square"].requests_sent) == ([], 1)
    play.job = play.job.model_copy(update={"outbox": ()})
    waited(play)
    play.tick()
    assert play.requests == [request]


def test_nothing_is_asked_after_the_end():
    play = Play(an_admitted_job())
    asked_until_it_failed(play)

    assert not play.later(10**6).tick()


def test_work_that_has_begun_gets_its_budget_from_then_on():
    play = Play(an_admitted_job()).later(150).hear(a_family_started(at=NOW + timedelta(seconds=150)))

    assert seconds_until(play.job.next_check_at, play.now) == BUDGET + 45


def test_a_start_that_was_heard_of_gives_no_new_time():
    play = Play(an_admitted_job()).hear(a_family_started())
    first = play.job.next_check_at
    play.later(100).hear(a_family_started())

    assert play.job.next_check_at == first


def test_work_that_began_anew_gets_its_budget_again():
    play = Play(an_admitted_job()).hear(a_family_started()).later(100)
    play.hear(a_family_started(at=play.now))

    assert seconds_until(play.job.next_check_at, play.now) == BUDGET + 45


@pytest.mark.parametrize("heard", [(renders_generated(),), (renders_generated(), derivatives_rendered())])
def test_what_the_model_has_done_is_looked_after_within_seconds_not_minutes(heard):
    play = Play(an_admitted_job()).hear(a_family_started(), *heard)

    assert seconds_until(play.job.next_check_at, play.now) == 45


def test_images_that_the_model_still_owes_keep_their_time():
    play = Play(an_admitted_job(a_family("square", images=2))).hear(a_family_started(indexes=(0, 1)))
    play.hear(renders_generated(indexes=(0,)))

    assert seconds_until(play.job.next_check_at, play.now) == BUDGET + 45


def test_facts_that_were_heard_before_put_nothing_off():
    play = Play(an_admitted_job()).hear(a_family_started(), renders_generated()).later(30)
    play.hear(renders_generated(), a_family_started())

    assert seconds_until(play.job.next_check_at, play.now) == 15


def test_only_open_images_are_asked_for_again():
    play = Play(an_admitted_job(a_family("square", images=4)))
    play.hear(family_published(indexes=(1,)), stage_failed(indexes=(3,)), renders_generated(indexes=(0,)))
    waited(play)
    play.tick()

    assert indexes_asked_for(play.requests) == [(0, 2)]
    assert play.requests[0].budget_seconds == BUDGET / 2


def test_only_overdue_families_are_asked_for_again():
    quick, slow = a_family("square", budget_seconds=10), a_family("landscape", budget_seconds=50)
    play = Play(an_admitted_job(quick, slow))
    waited(play)
    play.tick()

    assert [request.family for request in play.requests] == ["square"]
    assert play.job.next_check_at == play.job.families["landscape"].check_at


def test_a_family_that_waits_for_admission_is_never_overdue():
    play = Play(a_job()).later(10**6)

    assert not play.tick()


@pytest.mark.parametrize(
    ("heard", "stage"),
    [
        ((), "generating"),
        ((a_family_started(),), "generating"),
        ((renders_generated(),), "deriving"),
        ((renders_generated(), derivatives_rendered()), "publishing"),
    ],
)
def test_lost_work_names_the_stage_that_it_was_last_seen_in(heard, stage):
    play = Play(an_admitted_job()).hear(*heard)
    asked_until_it_failed(play)

    assert play.event("FAMILY_FAILED")["stage"] == stage


def test_images_that_were_published_survive_the_loss_of_the_others():
    play = Play(an_admitted_job(a_family("square", images=2))).hear(family_published(indexes=(0,)))
    asked_until_it_failed(play)

    assert play.job.families["square"].status is FamilyStatus.PARTIAL
    assert play.event_types == ["FAMILY_COMPLETED", "VARIATION_PARTIAL"]
    assert [image.failure.code if image.failure else None for image in play.job.families["square"].images] == [
        None,
        FailureCode.WORK_LOST,
    ]


def test_two_families_lost_at_once_end_the_job_once():
    play = Play(an_admitted_job("square", "landscape"))
    asked_until_it_failed(play)

    assert play.event_types == ["FAMILY_FAILED", "FAMILY_FAILED", "VARIATION_FAILED"]
    assert play.sequences == [2, 3, 4]


@pytest.mark.parametrize(("budget", "messages"), [(300.0, [(0, 1, 2)]), (300.1, [(0,), (1,), (2,)])])
def test_a_family_that_would_be_held_too_long_is_asked_for_image_by_image(budget, messages):
    play = Play(a_job(a_family("square", images=3, budget_seconds=budget))).admit()

    assert indexes_asked_for(play.requests) == messages
    assert len({request.message_id() for request in play.requests}) == len(messages)
    assert sum(request.budget_seconds for request in play.requests) == pytest.approx(budget)
    assert play.job.families["square"].requests_sent == 1
