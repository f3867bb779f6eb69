"""When each model last finished a step: a model that is busy is not a dead one. What follows from that is model_health.py's."""

from imagetron_generator.domain.renders import Rendered, RenderRequest
from imagetron_generator.ports import ImageModel, OnStep, Timer


class Pulse:
    """The image model itself, listened to."""

    def __init__(self, model: ImageModel, timer: Timer) -> None:
        self._model = model
        self._timer = timer
        self._stepped_at: dict[str, float] = {}

    async def render(self, request: RenderRequest, on_step: OnStep, *, deadline_seconds: float) -> Rendered:
        def on_heard_step(step: int, steps: int) -> None:
            self._stepped_at[request.model] = self._timer()
            on_step(step, steps)

        return await self._model.render(request, on_heard_step, deadline_seconds=deadline_seconds)

    def stepped_at(self, model: str) -> float:
        """On the timer's clock; minus infinity before the first step."""
        return self._stepped_at.get(model, float("-inf"))

    async def close(self) -> None:
        await self._model.close()
