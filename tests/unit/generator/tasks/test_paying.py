"""Direct calls that cost money: counted before they are made, one worker at a time, and not a third time."""

import asyncio

import pytest

from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.errors import Transient
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.failures import FailureCode
from imagetron_generator.adapters.provider_tasks import DocumentPaidCalls
from imagetron_generator.ports import ContentFiltered, ModelTimedOut, ModelUnavailable, ProviderBusy
from imagetron_generator.usecases.paying import CallInHand, PaidEnough, Till, paid_call
from imagetron_generator.usecases.tasks.watch import Watch
from unit.generator.tasks.task_bench import an_external_request


class Shop:
    """`spent` counts the calls that were made."""

    def __init__(self) -> None:
        self.calls = DocumentPaidCalls(InMemoryDocuments())
        self.clock = FakeClock()
        self.seconds = 0.0
        self.spent = 0

    def worker(self, owner: str = "w") -> Till:
        return Till(self.calls, self.clock, Watch(lambda: self.seconds), owner)

    def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.seconds += seconds

    async def pay(self, till: Till, error: BaseException | None = None, index: int = 0, attempt: int = 1) -> None:
        work = an_external_request(index, attempt=attempt)
        async with paid_call(work, index, provider="openai", deadline_seconds=60, till=till):
            self.spent += 1
            if error is not None:
                raise error


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def killed_in_the_call(shop):
    """Its claim stays as it was."""
    till = shop.worker("dead")
    block = paid_call(an_external_request(0), 0, provider="openai", deadline_seconds=60, till=till)
    await block.__aenter__()
    shop.spent += 1


async def test_a_call_that_went_well_may_be_made_once_more_if_its_picture_was_not_kept(shop):
    await shop.pay(shop.worker())
    await shop.pay(shop.worker("next"))

    with pytest.raises(PaidEnough, match="called 2 times for image 0"):
        await shop.pay(shop.worker())
    assert shop.spent == 2


async def test_a_worker_that_died_in_the_call_is_waited_for_and_paid_for_once_more_never_twice(shop):
    await killed_in_the_call(shop)
    successor = shop.worker("next")
    with pytest.raises(CallInHand):
        await shop.pay(successor)
    shop.passes(89)
    with pytest.raises(CallInHand):
        await shop.pay(successor)

    shop.passes(2)
    await shop.pay(successor)

    with pytest.raises(PaidEnough):
        await shop.pay(successor)
    assert shop.spent == 2


async def test_whoever_gives_up_tells_the_owner_that_the_work_is_lost_and_whoever_waits_comes_back_soon(shop):
    await killed_in_the_call(shop)

    with pytest.raises(CallInHand) as waits:
        await shop.pay(shop.worker())
    assert waits.value.retry_after_seconds == 5
    assert PaidEnough.failure_code is FailureCode.WORK_LOST


async def test_two_workers_never_call_at_once_for_one_image(shop):
    at_once = most = 0

    async def work(till):
        nonlocal at_once, most
        async with paid_call(an_external_request(0), 0, provider="openai", deadline_seconds=60, till=till):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    tills = [shop.worker(str(number)) for number in range(8)]
    outcomes = await asyncio.gather(*(work(till) for till in tills), return_exceptions=True)

    assert most == 1
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(outcome is None or isinstance(outcome, CallInHand) for outcome in outcomes)


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ProviderBusy("slow down"), ContentFiltered("withheld")])
async def test_a_call_that_cost_nothing_is_not_counted(shop, error):
    for _ in range(4):
        with pytest.raises(type(error)):
            await shop.pay(shop.worker(), error)

    await shop.pay(shop.worker())


@pytest.mark.parametrize("error", [ModelTimedOut("no answer"), asyncio.CancelledError(), RuntimeError("a bug")])
async def test_a_call_that_may_have_cost_something_is_counted(shop, error):
    for _ in range(2):
        with pytest.raises(type(error)):
            await shop.pay(shop.worker(), error)

    with pytest.raises(PaidEnough):
        await shop.pay(shop.worker())


async def test_each_image_and_each_attempt_has_its_own_books(shop):
    for index, attempt in ((0, 1), (1, 1), (0, 2)):
        for _ in range(2):
            await shop.pay(shop.worker(), index=index, attempt=attempt)

    assert shop.spent == 6


async def test_books_that_cannot_be_closed_do_not_undo_the_call(shop):
    replaced = shop.calls.replace

    async def away(call, *, if_version):
        if call.lease is None:
            raise Transient("the store is away")
        return await replaced(call, if_version=if_version)

    shop.calls.replace = away
    await shop.pay(shop.worker())

    assert shop.spent == 1
    with pytest.raises(CallInHand):
        await shop.pay(shop.worker())


async def test_a_worker_that_was_overtaken_leaves_the_books_to_the_other(shop):
    first, second = shop.worker("first"), shop.worker("second")
    with pytest.raises(CallInHand):
        async with paid_call(an_external_request(0), 0, provider="openai", deadline_seconds=60, till=first):
            await shop.pay(second)
    shop.passes(0)
    async with paid_call(an_external_request(1), 1, provider="openai", deadline_seconds=60, till=first):
        with pytest.raises(CallInHand):
            await shop.pay(second, index=1)
        shop.passes(91)
        await shop.pay(second, index=1)

    with pytest.raises(PaidEnough):
        await shop.pay(second, index=1)
