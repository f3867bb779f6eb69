"""Start order, signals, stop in reverse. What is started is bootstrap's to say.

start: telemetry -> probes -> stores -> broker -> relay and sweeps -> consumers -> ready
stop:  not ready -> consumers drained -> relay and sweeps -> broker -> stores -> probes -> telemetry
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import uvloop

from imagetron_chassis.errors import Permanent, Transient
from imagetron_chassis.faults import arm
from imagetron_chassis.health import Health
from imagetron_chassis.logs import configure_logs, log
from imagetron_chassis.settings import BaseServiceSettings, load_or_exit
from imagetron_chassis.telemetry import Telemetry

_TRY_AGAIN_SECONDS: Final = 1.0
_TELL_EVERY: Final = 10
SettingsT = TypeVar("SettingsT", bound=BaseServiceSettings)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is started and stopped."""

    name: str
    start: Callable[[], Awaitable[object]]
    stop: Callable[[], Awaitable[object]]


class Background:
    """Parts that start one after the other while the service is at work already: for a neighbour that may be away when the
    service is of use without it.
    """

    def __init__(self) -> None:
        self._before: asyncio.Task[None] | None = None

    def part(self, part: Part) -> Part:
        """The same part; its start returns at once, and begins when the one before it has ended."""
        starting: list[asyncio.Task[None]] = []

        async def start_after(before: asyncio.Task[None] | None) -> None:
            if before is not None:
                await asyncio.wait([before])
            await until_started(part)
            log().info("part_started", part=part.name)

        async def start() -> None:
            self._before = asyncio.create_task(start_after(self._before), name=part.name)
            starting.append(self._before)

        async def stop() -> None:
            for task in starting:
                task.cancel()
                [error] = await asyncio.gather(task, return_exceptions=True)
                if isinstance(error, Exception):
                    log().error("part_not_started", part=part.name, exc_info=error)
            await part.stop()

        return Part(part.name, start, stop)


async def until_started(part: Part) -> None:
    """Wait for what is away: a service that gives up would only be started again, with a traceback each time."""
    attempts = 0
    while True:
        try:
            await part.start()
        except Transient as error:
            if attempts % _TELL_EVERY == 0:
                log().warning("start_waits", part=part.name, reason=str(error), attempts=attempts + 1)
            attempts += 1
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        else:
            return


@dataclass(frozen=True, slots=True)
class Service:
    """The parts in the order of their start; they stop in the reverse. Health turns ready when all have started."""

    name: str
    health: Health
    parts: Sequence[Part]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started inside, stopped after, however far the start came."""
        async with contextlib.AsyncExitStack() as stack:
            for part in self.parts:
                stack.push_async_callback(self._stop, part)
                await until_started(part)
            self.health.set_ready(ready=True)
            log().info("service_ready")
            stack.callback(self.health.set_ready, ready=False)
            yield

    @staticmethod
    async def _stop(part: Part) -> None:
        await part.stop()
        log().debug("part_stopped", part=part.name)


def run(name: str, settings: type[SettingsT], build: Callable[[SettingsT], Service]) -> None:
    """The main function of every service: settings, logs, telemetry, the service until SIGTERM or SIGINT, exit 0."""
    loaded = load_or_exit(settings, name)
    configure_logs(name, level=loaded.log_level, style=loaded.log_format)
    if loaded.fault_plan:
        arm(name, loaded.fault_plan, loaded.fault_ledger)
        log().warning("fault_plan_armed", plan=loaded.fault_plan)
    telemetry = Telemetry(name, otlp_endpoint=loaded.otlp_endpoint, spans_file=loaded.spans_file)
    telemetry.start()
    try:
        uvloop.run(_until_stopped(lambda: build(loaded)))
    except Permanent as error:
        log().error("service_cannot_start", reason=str(error))
        sys.exit(1)
    finally:
        telemetry.stop()


async def _until_stopped(build: Callable[[], Service]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = build()
    async with contextlib.AsyncExitStack() as stack:
        # A broker that is away keeps the start waiting; a signal must end the service all the same.
        starting = asyncio.ensure_future(stack.enter_async_context(service.running()))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        starting.result()
        await stopping
        log().info("service_stopping")
    log().info("service_stopped")
