"""Work that repeats: a task that survives its own failures and stops when asked. Not what the work is."""

import asyncio
from collections.abc import Awaitable, Callable

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log


class Periodic:
    """Calls `work` every so often, and at once when kicked. An error we know is logged and the next round tries again."""

    def __init__(self, name: str, every_seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._every_seconds = every_seconds
        self._work = work
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
        while True:
            self._kicked.clear()
            try:
                await self._work()
            except ChassisError as error:
                log().warning("periodic_work_failed", work=self._name, reason=str(error))
            try:
                async with asyncio.timeout(self._every_seconds):
                    await self._kicked.wait()
            except TimeoutError:
                continue
