"""Which of a model's steps are worth a message."""


class Throttle:
    """Lets a step through if enough time has passed since the last one; the last step of all always."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._last_at = float("-inf")

    def lets_through(self, step: int, steps: int, now_seconds: float) -> bool:
        if step < steps and now_seconds - self._last_at < self._every_seconds:
            return False
        self._last_at = now_seconds
        return True
