import pytest

from imagetron_chassis.errors import Permanent, QuotaExceeded, RateLimited, Transient, UnknownOutcome
from imagetron_prompt.adapters.patience import HURRIED, PATIENT, Tries
from imagetron_prompt.ports import Declined, TooSlow, Unusable

BUDGET = 20.0


def pauses(patience, *errors, left=BUDGET):
    tries = Tries(patience, BUDGET)
    return [tries.pause_after(error, left) for error in errors]


@pytest.mark.parametrize("patience", [PATIENT, HURRIED])
@pytest.mark.parametrize(
    "error", [TooSlow("-"), UnknownOutcome("-"), QuotaExceeded("-"), Permanent("-"), Declined("-")]
)
def test_what_may_have_been_paid_for_and_what_no_try_mends_is_never_tried_again(patience, error):
    assert pauses(patience, error) == [None]


def test_a_passing_failure_is_tried_again_twice_after_growing_pauses():
    first, second, third = pauses(PATIENT, *[Transient("-")] * 3)

    assert first is not None
    assert second is not None
    assert 1 <= first <= 1.25
    assert 2 <= second <= 2.5
    assert third is None


def test_those_who_failed_together_come_back_apart():
    assert len({pauses(PATIENT, Transient("-"))[0] for _ in range(20)}) > 1


def test_an_unusable_answer_was_paid_for_and_is_not_asked_for_again():
    assert pauses(PATIENT, Unusable("-")) == [None]


def test_a_rate_limit_is_waited_out_as_long_as_the_server_says():
    assert pauses(PATIENT, RateLimited("-", retry_after_seconds=9)) == [9]


@pytest.mark.parametrize("said", [None, 0.0])
def test_a_rate_limit_without_a_pause_is_no_invitation_to_hurry(said):
    waited = pauses(PATIENT, *[RateLimited("-", retry_after_seconds=said)] * 5)

    assert all(pause is not None and pause >= 1 for pause in waited)


def test_a_pause_that_does_not_fit_the_rest_of_the_budget_is_not_begun():
    assert pauses(PATIENT, RateLimited("-", retry_after_seconds=16)) == [None]
    assert pauses(PATIENT, Transient("-"), left=5.5) == [None]


def test_a_person_who_waits_has_one_more_try_after_a_passing_failure_alone():
    first, second = pauses(HURRIED, Transient("-"), Transient("-"))

    assert first is not None
    assert first <= 0.25
    assert second is None
    assert pauses(HURRIED, Unusable("-"), RateLimited("-", retry_after_seconds=0.1)) == [None, None]


def test_a_person_who_waits_has_it_only_while_half_of_the_budget_is_left():
    assert pauses(HURRIED, Transient("-"), left=BUDGET / 2) == [None]
    assert pauses(HURRIED, Transient("-"), left=BUDGET / 2 + 0.3) != [None]
