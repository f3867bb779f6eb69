"""A family that begins again and again, and never gets anywhere, ends all the same."""

from datetime import timedelta

from imagetron_contracts.failures import FailureCode
from imagetron_gateway.domain.job import JobStatus
from imagetron_gateway.domain.saga import STARTS_COUNT_FOR
from support.builders import a_family_started, an_admitted_job
from unit.gateway.playing import Play

EVERY_SECONDS = 10.0


def test_starting_again_for_ever_does_not_put_off_the_end_for_ever():
    play = Play(an_admitted_job())
    while not play.job.status.is_terminal and play.now < play.job.created_at + timedelta(hours=6):
        play.hear(a_family_started(at=play.now)).later(EVERY_SECONDS)
        play.tick()

    assert play.job.status is JobStatus.FAILED
    assert play.event("FAMILY_FAILED")["code"] == FailureCode.WORK_LOST.value


def test_the_first_start_gives_the_work_its_time_however_long_it_waited_for_it():
    play = Play(an_admitted_job()).later(2 * STARTS_COUNT_FOR.total_seconds())
    play.hear(a_family_started(at=play.now))

    check_at = play.job.families["square"].check_at
    assert check_at is not None
    assert check_at > play.now + timedelta(seconds=play.job.families["square"].budget_seconds)
