"""The slots of this process: how many families are with the model at once, and who waits for one. Turns are domain/lanes.py's."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, cast

from imagetron_chassis.errors import RateLimited
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import Lane
from imagetron_generator.domain.lanes import next_lane

# Half of the time that a delivery may be held: the other half is for the work itself.
PATIENCE_SECONDS: Final = 300.0
# All slots interactive means that the next interactive family is still in the queue, while batch families wait at hand.
# It comes after the finished one's result is confirmed and acked, which takes tens of milliseconds on a busy disk.
HANDOVER_SECONDS: Final = 0.25
_COME_BACK_SECONDS: Final = 5.0


class SlotsBusy(RateLimited):
    """No slot became free in time; another process may have one."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    granted: asyncio.Future[None]
    task: asyncio.Task[object]


class Slots:
    """Hands out slots to two lanes."""

    def __init__(
        self, count: int, *, patience_seconds: float = PATIENCE_SECONDS, handover_seconds: float = HANDOVER_SECONDS
    ) -> None:
        self._free = count
        self._patience_seconds = patience_seconds
        self._handover_seconds = handover_seconds
        self._waiting: dict[Lane, deque[_Waiter]] = {lane: deque() for lane in Lane}
        self._interactive_in_a_row = 0
        self._is_closed = False

    @contextlib.asynccontextmanager
    async def taken(self, lane: Lane) -> AsyncIterator[None]:
        """A slot for the length of the block. Raises SlotsBusy after `patience_seconds`."""
        await self._take(lane)
        try:
            yield
        finally:
            self._give_back(lane)

    def close(self) -> None:
        """Give no more slots. The task of whoever waits, or comes to wait, is cancelled: the draining consumer hands it back."""
        self._is_closed = True
        for waiter in [*self._waiting[Lane.INTERACTIVE], *self._waiting[Lane.BATCH]]:
            waiter.task.cancel()

    async def _take(self, lane: Lane) -> None:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        waiter = _Waiter(asyncio.get_running_loop().create_future(), task)
        self._waiting[lane].append(waiter)
        if self._is_closed:
            task.cancel()
        self._grant()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await waiter.granted
        except (TimeoutError, asyncio.CancelledError) as error:
            self._withdraw(lane, waiter)
            if isinstance(error, TimeoutError):
                waited = f"no slot became free for a family of lane {lane} within {self._patience_seconds:g} s"
                raise SlotsBusy(waited, retry_after_seconds=_COME_BACK_SECONDS) from None
            raise

    def _withdraw(self, lane: Lane, waiter: _Waiter) -> None:
        if waiter in self._waiting[lane]:
            self._waiting[lane].remove(waiter)
        elif not waiter.granted.cancelled():
            self._give_back(lane)  # It was granted in the very moment in which its owner gave up.

    def _give_back(self, lane: Lane) -> None:
        self._free += 1
        if lane is Lane.INTERACTIVE and not self._waiting[Lane.INTERACTIVE]:
            asyncio.get_running_loop().call_later(self._handover_seconds, self._grant)
        else:
            self._grant()

    def _grant(self) -> None:
        while self._free and not self._is_closed:
            waiting = [lane for lane, waiters in self._waiting.items() if waiters]
            lane = next_lane(waiting, self._interactive_in_a_row)
            if lane is None:
                return
            waiter = self._waiting[lane].popleft()
            if not waiter.granted.done():
                waiter.granted.set_result(None)
                self._free -= 1
                self._interactive_in_a_row = self._interactive_in_a_row + 1 if lane is Lane.INTERACTIVE else 0
