"""A provider that answers later, listened to: how its calls end tells how it stands. It holds nothing back."""

from imagetron_generator.domain.orders import TaskNews, TaskOrder, TaskRules
from imagetron_generator.ports import TaskProvider
from imagetron_generator.usecases.standing import Standing


class WatchedTasks:
    """The task provider itself."""

    def __init__(self, provider: TaskProvider, standing: Standing) -> None:
        self._provider = provider
        self._standing = standing

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def rules(self) -> TaskRules:
        return self._provider.rules

    async def submit(self, order: TaskOrder) -> TaskNews:
        with self._standing.heard():
            return await self._provider.submit(order)

    async def look(self, provider_task_id: str) -> TaskNews:
        with self._standing.heard():
            return await self._provider.look(provider_task_id)

    async def find(self, reference: str) -> TaskNews | None:
        with self._standing.heard():
            return await self._provider.find(reference)

    async def cancel(self, provider_task_id: str) -> None:
        with self._standing.heard():
            await self._provider.cancel(provider_task_id)

    def read_callback(self, body: bytes) -> TaskNews:
        return self._provider.read_callback(body)

    async def close(self) -> None:
        await self._provider.close()
