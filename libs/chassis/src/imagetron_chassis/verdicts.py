"""What becomes of a message whose handler failed: a pure decision over the error and the try, and its schedule as data.

This module decides; delivery.py acts.
"""

from dataclasses import dataclass
from typing import Final

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
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.topology import RETRY_DELAYS_SECONDS


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Send it again through the delay queue of this many seconds."""

    delay_seconds: int
    spends_a_try: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the owner with this code. A bug is kept as a dead letter besides, for whoever mends it."""

    code: FailureCode
    keep_dead_letter: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Nobody can be told: keep it for an operator."""


Verdict = RetryLater | GiveUp | DeadLetter

_5S, _30S, _2M, _10M = RETRY_DELAYS_SECONDS

# Transient six tries, unknown outcome three, a resource one more; each entry is the wait before a next try.
SCHEDULES: Final[dict[type[ChassisError], tuple[int, ...]]] = {
    Transient: (_5S, _5S, _30S, _30S, _2M),
    UnknownOutcome: (_5S, _30S),
    ResourceExhausted: (_5S,),
    QuotaExceeded: (),
}
# A bug may be a race that the next try does not meet.
BUG_SCHEDULE: Final = (_5S, _30S)
# Pauses before trying again at once, without giving the message back: most transient errors are over by then.
IN_PLACE_PAUSES_SECONDS: Final = (0.2, 1.0)

# Bulk work has a day: who still asks us to slow down after that would do so for ever.
RATE_LIMITED_FOR_SECONDS: Final = 24 * 3600.0

_CODES: Final[dict[type[ChassisError], FailureCode]] = {
    ResourceExhausted: FailureCode.OUT_OF_MEMORY,
    QuotaExceeded: FailureCode.QUOTA_EXCEEDED,
    Permanent: FailureCode.INTERNAL,
}


def decide(error: BaseException, tries: int, *, somebody_waits: bool, age_seconds: float = 0.0) -> Verdict:
    """What to do with a message after its `tries`-th try ended in `error`, `age_seconds` after it was first sent.

    `somebody_waits` is true where a failure fact can tell the job's owner. Where nobody can be told, a retryable
    message is never given up: the longest delay repeats, because dropping it would only hide the outage.
    """
    if isinstance(error, Poison):
        return DeadLetter()
    if isinstance(error, RateLimited):
        if age_seconds > RATE_LIMITED_FOR_SECONDS and somebody_waits:
            return GiveUp(failure_code(error))
        return RetryLater(_at_least(error.retry_after_seconds or _30S), spends_a_try=False)
    if isinstance(error, Retryable):
        schedule = _of(SCHEDULES, error)
        if tries <= len(schedule):
            return RetryLater(schedule[tries - 1])
        return GiveUp(failure_code(error)) if somebody_waits else RetryLater(_10M)
    if isinstance(error, Permanent):
        return GiveUp(failure_code(error)) if somebody_waits else DeadLetter()
    if tries <= len(BUG_SCHEDULE):
        return RetryLater(BUG_SCHEDULE[tries - 1])
    return GiveUp(FailureCode.INTERNAL, keep_dead_letter=True) if somebody_waits else DeadLetter()


def failure_code(error: ChassisError) -> FailureCode:
    """The word that the owner sees: the error's own `failure_code` if its adapter gave one, else its class's."""
    own = getattr(error, "failure_code", None)
    if isinstance(own, FailureCode):
        return own
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FailureCode.STORAGE_UNAVAILABLE)


def _of(table: dict[type[ChassisError], tuple[int, ...]], error: ChassisError) -> tuple[int, ...]:
    return next((schedule for kind, schedule in table.items() if isinstance(error, kind)), ())


def _at_least(seconds: float) -> int:
    return next((delay for delay in RETRY_DELAYS_SECONDS if delay >= seconds), _10M)
