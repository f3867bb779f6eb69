"""Whether a model really answers: a small synthetic inference. A server's own readiness stays true when its model hangs."""

import asyncio
from collections.abc import Sequence
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import Announce, ImageModel, Timer

# The probe queues behind real work, and a busy model is not a dead one.
DEADLINE_SECONDS: Final = 30.0
_SIZE: Final = Dimensions(width=128, height=128)
_STEPS: Final = 2
_available = metrics.get_meter(__name__).create_gauge(*semconv.MODEL_AVAILABLE)


async def report_model_health(
    models: Sequence[str], *, reporter: str, model: ImageModel, announce: Announce, clock: Clock, timer: Timer
) -> bool:
    """Try each model once, all at the same time, and tell how each did; say whether all of them answered."""
    reports = await asyncio.gather(
        *(_tried(name, reporter=reporter, model=model, clock=clock, timer=timer) for name in models)
    )
    for report in reports:
        _available.set(int(report.is_available), {semconv.MODEL: report.model})
        if not report.is_available:
            log().warning("model_not_available", model=report.model, reason=report.error)
        await announce(report)
    return all(report.is_available for report in reports)


async def _tried(name: str, *, reporter: str, model: ImageModel, clock: Clock, timer: Timer) -> ModelHealth:
    request = RenderRequest(
        model=name, prompt="a grey square", negative_prompt="", seed=0, size=_SIZE, steps=_STEPS, guidance_scale=0
    )
    began_at = timer()
    error = None
    try:
        await model.render(request, _ignore_step, deadline_seconds=DEADLINE_SECONDS)
    except ChassisError as failure:
        error = str(failure)
    return ModelHealth(
        reporter=reporter,
        model=name,
        is_available=error is None,
        response_seconds=timer() - began_at,
        error=error,
        checked_at=clock.now(),
    )


def _ignore_step(_step: int, _steps: int) -> None:
    return
