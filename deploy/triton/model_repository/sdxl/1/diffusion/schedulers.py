"""The table of schedulers: a name that requests may say, and diffusers' class with the settings behind it.

All of them are deterministic for a seed: those that add noise draw it from each row's own generator.
"""

from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

from .failures import Refused

_DPM = {"algorithm_type": "dpmsolver++", "solver_order": 2}

_TABLE: dict[str, tuple[type, dict[str, Any]]] = {
    "euler": (EulerDiscreteScheduler, {"use_karras_sigmas": False}),
    "euler-karras": (EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    "euler-a": (EulerAncestralDiscreteScheduler, {}),
    "dpm++2m": (DPMSolverMultistepScheduler, _DPM | {"use_karras_sigmas": False}),
    "dpm++2m-karras": (DPMSolverMultistepScheduler, _DPM | {"use_karras_sigmas": True}),
    "dpm++2m-sde-karras": (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "use_karras_sigmas": True},
    ),
    "ddim": (DDIMScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
}
NAMES = tuple(_TABLE)

# Multi-step solvers remember earlier outputs, one row for each picture.
_MEMORIES = ("model_outputs", "last_sample")


def check(name: str) -> None:
    if name and name not in _TABLE:
        raise Refused(f"SCHEDULER is {name!r}; it must be empty or one of {', '.join(NAMES)}.")


def make(name: str, own: SchedulerMixin, steps: int) -> SchedulerMixin:
    """A fresh scheduler with its timesteps set (on the CPU: they are read one by one). `own` is the checkpoint's."""
    kind, changes = _TABLE[name] if name else (type(own), {})
    scheduler = kind.from_config(own.config, **changes)
    try:
        scheduler.set_timesteps(steps, device="cpu")
    except ValueError as error:
        raise Refused(
            f"STEPS is {steps}; the scheduler {name or type(own).__name__} does not take that many."
        ) from error
    return scheduler


def keep_rows(scheduler: SchedulerMixin, rows: torch.Tensor) -> None:
    """Forget all rows of a batch but these (indices)."""
    for name in _MEMORIES:
        memory = getattr(scheduler, name, None)
        if isinstance(memory, list):
            setattr(scheduler, name, [part if part is None else part[rows] for part in memory])
        elif memory is not None:
            setattr(scheduler, name, memory[rows])
