"""What tasks are seen through with: calls with a deadline, and changes that a worker makes only while its claim stands."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.blobs import Blobs
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError, Transient
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import IN_PLACE_PAUSES_SECONDS
from imagetron_generator.domain.orders import TaskRules
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.ports import (
    Announce,
    CallbackUrl,
    Fetch,
    ModelTimedOut,
    Pictures,
    ProviderTasks,
    TaskProvider,
)
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.watch import Watch

T = TypeVar("T")
# Callbacks of one task come in handfuls at the same time.
_CHANGE_TRIES: Final = 50
_meter = metrics.get_meter(__name__)
_calls = _meter.create_counter(*measures.PROVIDER_CALLS)
_overtaken = _meter.create_counter(*measures.TASKS_OVERTAKEN)


class Overtaken(Exception):
    """Somebody else has claimed the task since: it is theirs."""


@dataclass(frozen=True, slots=True)
class TaskDesk:
    """`owner` names this process. A call is broken off after `call_seconds`, well before a lease of `lease_seconds` ends."""

    providers: Mapping[str, TaskProvider]
    tasks: ProviderTasks
    work: Blobs
    announce: Announce
    fetch: Fetch
    pictures: Pictures
    callback_url: CallbackUrl
    clock: Clock
    watch: Watch
    owner: str
    call_seconds: float = 40.0
    lease_seconds: float = 60.0

    def rules(self, task: ProviderTask) -> TaskRules:
        return self.providers[task.provider].rules

    async def called(self, task: ProviderTask, operation: str, call: Awaitable[T]) -> T:
        """The provider's answer. Raises ModelTimedOut after `call_seconds`, and what the call raises."""
        outcome = "broke"
        try:
            async with asyncio.timeout(self.call_seconds):
                answer = await call
            outcome = "answered"
        except TimeoutError:
            outcome = ModelTimedOut.__name__
            raise ModelTimedOut(
                f"the provider {task.provider} did not answer within {self.call_seconds:g} s when asked to {operation}"
            ) from None
        except ChassisError as error:
            outcome = type(error).__name__
            raise
        finally:
            attributes = {semconv.PROVIDER: task.provider, measures.OPERATION: operation, semconv.OUTCOME: outcome}
            _calls.add(1, attributes)
        return answer

    async def claim(self, task: ProviderTask, claimed: ProviderTask) -> bool:
        """Make the claim known, unless somebody was quicker."""
        if not await self.tasks.replace(claimed, if_version=task.version):
            return False
        # From here on its time runs for this process.
        self.watch.is_held(claimed)
        self.watch.is_overdue(claimed, self.clock.now())
        return True

    async def change(
        self, task: ProviderTask, decide: Callable[[ProviderTask], ProviderTask | None], *, is_claimed: bool = True
    ) -> ProviderTask:
        """The task as it is then. `decide` sees what others have made of it meanwhile; None leaves it at that.

        Raises Overtaken if the claim is no longer the last one, TaskIdTaken, and Transient while the store is away.
        """
        latest: ProviderTask | None = task
        for _ in range(_CHANGE_TRIES):
            if latest is None or (is_claimed and latest.fence != task.fence):
                _overtaken.add(1, {semconv.PROVIDER: task.provider})
                raise Overtaken
            changed = decide(latest)
            if changed is None:
                return latest
            if await self._patiently(lambda new=changed, old=latest: self._replaced(new, old)):  # type: ignore[misc]
                return changed
            latest = await self._patiently(lambda: self.tasks.get(task.reference))
        raise Transient(f"task {task.reference} was changed by others each time it was to be changed here")

    async def _replaced(self, new: ProviderTask, old: ProviderTask) -> bool:
        return await self.tasks.replace(new, if_version=old.version)

    @staticmethod
    async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
        """A store that is locked for a moment must not cost a paid task its id."""
        for pause in IN_PLACE_PAUSES_SECONDS:
            try:
                return await work()
            except Transient as error:
                log().info("task_store_waited_for", reason=str(error))
                await asyncio.sleep(pause)
        return await work()
