"""The rounds of synthetic inferences: reports of the models' health, and the canary of the circuit. Not their timing."""

from collections.abc import Sequence
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_generator.ports import Announce, ImageModel, Timer
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.model_health import DEADLINE_SECONDS, report_model_health, report_pause
from imagetron_generator.usecases.pulse import Pulse

# A server that is starting or being replaced is back within seconds: callers should not wait for the interval.
RETRY_SECONDS: Final = 2.0


class ModelWatch:
    """One round after the other, never two at once.

    A circuit that few calls pass is opened from here: calls that hang for minutes never make ten in a window. It opens
    when not one watched model has answered for a while, so that a model that is not there leaves the others their work.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        reporter: str,
        pulse: Pulse,
        circuit: Circuit,
        announce: Announce,
        clock: Clock,
        timer: Timer,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._models = models
        self._reporter = reporter
        self._model: ImageModel = pulse
        self._stepped_at = pulse.stepped_at
        self._circuit = circuit
        self._announce = announce
        self._clock = clock
        self._timer = timer
        self._deadline_seconds = deadline_seconds

    async def round(self) -> float | None:
        """Ask and report. Returns after how many seconds the next round should run; None: at its usual time."""
        if self._circuit.is_closed:
            return await self._round_of(self._models)
        if self._circuit.canary_may_go():
            # One picture, not one of each model: half open means that one call tells.
            return await self._round_of([self._circuit.canary_of(self._models)])
        await report_pause(self._models, reporter=self._reporter, announce=self._announce, clock=self._clock)
        return self._circuit.canary_due_in()

    async def _round_of(self, models: Sequence[str]) -> float | None:
        began_at = self._timer()
        checks = await report_model_health(
            models,
            reporter=self._reporter,
            model=self._model,
            stepped_at=self._stepped_at,
            announce=self._announce,
            clock=self._clock,
            timer=self._timer,
            deadline_seconds=self._deadline_seconds,
        )
        was_closed = self._circuit.is_closed
        self._circuit.canary_ended(has_failed=not any(check.server_is_well for check in checks), began_at=began_at)
        if not self._circuit.is_closed:
            return self._circuit.canary_due_in()
        if not was_closed:
            return 0.0  # The other models' reports still say that it is paused.
        return None if all(check.is_available for check in checks) else RETRY_SECONDS
