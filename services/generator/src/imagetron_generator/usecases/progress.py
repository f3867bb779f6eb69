"""Tells of a model's steps while it works: few enough for the broker, and never in the model's way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_contracts.stages import FamilyMessage, Progress
from imagetron_generator.domain.throttle import Throttle
from imagetron_generator.ports import Announce, OnStep, Timer

# Five reports a second are as many as a person can see.
EVERY_SECONDS: Final = 0.2
# A hint is not worth more waiting than this when the picture is there.
_LAST_REPORT_SECONDS: Final = 1.0


@contextlib.asynccontextmanager
async def progress_reports(
    work: FamilyMessage, index: int, *, announce: Announce, timer: Timer
) -> AsyncIterator[OnStep]:
    """Yields the function to call after each step. Reports leave in order; one that cannot leave is dropped."""
    throttle = Throttle(EVERY_SECONDS)
    waiting: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

    def on_step(step: int, steps: int) -> None:
        if throttle.lets_through(step, steps, timer()):
            waiting.put_nowait((step, steps))

    sender = asyncio.create_task(_send(work, index, waiting, announce))
    try:
        yield on_step
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_REPORT_SECONDS):
                await waiting.join()
    finally:
        sender.cancel()
        await asyncio.wait([sender])


async def _send(work: FamilyMessage, index: int, waiting: asyncio.Queue[tuple[int, int]], announce: Announce) -> None:
    while True:
        step, steps = await waiting.get()
        report = Progress(
            job_id=work.job_id,
            revision=work.revision,
            family=work.family,
            attempt=work.attempt,
            index=index,
            step=step,
            steps=steps,
        )
        try:
            await announce(report)
        except ChassisError as error:
            log().debug("progress_not_told", reason=str(error))
        waiting.task_done()
