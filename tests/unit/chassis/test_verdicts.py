"""The decision table: every error class, every try, with and without somebody who waits."""

import pytest

from imagetron_chassis.errors import (
    ChassisError,
    Permanent,
    Poison,
    QuotaExceeded,
    RateLimited,
    ResourceExhausted,
    Retryable,
    Transient,
    UnknownOutcome,
)
from imagetron_chassis.verdicts import (
    IN_PLACE_PAUSES_SECONDS,
    RATE_LIMITED_FOR_SECONDS,
    DeadLetter,
    GiveUp,
    RetryLater,
    Verdict,
    decide,
    failure_code,
)
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.topology import RETRY_DELAYS_SECONDS


class BlobsUnavailable(Transient):
    """As an adapter declares it: its class decides the schedule, its code what the owner reads."""

    failure_code = FailureCode.STORAGE_UNAVAILABLE


class PromptRefused(Permanent):
    failure_code = FailureCode.CONTENT_FILTERED


def verdicts(error: BaseException, *, tries: int, somebody_waits: bool) -> list[Verdict]:
    return [decide(error, number, somebody_waits=somebody_waits) for number in range(1, tries + 1)]


def delays(*seconds: int) -> list[Verdict]:
    return [RetryLater(delay) for delay in seconds]


TELLS = [
    (Transient("refused"), delays(5, 5, 30, 30, 120), GiveUp(FailureCode.STORAGE_UNAVAILABLE)),
    (UnknownOutcome("late"), delays(5, 30), GiveUp(FailureCode.STORAGE_UNAVAILABLE)),
    (ResourceExhausted("too big"), delays(5), GiveUp(FailureCode.OUT_OF_MEMORY)),
    (QuotaExceeded("spent"), [], GiveUp(FailureCode.QUOTA_EXCEEDED)),
    (Permanent("no"), [], GiveUp(FailureCode.INTERNAL)),
    (Poison("unreadable"), [], DeadLetter()),
    (KeyError("a bug"), delays(5, 30), GiveUp(FailureCode.INTERNAL, keep_dead_letter=True)),
    (Retryable("of no class"), [], GiveUp(FailureCode.STORAGE_UNAVAILABLE)),
]


@pytest.mark.parametrize(("error", "retries", "end"), TELLS, ids=lambda value: type(value).__name__)
def test_a_message_whose_owner_waits_is_retried_by_its_class_and_then_the_owner_is_told(
    error: BaseException, retries: list[Verdict], end: Verdict
):
    assert verdicts(error, tries=len(retries) + 1, somebody_waits=True) == [*retries, end]


@pytest.mark.parametrize(("error", "retries", "end"), TELLS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("tries", [20, 1_000])
def test_the_end_stays_the_end_however_often_a_message_comes_back(
    error: BaseException, retries: list[Verdict], end: Verdict, tries: int
):
    assert decide(error, tries, somebody_waits=True) == end


@pytest.mark.parametrize(
    ("error", "retries"),
    [
        (Transient("refused"), delays(5, 5, 30, 30, 120)),
        (UnknownOutcome("late"), delays(5, 30)),
        (ResourceExhausted("too big"), delays(5)),
        (QuotaExceeded("spent"), []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_retryable_message_of_which_nobody_can_be_told_is_never_given_up(
    error: BaseException, retries: list[Verdict]
):
    assert verdicts(error, tries=len(retries) + 3, somebody_waits=False) == [*retries, *delays(600, 600, 600)]


@pytest.mark.parametrize("error", [Permanent("no"), Poison("unreadable")], ids=lambda value: type(value).__name__)
def test_a_hopeless_message_of_which_nobody_can_be_told_is_kept_for_an_operator_at_once(error: ChassisError):
    assert decide(error, 1, somebody_waits=False) == DeadLetter()


def test_a_bug_of_which_nobody_can_be_told_is_retried_and_then_kept_for_an_operator():
    assert verdicts(KeyError("a bug"), tries=3, somebody_waits=False) == [*delays(5, 30), DeadLetter()]


@pytest.mark.parametrize("somebody_waits", [True, False])
@pytest.mark.parametrize("tries", [1, 6, 500])
def test_a_rate_limit_spends_time_and_never_a_try(tries: int, somebody_waits: bool):
    verdict = decide(RateLimited("slow down"), tries, somebody_waits=somebody_waits)

    assert verdict == RetryLater(30, spends_a_try=False)


@pytest.mark.parametrize(
    ("asked_seconds", "waits_seconds"),
    [(None, 30), (0.5, 5), (5, 5), (5.1, 30), (30, 30), (31, 120), (120, 120), (121, 600), (86_400, 600)],
)
def test_a_rate_limit_waits_at_least_as_long_as_it_was_asked_to_and_at_most_the_longest_delay(
    asked_seconds: float | None, waits_seconds: int
):
    verdict = decide(RateLimited("slow down", retry_after_seconds=asked_seconds), 1, somebody_waits=True)

    assert verdict == RetryLater(waits_seconds, spends_a_try=False)


A_DAY = 24 * 3600


@pytest.mark.parametrize(
    ("age_seconds", "somebody_waits", "verdict"),
    [
        (0, True, RetryLater(30, spends_a_try=False)),
        (A_DAY, True, RetryLater(30, spends_a_try=False)),
        (A_DAY + 1, True, GiveUp(FailureCode.MODEL_UNAVAILABLE)),
        (A_DAY + 1, False, RetryLater(30, spends_a_try=False)),
        (-600, True, RetryLater(30, spends_a_try=False)),
    ],
)
def test_after_a_day_of_rate_limits_the_owner_is_told(age_seconds: float, somebody_waits: bool, verdict: Verdict):
    class QueueFull(RateLimited):
        failure_code = FailureCode.MODEL_UNAVAILABLE

    assert decide(QueueFull("full"), 1, somebody_waits=somebody_waits, age_seconds=age_seconds) == verdict


@pytest.mark.parametrize(("error", "retries", "end"), TELLS, ids=lambda value: type(value).__name__)
def test_age_alone_ends_no_message_that_has_tries_left(error: BaseException, retries: list[Verdict], end: Verdict):
    first = decide(error, 1, somebody_waits=True, age_seconds=RATE_LIMITED_FOR_SECONDS * 10)

    assert first == [*retries, end][0]


@pytest.mark.parametrize("error", [error for error, *_ in TELLS], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("tries", range(1, 8))
def test_every_delay_has_a_delay_queue(error: BaseException, tries: int):
    verdict = decide(error, tries, somebody_waits=False)

    assert not isinstance(verdict, RetryLater) or verdict.delay_seconds in RETRY_DELAYS_SECONDS


def test_an_adapters_error_is_retried_as_its_class_and_reported_with_its_own_code():
    assert decide(BlobsUnavailable("no answer"), 1, somebody_waits=True) == RetryLater(5)
    assert decide(BlobsUnavailable("no answer"), 6, somebody_waits=True) == GiveUp(FailureCode.STORAGE_UNAVAILABLE)
    assert decide(PromptRefused("no"), 1, somebody_waits=True) == GiveUp(FailureCode.CONTENT_FILTERED)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ResourceExhausted("too big"), FailureCode.OUT_OF_MEMORY),
        (QuotaExceeded("spent"), FailureCode.QUOTA_EXCEEDED),
        (Permanent("no"), FailureCode.INTERNAL),
        (PromptRefused("no"), FailureCode.CONTENT_FILTERED),
        (Transient("refused"), FailureCode.STORAGE_UNAVAILABLE),
        (UnknownOutcome("late"), FailureCode.STORAGE_UNAVAILABLE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_owner_reads_the_errors_own_code_or_else_that_of_its_class(error: ChassisError, code: FailureCode):
    assert failure_code(error) is code


def test_a_code_that_callers_do_not_know_is_not_shown_to_them():
    error = Permanent("no")
    error.failure_code = "the adapter's private word"  # type: ignore[attr-defined]

    assert failure_code(error) is FailureCode.INTERNAL


def test_trying_again_in_place_takes_two_tries_and_at_most_three_seconds():
    assert len(IN_PLACE_PAUSES_SECONDS) == 2
    assert sum(IN_PLACE_PAUSES_SECONDS) <= 3
