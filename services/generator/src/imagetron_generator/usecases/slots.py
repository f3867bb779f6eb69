"""The slots of this process: how many families are with the model at once, and who waits for one. Turns are domain/lanes.py's."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, cast

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.errors import RateLimited
from imagetron_chassis.logs import log
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import Lane
from imagetron_generator.domain.concurrency import ConcurrencyLimit
from imagetron_generator.domain.lanes import next_lane
from imagetron_generator.ports import ModelPaused

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
    """Hands out slots to two lanes: `count` at most, fewer while the model's server cannot take so many."""

    def __init__(
        self, count: int, *, patience_seconds: float = PATIENCE_SECONDS, handover_seconds: float = HANDOVER_SECONDS
    ) -> None:
        self._limit = ConcurrencyLimit.at_most(count)
        self._taken = 0
        self._patience_seconds = patience_seconds
        self._handover_seconds = handover_seconds
        self._waiting: dict[Lane, deque[_Waiter]] = {lane: deque() for lane in Lane}
        self._interactive_in_a_row = 0
        self._is_closed = False
        self._is_paused = False
        self._limit_now = metrics.get_meter(__name__).create_gauge(*semconv.MODEL_CONCURRENCY)
        self._limit_now.set(count)

    @contextlib.asynccontextmanager
    async def taken(self, lane: Lane) -> AsyncIterator[None]:
        """A slot for the length of the block. Raises SlotsBusy after `patience_seconds`, and ModelPaused while paused."""
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

    def pause(self) -> None:
        """Give no slots until `resume`. Whoever waits, or comes, goes back to the queue at once and spends no try."""
        self._is_paused = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.granted.done():
                    waiter.granted.set_exception(_paused())
            waiters.clear()

    def resume(self) -> None:
        self._is_paused = False

    def went_well(self) -> None:
        """A picture was made: every few of them make room for one more."""
        self._become(self._limit.after_good())
        self._grant()

    def pushed_back(self, *, began_at: float, ended_at: float) -> None:
        """The server could not take a call: half as many from now on. Those at work are left alone."""
        self._become(self._limit.after_push_back(began_at=began_at, ended_at=ended_at))

    def _become(self, limit: ConcurrencyLimit) -> None:
        before, self._limit = self._limit, limit
        if limit.now != before.now:
            self._limit_now.set(limit.now)
            log().info("model_concurrency_changed", before=before.now, now=limit.now, bound=limit.bound)

    async def _take(self, lane: Lane) -> None:
        if self._is_paused:
            raise _paused()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        waiter = _Waiter(asyncio.get_running_loop().create_future(), task)
        self._waiting[lane].append(waiter)
        if self._is_closed:
            task.cancel()
        self._grant()
        try:
            async with asyncio.timeout(self._patience_seconds):
                await waiter.granted
        except (TimeoutError, asyncio.CancelledError, ModelPaused) as error:
            self._withdraw(lane, waiter)
            if isinstance(error, TimeoutError):
                waited = f"no slot became free for a family of lane {lane} within {self._patience_seconds:g} s"
                raise SlotsBusy(waited, retry_after_seconds=_COME_BACK_SECONDS) from None
            raise

    def _withdraw(self, lane: Lane, waiter: _Waiter) -> None:
        if waiter in self._waiting[lane]:
            self._waiting[lane].remove(waiter)
        elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self._give_back(lane)  # It was granted in the very moment in which its owner gave up.

    def _give_back(self, lane: Lane) -> None:
        self._taken -= 1
        if lane is Lane.INTERACTIVE and not self._waiting[Lane.INTERACTIVE]:
            asyncio.get_running_loop().call_later(self._handover_seconds, self._grant)
        else:
            self._grant()

    def _grant(self) -> None:
        while self._taken < self._limit.now and not self._is_closed:
            waiting = [lane for lane, waiters in self._waiting.items() if waiters]
            lane = next_lane(waiting, self._interactive_in_a_row)
            if lane is None:
                return
            waiter = self._waiting[lane].popleft()
            if not waiter.granted.done():
                waiter.granted.set_result(None)
                self._taken += 1
                self._interactive_in_a_row = self._interactive_in_a_row + 1 if lane is Lane.INTERACTIVE else 0


def _paused() -> ModelPaused:
    return ModelPaused("no slot is given while calls of the model are paused", retry_after_seconds=_COME_BACK_SECONDS)
