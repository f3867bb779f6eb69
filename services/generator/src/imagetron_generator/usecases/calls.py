"""The model calls in progress, so that those of a cancelled job can be ended."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

from imagetron_generator.ports import ModelUnavailable

T = TypeVar("T")


class CallEnded(Exception):
    """The job was cancelled while the model worked on it."""


class ModelCalls:
    """Calls by job and revision."""

    def __init__(self) -> None:
        self._running: defaultdict[tuple[str, int], set[asyncio.Task[Any]]] = defaultdict(set)
        self._ended: set[asyncio.Task[Any]] = set()

    async def run(self, job_id: str, revision: int, call: Coroutine[Any, Any, T]) -> T:
        """The call's result. Raises CallEnded if `end` was called; cancelling the caller cancels the call as well."""
        task = asyncio.create_task(call)
        running = self._running[job_id, revision]
        running.add(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            running.discard(task)
            if not running:
                self._running.pop((job_id, revision), None)
            was_ended = task in self._ended
            self._ended.discard(task)
        if was_ended and task.cancelled():
            raise CallEnded
        if task.cancelled():
            # Taken for an ending, it would drop the family without a word to anybody.
            raise ModelUnavailable("the model's client broke off the call by itself")
        return task.result()

    def end(self, job_id: str, revision: int) -> int:
        """Cancel all calls of a job's revision; say how many there were."""
        tasks = self._running.get((job_id, revision), set())
        self._ended |= tasks
        for task in tasks:
            task.cancel()
        return len(tasks)
