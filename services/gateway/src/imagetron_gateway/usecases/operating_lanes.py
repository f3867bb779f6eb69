"""The queue's lanes as an operator runs them: how full they are, pausing, resuming. Pausing acts on admission alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from imagetron_chassis.clock import Clock
from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane
from imagetron_gateway.ports import Controls, Jobs, JobViews, Pause
from imagetron_gateway.usecases.auditing import Auditor
from imagetron_gateway.usecases.committing import SAGA


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane: jobs that wait in the document store, families in the broker's window, and whether anything is let in."""

    lane: Lane
    waiting_jobs: int
    oldest_waiting_since: datetime | None
    families_in_flight: int
    window: int
    pause: Pause | None


async def lane_states(
    windows: Mapping[Lane, int], *, jobs: Jobs, views: JobViews, controls: Controls
) -> list[LaneState]:
    """Every lane as it is now. The numbers are read one after the other, so they may disagree by what moved meanwhile."""
    in_flight = await jobs.in_flight(SAGA)
    return [
        LaneState(
            lane=lane,
            waiting_jobs=await jobs.count_waiting(lane, SAGA),
            oldest_waiting_since=await views.oldest_waiting(lane, SAGA),
            families_in_flight=in_flight.get(lane.value, 0),
            window=window,
            pause=await controls.pause_of(lane),
        )
        for lane, window in windows.items()
    ]


async def pause_lane(
    lane: Lane, reason: str, principal: Principal, *, controls: Controls, auditor: Auditor, clock: Clock
) -> Pause:
    """Admit nothing of the lane any more, in any replica; what is admitted finishes. The answer is the pause in force.

    A lane that is paused already keeps its first pause: who paused it, and why, is what the next operator must know.
    """
    await auditor.note(principal, "lane.pause", lane=lane.value, reason=reason)
    return await controls.pause(lane, Pause(principal.owner, clock.now(), reason))


async def resume_lane(lane: Lane, principal: Principal, *, controls: Controls, auditor: Auditor) -> Pause | None:
    """Admit again. The answer is the pause that was lifted, None if there was none."""
    await auditor.note(principal, "lane.resume", lane=lane.value)
    return await controls.resume(lane)


async def why_paused(lane: Lane, *, controls: Controls) -> str | None:
    """A sentence for whoever waits for the lane; None if it is not paused."""
    pause = await controls.pause_of(lane)
    if pause is None:
        return None
    return f"an operator has paused the lane {lane.value}" + (f": {pause.reason}" if pause.reason else "")
