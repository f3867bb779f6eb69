"""What rendering needs from outside, and what may go wrong there. The errors' texts never hold a prompt."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from imagetron_chassis.errors import Permanent, RateLimited, ResourceExhausted, Transient, UnknownOutcome
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_generator.domain.renders import Rendered, RenderRequest

OnStep = Callable[[int, int], None]
"""Called with the step that the model finished and how many there are."""

Announce = Callable[[Message], Awaitable[None]]
"""Says something while the work goes on. Raises Transient or UnknownOutcome when it could not leave for certain."""

Timer = Callable[[], float]
"""Seconds on a clock that never jumps."""


class ModelUnavailable(Transient):
    """The model cannot be called now: not reachable, not loaded, shutting down."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelTimedOut(UnknownOutcome):
    """The model did not answer in its time."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


class ModelFailed(UnknownOutcome):
    """The model began and broke, or answered with something that is no picture."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelRefused(Permanent):
    """The model will never make this picture: it does not take these parameters."""

    failure_code = FailureCode.MODEL_REFUSED


class ModelOutOfMemory(ResourceExhausted):
    """The picture is too big for the device as it is now."""


class QueueFull(RateLimited):
    """The model has as much waiting work as it takes."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ModelPaused(RateLimited):
    """The model's server is given time to become well: it was not called for this."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class ImageModel(Protocol):
    """Makes pictures. Equal requests give equal pictures within one fingerprint."""

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        """The picture, with `on_step` called on the way.

        Cancelling the call stops the model at its next step. Raises ModelUnavailable, ModelTimedOut, ModelFailed,
        ModelRefused, ModelOutOfMemory, QueueFull or ModelPaused.
        """
        ...

    async def close(self) -> None: ...
