"""Whether a model really answers: a small synthetic inference. A server's own readiness stays true when its model hangs."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.logs import log
from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import ModelHealth
from imagetron_generator.domain.renders import RenderRequest
from imagetron_generator.ports import (
    Announce,
    ImageModel,
    ModelOutOfMemory,
    ModelRefused,
    ModelTimedOut,
    QueueFull,
    Timer,
)

# The probe queues behind real work, and a busy model is not a dead one.
DEADLINE_SECONDS: Final = 30.0
_SIZE: Final = Dimensions(width=128, height=128)
_STEPS: Final = 2
_available = metrics.get_meter(__name__).create_gauge(*semconv.MODEL_AVAILABLE)


@dataclass(frozen=True, slots=True)
class Checked:
    """What one synthetic inference tells: whether callers can have this model, and whether its server answers at all."""

    is_available: bool
    server_is_well: bool


async def report_model_health(
    models: Sequence[str],
    *,
    reporter: str,
    model: ImageModel,
    stepped_at: Callable[[str], float],
    announce: Announce,
    clock: Clock,
    timer: Timer,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> list[Checked]:
    """Try each model once, all at the same time, and tell how each did."""

    async def report_on(name: str) -> Checked:
        began_at = timer()
        error = await _tried(name, model, deadline_seconds)
        # The probe had to wait for work that goes on: turning callers away would punish the model for being busy.
        is_busy = isinstance(error, ModelTimedOut | QueueFull) and timer() - stepped_at(name) < deadline_seconds
        is_available = error is None or is_busy
        _available.set(int(is_available), {semconv.MODEL: name})
        if error is not None:
            log().warning("model_not_tried" if is_busy else "model_not_available", model=name, reason=str(error))
        # Each at once: one that hangs must not make the others' reports late.
        await announce(
            ModelHealth(
                reporter=reporter,
                model=name,
                is_available=is_available,
                response_seconds=timer() - began_at,
                error=None if is_available else str(error),
                checked_at=clock.now(),
            )
        )
        # A refusal and a lack of memory are answers too: they say nothing against the server.
        return Checked(is_available, is_available or isinstance(error, ModelRefused | ModelOutOfMemory))

    return await asyncio.gather(*(report_on(name) for name in models))


async def report_pause(models: Sequence[str], *, reporter: str, announce: Announce, clock: Clock) -> None:
    """Tell that none can be had from here, without asking any of them."""
    for name in models:
        _available.set(0, {semconv.MODEL: name})
        await announce(
            ModelHealth(
                reporter=reporter,
                model=name,
                is_available=False,
                error="the model's server has failed too often: calls are paused until it answers again",
                checked_at=clock.now(),
            )
        )


async def _tried(name: str, model: ImageModel, deadline_seconds: float) -> ChassisError | None:
    request = RenderRequest(
        model=name, prompt="a grey square", negative_prompt="", seed=0, size=_SIZE, steps=_STEPS, guidance_scale=0
    )
    try:
        await model.render(request, _ignore_step, deadline_seconds=deadline_seconds)
    except ChassisError as error:
        return error
    return None


def _ignore_step(_step: int, _steps: int) -> None:
    return
