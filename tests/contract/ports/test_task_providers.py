"""Every promise of the task-provider port, asked of the twin in memory and of each adapter before its double alike."""

import re
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

import pytest
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters import called_back, polled
from imagetron_generator.adapters.called_back import CalledBackProvider
from imagetron_generator.adapters.memory_provider import InMemoryTaskProvider, Lost, png
from imagetron_generator.adapters.polled import PolledProvider
from imagetron_generator.domain.orders import Delivery, ParentTask, TaskNews, TaskOrder, TaskPhase, TaskRules
from imagetron_generator.ports import (
    CallbackUnreadable,
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
    TaskProvider,
)
from support.eventually import eventually
from support.midjourney_double import Ending, MidjourneyDouble, Mood, a_midjourney_double
from support.polled_double import Course, End, PolledDouble, a_polled_double
from support.provider_double import Operation, Reply

CANARY = "the-violet-heron-of-quillmore"
SIZE = Dimensions(width=96, height=64)
SOURCE = png(SIZE, (1, 2, 3))


class Trouble(Enum):
    BUSY = auto()
    SPENT = auto()
    MISCONFIGURED = auto()
    FILTERED = auto()
    REFUSED = auto()
    BROKEN = auto()
    ANSWER_LOST = auto()


ERRORS: dict[Trouble, type[ChassisError]] = {
    Trouble.BUSY: ProviderBusy,
    Trouble.SPENT: ProviderQuotaSpent,
    Trouble.MISCONFIGURED: ProviderMisconfigured,
    Trouble.FILTERED: ContentFiltered,
    Trouble.REFUSED: ModelRefused,
    Trouble.BROKEN: ModelFailed,
    Trouble.ANSWER_LOST: ModelTimedOut,
}
REPLIES = {
    Trouble.BUSY: Reply.RATE_LIMITED,
    Trouble.SPENT: Reply.OUT_OF_QUOTA,
    Trouble.MISCONFIGURED: Reply.UNAUTHORISED,
    Trouble.FILTERED: Reply.AGAINST_POLICY,
    Trouble.REFUSED: Reply.REFUSED,
    Trouble.BROKEN: Reply.BROKEN,
    Trouble.ANSWER_LOST: Reply.DROPPED,
}
ANY_CALL = [Trouble.BUSY, Trouble.SPENT, Trouble.MISCONFIGURED, Trouble.BROKEN, Trouble.ANSWER_LOST]


@dataclass
class Stand:
    """A provider, and what a test does behind its back."""

    provider: TaskProvider
    secret: str
    """Its API key."""
    trouble: Callable[[Operation, Trouble], None]
    """Happens to the next of these calls."""
    never_ends: Callable[[], None]
    """The next task stays at work until it is cancelled."""
    fails: Callable[[FailureCode], None]
    """The next task."""
    paid: Callable[[str], int]
    """Tasks that were charged for under a reference."""
    callback_body: Callable[[str], bytes] | None = None
    """What a callback would say now of the task with this id."""

    async def ended(self, provider_task_id: str) -> TaskNews:
        async def news() -> TaskNews | None:
            seen = await self.provider.look(provider_task_id)
            return seen if seen.phase.is_terminal else None

        return await eventually(news)

    async def submitted(self, order: TaskOrder | None = None) -> str:
        news = await self.provider.submit(order or an_order())
        assert news.provider_task_id is not None
        return news.provider_task_id


def an_order(verb: Verb = Verb.IMAGINE, **changes: Any) -> TaskOrder:
    order = TaskOrder(
        reference="0123456789abcdef0123456789abcdef",
        verb=verb,
        prompt=f"a lighthouse and {CANARY}",
        negative_prompt="",
        seed=7,
        size=SIZE,
        images=1,
        model="v7",
        source=SOURCE if verb.needs_a_source else None,
        strength=0.3,
    )
    return replace(order, **changes)


@pytest.fixture(scope="module")
def doubles() -> Iterator[tuple[MidjourneyDouble, PolledDouble]]:
    with ExitStack() as stack:
        yield stack.enter_context(a_midjourney_double()), stack.enter_context(a_polled_double())


Open = Callable[..., Stand]


@pytest.fixture(params=["memory", "callback", "polled"])
async def a_stand(
    request: pytest.FixtureRequest, doubles: tuple[MidjourneyDouble, PolledDouble]
) -> AsyncIterator[Open]:
    """Opens the provider, with changes to its usual rules."""
    opened: list[Stand] = []
    for double in doubles:
        double.reset()

    def opens(**rules: Any) -> Stand:
        match request.param:
            case "memory":
                opened.append(in_memory(**rules))
            case "callback":
                opened.append(called_back_by(doubles[0], **rules))
            case _:
                opened.append(polled_at(doubles[1], **rules))
        return opened[-1]

    yield opens
    for stand in opened:
        await stand.provider.close()


@pytest.fixture
def stand(a_stand: Open) -> Stand:
    return a_stand()


def in_memory(**rules: Any) -> Stand:
    usual = TaskRules(images_per_task=4, verbs=frozenset(Verb), calls_back=True, can_find=True)
    provider = InMemoryTaskProvider(rules=replace(usual, **rules))

    def trouble(operation: Operation, kind: Trouble) -> None:
        said = f"the provider {provider.name} is in trouble"
        busy = ProviderBusy(said, retry_after_seconds=7.0)
        error = busy if kind is Trouble.BUSY else ERRORS[kind](said)
        if operation == "submit":
            provider.next_submits.append(Lost(error) if kind is Trouble.ANSWER_LOST else error)
        elif operation == "look":
            provider.next_looks.append(error)
        elif operation == "find":
            provider.next_finds.append(error)
        else:
            provider.next_cancels.append(error)

    def never_ends() -> None:
        provider.next_looks.append(TaskNews(TaskPhase.PROCESSING, progress=0.5))

    def fails(code: FailureCode) -> None:
        provider.next_looks.append(TaskNews(TaskPhase.FAILED, code=code, message="no", answer_digest="0" * 64))

    return Stand(
        provider,
        "no key at all",
        trouble,
        never_ends,
        fails,
        paid=lambda reference: len(provider.submissions_of(reference)),
        callback_body=provider.callback_body,
    )


def called_back_by(double: MidjourneyDouble, **rules: Any) -> Stand:
    usual = replace(called_back.RULES, can_find=True)
    provider = CalledBackProvider(double.base_url, SecretStr(double.api_key), rules=replace(usual, **rules))
    endings = {
        FailureCode.CONTENT_FILTERED: Ending.AGAINST_POLICY,
        FailureCode.MODEL_UNAVAILABLE: Ending.FAILED,
    }
    return Stand(
        provider,
        double.api_key,
        trouble=lambda operation, kind: double.replies(REPLIES[kind], to=operation),
        never_ends=lambda: double.mood(Mood(ending=Ending.NEVER), times=1),
        fails=lambda code: double.mood(Mood(ending=endings[code]), times=1),
        paid=lambda reference: len(double.submissions_of(reference)),
        callback_body=double.body_of,
    )


def polled_at(double: PolledDouble, **rules: Any) -> Stand:
    provider = PolledProvider(double.base_url, SecretStr(double.api_key), rules=replace(polled.RULES, **rules))
    ends = {FailureCode.CONTENT_FILTERED: End.AGAINST_POLICY, FailureCode.MODEL_UNAVAILABLE: End.FAILED}
    return Stand(
        provider,
        double.api_key,
        trouble=lambda operation, kind: double.replies(REPLIES[kind], to=operation),
        never_ends=lambda: double.course(Course(end=End.NEVER), times=1),
        fails=lambda code: double.course(Course(end=ends[code]), times=1),
        paid=lambda reference: len(double.submissions_of(reference)),
    )


async def call(stand: Stand, operation: Operation) -> object:
    """One of these calls, about a task that there is."""
    if operation == "submit":
        return await stand.provider.submit(an_order())
    if operation == "look":
        return await stand.provider.look(await stand.submitted())
    if operation == "find":
        return await stand.provider.find("any")
    await stand.provider.cancel(await stand.submitted())
    return None


async def test_a_submission_is_answered_with_the_tasks_id_and_paid_for_once(stand: Stand):
    news = await stand.provider.submit(an_order())

    assert news.provider_task_id
    assert news.phase is TaskPhase.WAITING
    assert stand.paid(an_order().reference) == 1


async def test_looks_reach_success_with_one_delivery_for_each_picture_of_the_task(stand: Stand):
    news = await stand.ended(await stand.submitted())

    assert news.phase is TaskPhase.SUCCEEDED
    assert [delivery.position for delivery in news.deliveries] == list(range(stand.provider.rules.images_per_task))
    assert all(has_a_picture(delivery) for delivery in news.deliveries)
    assert news.code is None


def has_a_picture(delivery: Delivery) -> bool:
    return (delivery.url is None) is not (delivery.data is None) and delivery.code is None


async def test_a_look_at_unfinished_work_has_no_deliveries_and_a_progress_within_bounds(stand: Stand):
    stand.never_ends()
    task = await stand.submitted()

    news = await stand.provider.look(task)

    assert not news.phase.is_terminal
    assert news.deliveries == ()
    assert news.progress is None or 0 <= news.progress <= 1


async def test_every_verb_of_the_rules_is_carried_out(stand: Stand):
    for verb in sorted(stand.provider.rules.verbs):
        news = await stand.ended(await stand.submitted(an_order(verb)))

        assert news.phase is TaskPhase.SUCCEEDED, verb
        expected = 1 if verb is Verb.UPSCALE else stand.provider.rules.images_per_task
        assert len(news.deliveries) == expected, verb


@pytest.mark.parametrize("verb", list(Verb))
async def test_a_verb_that_the_rules_do_not_have_is_refused_and_not_paid_for(a_stand: Open, verb: Verb):
    stand = a_stand(verbs=frozenset(Verb) - {verb})

    with pytest.raises(ModelRefused):
        await stand.provider.submit(an_order(verb))

    assert stand.paid(an_order().reference) == 0


async def test_more_pictures_than_a_task_has_are_refused_and_not_paid_for(stand: Stand):
    with pytest.raises(ModelRefused):
        await stand.provider.submit(an_order(images=stand.provider.rules.images_per_task + 1))

    assert stand.paid(an_order().reference) == 0


async def test_every_news_has_the_digest_of_the_answer_and_equal_answers_have_equal_digests(stand: Stand):
    task = await stand.submitted()
    ended = await stand.ended(task)
    again = await stand.provider.look(task)

    assert re.fullmatch("[0-9a-f]{64}", ended.answer_digest or "")
    assert again.answer_digest == ended.answer_digest


@pytest.mark.parametrize("task", ["unknown", "", "..", "../tasks", "a/b", "a?b=c", "a\nb", "x" * 1000, "é"])
async def test_a_look_at_a_task_that_the_provider_does_not_know_says_that_the_work_is_lost(stand: Stand, task: str):
    news = await stand.provider.look(task)

    assert (news.phase, news.code) == (TaskPhase.FAILED, FailureCode.WORK_LOST)


@pytest.mark.parametrize("code", [FailureCode.CONTENT_FILTERED, FailureCode.MODEL_UNAVAILABLE])
async def test_a_task_that_fails_says_why_in_our_words(stand: Stand, code: FailureCode):
    stand.fails(code)

    news = await stand.ended(await stand.submitted())

    assert (news.phase, news.code) == (TaskPhase.FAILED, code)
    assert news.message
    assert CANARY not in news.message


async def test_cancelling_is_quiet_for_tasks_that_have_ended_and_for_unknown_ones(stand: Stand):
    task = await stand.submitted()
    await stand.ended(task)

    for gone in (task, "unknown", "../tasks", ""):
        await stand.provider.cancel(gone)

    assert (await stand.provider.look(task)).phase is TaskPhase.SUCCEEDED


async def test_a_task_at_work_is_cancelled_where_the_provider_can(stand: Stand):
    stand.never_ends()
    task = await stand.submitted()
    await stand.provider.look(task)

    await stand.provider.cancel(task)

    expected = TaskPhase.PROCESSING if stand.provider.name == polled.NAME else TaskPhase.CANCELLED
    assert (await stand.provider.look(task)).phase is expected


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_the_troubles_of_a_submission_have_their_own_errors(stand: Stand, trouble: Trouble):
    stand.trouble("submit", trouble)

    with pytest.raises(ERRORS[trouble]):
        await call(stand, "submit")


@pytest.mark.parametrize("operation", ["look", "find", "cancel"])
@pytest.mark.parametrize("trouble", ANY_CALL)
async def test_the_troubles_of_other_calls_have_their_own_errors(stand: Stand, operation: Operation, trouble: Trouble):
    if stand.provider.name == polled.NAME and operation != "look":
        pytest.skip("it has no such call")
    stand.trouble(operation, trouble)

    with pytest.raises(ERRORS[trouble]):
        await call(stand, operation)


async def test_a_provider_that_wants_fewer_calls_says_for_how_long(stand: Stand):
    stand.trouble("submit", Trouble.BUSY)

    with pytest.raises(ProviderBusy) as busy:
        await call(stand, "submit")

    assert busy.value.retry_after_seconds == 7.0


@pytest.mark.parametrize("trouble", list(Trouble))
async def test_neither_prompt_nor_key_nor_token_is_in_an_error_or_in_a_repr(stand: Stand, trouble: Trouble):
    token = f"token-{CANARY}"
    stand.trouble("submit", trouble)

    with pytest.raises(ChassisError) as caught:
        await stand.provider.submit(an_order(callback_url=f"http://127.0.0.1:9/{token}"))

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(stand.provider)
    assert CANARY not in shown
    assert stand.secret not in shown


async def test_neither_prompt_nor_key_is_in_the_repr_of_news(stand: Stand):
    stand.fails(FailureCode.MODEL_UNAVAILABLE)

    news = await stand.ended(await stand.submitted())

    assert CANARY not in repr(news)
    assert stand.secret not in repr(news)


async def test_a_submission_whose_answer_was_lost_is_found_by_its_reference(stand: Stand):
    if not stand.provider.rules.can_find:
        pytest.skip("it cannot be asked for tasks by reference")
    order = an_order(reference="f" * 32)
    before = stand.paid(order.reference)
    stand.trouble("submit", Trouble.ANSWER_LOST)
    with pytest.raises(ModelTimedOut):
        await stand.provider.submit(order)

    found = await stand.provider.find(order.reference)

    assert stand.paid(order.reference) == before + 1
    assert found is not None
    assert found.provider_task_id is not None
    assert (await stand.ended(found.provider_task_id)).phase is TaskPhase.SUCCEEDED


async def test_nothing_is_found_under_a_reference_that_nothing_was_handed_in_under(stand: Stand):
    if not stand.provider.rules.can_find:
        pytest.skip("it cannot be asked for tasks by reference")
    await stand.submitted()

    assert await stand.provider.find("e" * 32) is None


async def test_a_refused_submission_is_not_found(stand: Stand):
    if not stand.provider.rules.can_find:
        pytest.skip("it cannot be asked for tasks by reference")
    order = an_order(reference="d" * 32)
    stand.trouble("submit", Trouble.REFUSED)
    with pytest.raises(ModelRefused):
        await stand.provider.submit(order)

    assert await stand.provider.find(order.reference) is None


async def test_a_callback_says_what_a_look_says(stand: Stand):
    if stand.callback_body is None:
        pytest.skip("it calls nobody back")
    task = await stand.submitted()
    looked = await stand.ended(task)

    called = stand.provider.read_callback(stand.callback_body(task))

    assert replace(called, look_again_seconds=looked.look_again_seconds) == looked


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html></html>",
        b"\xff\xfe",
        b'{"task_id": "t", "status": "' + CANARY.encode() + b'"}',
    ],
)
async def test_a_body_that_is_no_callback_is_unreadable_and_is_not_quoted(stand: Stand, body: bytes):
    with pytest.raises(CallbackUnreadable) as caught:
        stand.provider.read_callback(body)

    assert CANARY not in "".join(traceback.format_exception(caught.value))


async def test_a_task_goes_on_from_a_picture_of_an_earlier_one(stand: Stand):
    if stand.provider.name == polled.NAME:
        pytest.skip("it keeps no tasks")
    first = await stand.submitted()
    await stand.ended(first)

    order = an_order(Verb.VARY, source=None, parent=ParentTask(first, 3))

    assert (await stand.ended(await stand.submitted(order))).phase is TaskPhase.SUCCEEDED
