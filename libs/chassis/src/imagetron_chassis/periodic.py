"""Work that repeats: a task that survives its own failures and stops when asked. Not what the work is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log


class Periodic:
    """Calls `work` every so often, and at once when kicked. An error is logged, and the next round tries again.

    Even a bug does not end it: a sweep that stopped for good would be noticed only by the jobs it no longer saves.
    """

    def __init__(
        self, name: str, every_seconds: float, work: Callable[[], Awaitable[object]], *, begins_at_once: bool = True
    ) -> None:
        self._name = name
        self._every_seconds = every_seconds
        self._work = work
        self._begins_at_once = begins_at_once
        self._kicked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def kick(self) -> None:
        """Run soon. Many kicks before the next round are one."""
        self._kicked.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None

    async def _run(self) -> None:
        if not self._begins_at_once:
            await self._until_due()
        while True:
            self._kicked.clear()
            [result] = await asyncio.gather(self._work(), return_exceptions=True)
            if isinstance(result, ChassisError):
                log().warning("periodic_work_failed", work=self._name, reason=str(result))
            elif isinstance(result, BaseException):
                log().error("periodic_work_broke", work=self._name, exc_info=result)
            await self._until_due()

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every_seconds):
                await self._kicked.wait()


async def for_each(items: Iterable[str], work: Callable[[str], Awaitable[object]]) -> None:
    """Do the work for every item in turn. One that fails keeps no other waiting; the first error is raised at the end."""
    errors = []
    for item in items:
        [result] = await asyncio.gather(work(item), return_exceptions=True)
        if isinstance(result, BaseException):
            log().warning("one_of_many_failed", item=item, reason=type(result).__name__)
            errors.append(result)
    if errors:
        raise errors[0]
