"""A circuit breaker: when calls to a dependency are worth nothing, and when one may try again. Pure: no clock, no I/O.

closed ── half of ten calls fail, or it stays silent ──> open ── its time is over ──> half open ── canary fails ──> open
   ^                                                                                    │
   └───────────────────────────── the one canary succeeds ──────────────────────────────┘
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class BreakerState(StrEnum):
    """Calls pass while it is closed; one canary passes while it is half open."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When it opens and for how long."""

    window_seconds: float = 20.0
    least_calls: int = 10
    failing_share: float = 0.5
    silent_seconds: float = 10.0
    """A dependency with little traffic never fails ten calls in the window: a canary that gets no answer for so long
    speaks for the calls. Longer than a restart takes, so that a restart costs nobody a pause."""
    open_seconds: float = 10.0
    longest_open_seconds: float = 300.0


DEFAULT_RULES: Final = BreakerRules()


@dataclass(frozen=True, slots=True)
class _Call:
    ended_at: float
    has_failed: bool


@dataclass(frozen=True, slots=True)
class Breaker:
    """Every method gives the breaker after it. `chance` is from 0 to 1: it spreads the replicas' canaries.

    `now` is on any clock that never jumps.
    """

    rules: BreakerRules = DEFAULT_RULES
    state: BreakerState = BreakerState.CLOSED
    try_at: float = 0.0
    """When an open breaker may send its canary."""
    openings: int = 0
    """How often it opened since the last success; each time for twice as long."""
    silent_since: float | None = None
    calls: tuple[_Call, ...] = ()

    def after_call(self, *, has_failed: bool, now: float, chance: float) -> "Breaker":
        """A call has ended. One that was made before the breaker opened decides nothing any more: the canary does."""
        if self.state is not BreakerState.CLOSED:
            return self
        recent = tuple(call for call in self.calls if now - call.ended_at < self.rules.window_seconds)
        calls = (*recent, _Call(now, has_failed))
        failed = sum(call.has_failed for call in calls)
        if len(calls) >= self.rules.least_calls and failed >= self.rules.failing_share * len(calls):
            return self._opened(now, chance)
        return replace(self, calls=calls, silent_since=self.silent_since if has_failed else None)

    def after_canary(self, *, has_failed: bool, began_at: float, now: float, chance: float) -> "Breaker":
        """A canary has ended: it decides for a half-open breaker, and watches over a closed one."""
        match self.state:
            case BreakerState.OPEN:
                return self  # It was sent before the breaker opened.
            case BreakerState.HALF_OPEN if has_failed:
                return self._opened(now, chance)
            case BreakerState.CLOSED if has_failed:
                silent_since = began_at if self.silent_since is None else self.silent_since
                if now - silent_since >= self.rules.silent_seconds:
                    return self._opened(now, chance)
                return replace(self, silent_since=silent_since)
            case BreakerState.HALF_OPEN:
                return Breaker(self.rules)
            case _:
                return replace(self, silent_since=None)

    def trying(self, now: float) -> "Breaker":
        """Half open if it is open and its time is over: whoever makes it so sends the one canary."""
        is_due = self.state is BreakerState.OPEN and now >= self.try_at
        return replace(self, state=BreakerState.HALF_OPEN) if is_due else self

    def _opened(self, now: float, chance: float) -> "Breaker":
        longest = min(self.rules.longest_open_seconds, self.rules.open_seconds * _doubled(self.openings))
        # Between half of it and the whole: replicas that opened together do not try together.
        try_at = now + longest * (1 - chance / 2)
        return Breaker(self.rules, BreakerState.OPEN, try_at=try_at, openings=self.openings + 1)


def _doubled(times: int) -> int:
    """2 to the power of `times`, as far as it matters under any sensible longest time."""
    return 1 << min(times, 30)
