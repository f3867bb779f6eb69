"""The image model as work may use it: not while the circuit is open; each call's end tells the circuit and the slots."""

from typing import Final

from imagetron_chassis.errors import ChassisError
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import (
    ImageModel,
    ModelFailed,
    ModelOutOfMemory,
    ModelTimedOut,
    ModelUnavailable,
    OnStep,
    QueueFull,
    Timer,
)
from imagetron_generator.usecases.circuit import Circuit
from imagetron_generator.usecases.slots import Slots

# What speaks against the server. A refusal, a full queue, a picture too big and a cancelled call say nothing about it:
# they count neither way.
SERVER_FAILURES: Final = (ModelUnavailable, ModelTimedOut, ModelFailed)
# What fewer calls at once would help.
PUSHED_BACK: Final = (ModelUnavailable, QueueFull, ModelOutOfMemory)


class GuardedModel:
    """Raises ModelPaused, without a call, while the circuit is open."""

    def __init__(self, model: ImageModel, circuit: Circuit, slots: Slots, timer: Timer) -> None:
        self._model = model
        self._circuit = circuit
        self._slots = slots
        self._timer = timer

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        self._circuit.check()
        began_at = self._timer()
        try:
            rendered = await self._model.render(request, on_step, deadline_seconds=deadline_seconds)
        except ChassisError as error:
            if isinstance(error, SERVER_FAILURES):
                self._circuit.call_ended(model=request.model, has_failed=True)
            if isinstance(error, PUSHED_BACK):
                self._slots.pushed_back(began_at=began_at, ended_at=self._timer())
            raise
        self._circuit.call_ended(model=request.model, has_failed=False)
        self._slots.went_well()
        return rendered

    async def close(self) -> None:
        await self._model.close()
