"""An image model without a server: small deterministic pictures, and the errors that it was told to raise."""

import asyncio
import hashlib

from imagetron_chassis.errors import ChassisError
from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import OnStep

FINGERPRINT = "in memory"


class InMemoryImageModel:
    """Each call takes the next of `outcomes`: an error to raise, or None for a picture; after them, pictures.

    `hold` makes calls wait after their first step until `release`.
    """

    def __init__(self, *outcomes: ChassisError | None) -> None:
        self.requests: list[RenderRequest] = []
        self.deadlines: list[float] = []
        self.cancelled = 0
        self._outcomes = list(outcomes)
        self._go_on = asyncio.Event()
        self._go_on.set()

    def hold(self) -> None:
        self._go_on.clear()

    def release(self) -> None:
        self._go_on.set()

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        self.requests.append(request)
        self.deadlines.append(deadline_seconds)
        outcome = self._outcomes.pop(0) if self._outcomes else None
        for step in range(1, request.steps + 1):
            on_step(step, request.steps)
            try:
                await self._go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if outcome is not None:
            raise outcome
        return Rendered(_pixels(request), request.size, FINGERPRINT)

    async def close(self) -> None:
        self._go_on.set()


def _pixels(request: RenderRequest) -> bytes:
    colour = hashlib.sha256(repr((request.prompt, request.negative_prompt, request.seed)).encode()).digest()[:3]
    return colour * (request.size.width * request.size.height)
