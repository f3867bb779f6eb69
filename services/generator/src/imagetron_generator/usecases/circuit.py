"""The circuit to the model's server, one for the process: what opens and closes it is the chassis' breaker; here it acts."""

from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.breaker import DEFAULT_RULES, Breaker, BreakerRules, BreakerState
from imagetron_chassis.logs import log
from imagetron_generator.ports import ModelPaused, Timer

DEPENDENCY: Final = "model"
_FIGURES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
# What is sent back waits in the broker no longer than this before any process may take it.
_COME_BACK_SECONDS: Final = 5.0


class Circuit:
    """`opened` and `closed` are called on each change; both must return at once."""

    def __init__(
        self,
        timer: Timer,
        *,
        chance: Callable[[], float],
        opened: Callable[[], None],
        closed: Callable[[], None],
        rules: BreakerRules = DEFAULT_RULES,
    ) -> None:
        self._timer = timer
        self._chance = chance
        self._opened = opened
        self._closed = closed
        self._breaker = Breaker(rules)
        self._blamed: str | None = None
        self._state = metrics.get_meter(__name__).create_gauge(*semconv.BREAKER_STATE)
        self._tell()

    @property
    def is_closed(self) -> bool:
        return self._breaker.state is BreakerState.CLOSED

    def canary_of(self, watched: Sequence[str]) -> str:
        """Whom to ask: first the model whose call opened it, then each of the watched in turn.

        One that is gone for good must not keep the others closed off for ever.
        """
        candidates = tuple(dict.fromkeys((self._blamed, *watched) if self._blamed else watched))
        return candidates[(self._breaker.openings - 1) % len(candidates)]

    def check(self) -> None:
        """Raise ModelPaused unless it is closed."""
        if not self.is_closed:
            raise ModelPaused(
                "the model's server has failed too often: calls are paused until it answers again",
                retry_after_seconds=_COME_BACK_SECONDS,
            )

    def call_ended(self, *, model: str, has_failed: bool) -> None:
        after = self._breaker.after_call(has_failed=has_failed, now=self._timer(), chance=self._chance())
        if after.state is not self._breaker.state:
            self._blamed = model
        self._become(after)

    def canary_may_go(self) -> bool:
        """Whether the one canary of an open circuit is due; the caller sends it, and tells `canary_ended`."""
        self._become(self._breaker.trying(self._timer()))
        return self._breaker.state is BreakerState.HALF_OPEN

    def canary_due_in(self) -> float:
        """Seconds until an open circuit wants its canary."""
        return max(0.0, self._breaker.try_at - self._timer())

    def canary_ended(self, *, has_failed: bool, began_at: float) -> None:
        self._become(
            self._breaker.after_canary(
                has_failed=has_failed, began_at=began_at, now=self._timer(), chance=self._chance()
            )
        )

    def _become(self, after: Breaker) -> None:
        before, self._breaker = self._breaker, after
        if after.state is before.state:
            return
        self._tell()
        match after.state:
            case BreakerState.OPEN:
                log().warning(
                    "circuit_opened",
                    model=self._blamed,
                    openings=after.openings,
                    canary_in_seconds=self.canary_due_in(),
                )
                if before.state is BreakerState.CLOSED:
                    self._opened()
            case BreakerState.HALF_OPEN:
                log().info("circuit_half_open", model=self._blamed)
            case _:
                log().info("circuit_closed")
                self._blamed = None
                self._closed()

    def _tell(self) -> None:
        self._state.set(_FIGURES[self._breaker.state], {semconv.DEPENDENCY: DEPENDENCY})
