"""How an outside provider does, as far as the calls tell that are made anyway: asking it for the sake of asking costs money."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.breaker import Breaker, BreakerRules, BreakerState
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.ports import (
    Announce,
    ContentFiltered,
    ModelFailed,
    ModelPaused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderMisconfigured,
    ProviderQuotaSpent,
    Timer,
)

# A call takes up to minutes, so ten failures never fall into twenty seconds: five in five minutes are as telling.
RULES: Final = BreakerRules(window_seconds=300, least_calls=5, open_seconds=30)
# What speaks against its servers. A withheld picture is a good answer; a refusal may be ours, and being asked to slow down
# says nothing: they count neither way.
_SERVER_FAILURES: Final = (ModelUnavailable, ModelTimedOut, ModelFailed)
# What an operator must mend. Nobody calls to tell us that it is mended: after a while the next job finds out.
_OURS_TO_MEND: Final = (ProviderQuotaSpent, ProviderMisconfigured)
MENDED_AFTER_SECONDS: Final = 60.0
# What is sent back waits in the broker at least and at most so long: it may be back before its time is over.
_SOON_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 120.0
_FIGURES: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}
_state = metrics.get_meter(__name__).create_gauge(*semconv.BREAKER_STATE)
_available = metrics.get_meter(__name__).create_gauge(*semconv.MODEL_AVAILABLE)


class Standing:
    """The circuit to one provider, and its last error. `models` are the names under which it is reported."""

    def __init__(
        self,
        provider: str,
        models: Sequence[str],
        timer: Timer,
        *,
        chance: Callable[[], float],
        rules: BreakerRules = RULES,
    ) -> None:
        self.provider = provider
        self.models = tuple(models)
        self.last_error: str | None = None
        self._timer = timer
        self._chance = chance
        self._breaker = Breaker(rules)
        self._mended_at = float("-inf")
        _state.set(_FIGURES[self._breaker.state], {semconv.DEPENDENCY: provider})

    @property
    def is_available(self) -> bool:
        """Whether a call is worth making. One that is due as a canary is: without work nobody would ever try."""
        now = self._timer()
        is_paused = self._breaker.state is BreakerState.OPEN and now < self._breaker.try_at
        return not is_paused and now >= self._mended_at

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around a call that may be left out: raises ModelPaused while the circuit is open, except for its one canary."""
        began_at = self._timer()
        before = self._breaker
        self._become(before.trying(began_at))
        if self._breaker.state is not BreakerState.CLOSED and self._breaker is before:
            raise ModelPaused(
                f"the provider {self.provider} has failed too often: calls are paused until one goes well again",
                retry_after_seconds=min(_LATE_SECONDS, max(_SOON_SECONDS, self._breaker.try_at - began_at)),
            )
        try:
            with self.heard():
                yield
        finally:
            if self._breaker.state is BreakerState.HALF_OPEN:
                # The canary was broken off, or told nothing: the next call is one.
                self._become(replace(self._breaker, state=BreakerState.OPEN))

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Around a call that is made in any case: its end is noted."""
        began_at = self._timer()
        try:
            yield
        except ChassisError as error:
            self._failed(error, began_at)
            raise
        self._ended(has_failed=False, began_at=began_at)
        self.last_error, self._mended_at = None, float("-inf")

    def _failed(self, error: ChassisError, began_at: float) -> None:
        if isinstance(error, _SERVER_FAILURES):
            self.last_error = str(error)
            self._ended(has_failed=True, began_at=began_at)
        elif isinstance(error, _OURS_TO_MEND):
            self.last_error = str(error)
            self._mended_at = self._timer() + MENDED_AFTER_SECONDS
        elif isinstance(error, ContentFiltered):
            self._ended(has_failed=False, began_at=began_at)

    def _ended(self, *, has_failed: bool, began_at: float) -> None:
        now, chance = self._timer(), self._chance()
        if self._breaker.state is BreakerState.HALF_OPEN:
            self._become(self._breaker.after_canary(has_failed=has_failed, began_at=began_at, now=now, chance=chance))
        else:
            self._become(self._breaker.after_call(has_failed=has_failed, now=now, chance=chance))

    def _become(self, after: Breaker) -> None:
        before, self._breaker = self._breaker, after
        if after.state is not before.state:
            _state.set(_FIGURES[after.state], {semconv.DEPENDENCY: self.provider})
            log().warning("provider_circuit_changed", provider=self.provider, state=after.state.value)


async def report_standings(standings: Sequence[Standing], *, reporter: str, announce: Announce, clock: Clock) -> None:
    """Tell of each model how its provider stands. Configured means available until calls say otherwise."""
    for standing in standings:
        for name in standing.models:
            _available.set(int(standing.is_available), {semconv.MODEL: name})
            await announce(
                ModelHealth(
                    reporter=reporter,
                    model=name,
                    is_available=standing.is_available,
                    error=standing.last_error,
                    checked_at=clock.now(),
                )
            )
