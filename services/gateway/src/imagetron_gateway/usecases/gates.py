"""Whether a lane is let into the broker at all: peak hours hold back batch work, an operator's pause holds back a lane.

What is admitted already finishes.
"""

from collections.abc import Awaitable, Callable

from imagetron_chassis.clock import Clock
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.peak_hours import PeakHours

WhyPaused = Callable[[Lane], Awaitable[str | None]]


class Gates:
    """Asked at each round of admission, and by whoever shows a job that waits."""

    def __init__(self, *, peak_hours: PeakHours | None, why_paused: WhyPaused, clock: Clock) -> None:
        self._peak_hours = peak_hours
        self._why_paused = why_paused
        self._clock = clock

    async def why_closed(self, lane: Lane) -> str | None:
        """A sentence for whoever waits; None if the lane is open. People who wait are served in peak hours too."""
        if paused := await self._why_paused(lane):
            return paused
        if lane is Lane.BATCH and self._peak_hours and self._peak_hours.contains(self._clock.now()):
            return f"batch work waits for the end of the peak hours ({self._peak_hours})"
        return None
