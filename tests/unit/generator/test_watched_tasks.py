"""A provider that answers later is listened to: its calls pass as they are, and their ends tell how it stands."""

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.domain.orders import TaskNews, TaskOrder, TaskPhase, TaskRules
from imagetron_generator.ports import CallbackUnreadable, ProviderQuotaSpent
from imagetron_generator.usecases.standing import Standing
from imagetron_generator.usecases.watched_tasks import WatchedTasks

ORDER = TaskOrder(
    reference="r",
    verb=Verb.IMAGINE,
    prompt="p",
    negative_prompt="",
    seed=1,
    size=Dimensions(width=8, height=8),
    images=1,
    model="m",
)
NEWS = TaskNews(TaskPhase.WAITING, "t-1")
RULES = TaskRules(images_per_task=3)


class Heard:
    """A provider that answers everything alike, or fails alike."""

    name = "polled"
    rules = RULES

    def __init__(self) -> None:
        self.error: ChassisError | None = None
        self.calls: list[str] = []

    def _answer(self, call: str) -> TaskNews:
        self.calls.append(call)
        if self.error:
            raise self.error
        return NEWS

    async def submit(self, order: TaskOrder) -> TaskNews:
        return self._answer(f"submit {order.reference}")

    async def look(self, provider_task_id: str) -> TaskNews:
        return self._answer(f"look {provider_task_id}")

    async def find(self, reference: str) -> TaskNews | None:
        return self._answer(f"find {reference}")

    async def cancel(self, provider_task_id: str) -> None:
        self._answer(f"cancel {provider_task_id}")

    def read_callback(self, body: bytes) -> TaskNews:
        return self._answer(f"read {body.decode()}")

    async def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def provider() -> Heard:
    return Heard()


@pytest.fixture
def standing() -> Standing:
    return Standing("polled", ("nanobanana",), lambda: 0.0, chance=lambda: 0)


async def test_every_call_passes_with_its_answer(provider: Heard, standing: Standing):
    watched = WatchedTasks(provider, standing)

    assert (watched.name, watched.rules) == ("polled", RULES)
    answers = [
        await watched.submit(ORDER),
        await watched.look("t-1"),
        await watched.find("r"),
        watched.read_callback(b"body"),
    ]
    await watched.cancel("t-1")
    await watched.close()

    assert answers == [NEWS] * 4
    assert provider.calls == ["submit r", "look t-1", "find r", "read body", "cancel t-1", "close"]


@pytest.mark.parametrize("call", ["submit", "look", "find", "cancel"])
async def test_an_error_passes_and_is_noted_and_a_good_answer_forgets_it(provider, standing, call):
    watched = WatchedTasks(provider, standing)
    provider.error = ProviderQuotaSpent("the account is spent")

    with pytest.raises(ProviderQuotaSpent):
        await getattr(watched, call)(ORDER if call == "submit" else "x")
    assert (standing.is_available, standing.last_error) == (False, "the account is spent")

    provider.error = None
    await getattr(watched, call)(ORDER if call == "submit" else "x")
    assert (standing.is_available, standing.last_error) == (True, None)


async def test_a_callback_that_cannot_be_read_says_nothing_about_the_provider(provider, standing):
    provider.error = CallbackUnreadable("no JSON")

    with pytest.raises(CallbackUnreadable):
        WatchedTasks(provider, standing).read_callback(b"x")

    assert standing.last_error is None
