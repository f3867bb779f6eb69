"""The polled provider over real HTTP: what it says to its API and what it makes of the answers."""

import base64
import io
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import Verb
from imagetron_generator.adapters.memory_provider import png
from imagetron_generator.adapters.polled import RULES, PolledProvider
from imagetron_generator.domain.orders import TaskNews, TaskOrder, TaskPhase
from imagetron_generator.ports import (
    CallbackUnreadable,
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)
from support.eventually import eventually
from support.polled_double import Course, End, Hands, PolledDouble, a_polled_double
from support.ports import free_port
from support.provider_double import METADATA_URL, Pictures, Reply

CANARY = "the-violet-heron-of-quillmore"
SIZE = Dimensions(width=96, height=64)
SOURCE = png(SIZE, (1, 2, 3))
# Long enough to connect on a busy machine, short enough to wait for where nothing comes.
SHORT = 2.0


@pytest.fixture(scope="module")
def running() -> Iterator[PolledDouble]:
    with a_polled_double() as double:
        yield double


@pytest.fixture
def double(running: PolledDouble) -> PolledDouble:
    running.reset()
    return running


@asynccontextmanager
async def a_provider(double: PolledDouble, **changes: Any) -> AsyncIterator[PolledProvider]:
    settings = {"base_url": double.base_url, "api_key": SecretStr(double.api_key), **changes}
    provider = PolledProvider(**settings)
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider(double: PolledDouble) -> AsyncIterator[PolledProvider]:
    async with a_provider(double) as opened:
        yield opened


def an_order(verb: Verb = Verb.IMAGINE, **changes: Any) -> TaskOrder:
    order = TaskOrder(
        reference="0123456789abcdef0123456789abcdef",
        verb=verb,
        prompt=f"a lighthouse and {CANARY}",
        negative_prompt="",
        seed=7,
        size=SIZE,
        images=1,
        model="nano-2",
    )
    return replace(order, **changes)


async def ended(provider: PolledProvider, order: TaskOrder | None = None) -> TaskNews:
    task = (await provider.submit(order or an_order())).provider_task_id
    assert task is not None

    async def news() -> TaskNews | None:
        seen = await provider.look(task)
        return seen if seen.phase.is_terminal else None

    return await eventually(news)


async def test_an_imagining_is_the_prompt_as_it_is_with_size_seed_and_our_reference(provider, double):
    prompt = 'ü 漢字 🦩 "quoted"\n\t\x00 --no nothing \u2028'

    await provider.submit(an_order(prompt=prompt))

    assert double.requests[-1].body == {
        "prompt": prompt,
        "width": 96,
        "height": 64,
        "seed": 7,
        "model": "nano-2",
        "reference": "0123456789abcdef0123456789abcdef",
    }
    assert double.requests[-1].headers["authorization"] == f"Bearer {double.api_key}"


async def test_a_variation_takes_its_picture_and_its_strength_along(provider, double):
    await provider.submit(an_order(Verb.VARY, source=SOURCE, strength=0.25))

    body = double.requests[-1].body
    assert body is not None
    assert (base64.b64decode(body["image"]), body["strength"]) == (SOURCE, 0.25)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (an_order(Verb.UPSCALE, source=SOURCE), "cannot upscale"),
        (an_order(Verb.VARY), "without a picture"),
        (an_order(images=2), "one picture in a task, not 2"),
        (an_order(negative_prompt=CANARY), "negative prompt"),
    ],
)
async def test_what_its_api_has_no_words_for_is_refused_before_it_is_called(provider, double, order, why):
    with pytest.raises(ModelRefused, match=why):
        await provider.submit(order)

    assert double.requests == []


async def test_rules_cannot_give_it_a_verb_that_its_api_does_not_have(double):
    async with a_provider(double, rules=replace(RULES, verbs=frozenset(Verb))) as provider:
        with pytest.raises(ModelRefused):
            await provider.submit(an_order(Verb.UPSCALE, source=SOURCE))


async def test_a_task_waits_is_worked_at_and_delivers_one_picture(provider, double):
    double.course(Course(looks=3), times=1)
    task = (await provider.submit(an_order())).provider_task_id

    seen = [await provider.look(task) for _ in range(3)]

    assert [news.phase for news in seen] == [TaskPhase.WAITING, TaskPhase.PROCESSING, TaskPhase.SUCCEEDED]
    (delivery,) = seen[-1].deliveries
    assert delivery.data is not None
    assert Image.open(io.BytesIO(delivery.data)).size == (96, 64)


async def test_the_same_seed_gives_the_same_picture_and_another_seed_another(provider):
    first, again, other = [await ended(provider, an_order(seed=seed)) for seed in (7, 7, 8)]

    assert first.deliveries == again.deliveries
    assert first.deliveries != other.deliveries


async def test_a_picture_may_be_handed_over_by_its_address(provider, double):
    double.course(Course(hands=Hands.URL), times=1)

    (delivery,) = (await ended(provider)).deliveries

    assert delivery.url is not None
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.get(delivery.url)
    assert Image.open(io.BytesIO(answer.content)).size == (96, 64)


async def test_a_big_picture_comes_through_whole(provider):
    size = Dimensions(width=2048, height=2048)

    (delivery,) = (await ended(provider, an_order(size=size))).deliveries

    assert delivery.data is not None
    assert Image.open(io.BytesIO(delivery.data)).size == (2048, 2048)


async def test_a_picture_that_is_no_base64_is_paid_for_and_unreadable(provider, double):
    double.course(Course(hands=Hands.BAD_BASE64), times=1)

    news = await ended(provider)

    assert news.phase is TaskPhase.SUCCEEDED
    assert [(delivery.data, delivery.code) for delivery in news.deliveries] == [(None, FailureCode.RENDER_UNREADABLE)]


async def test_a_picture_may_lie_where_nobody_may_go(provider, double):
    double.course(Course(pictures=Pictures.ONE_METADATA), times=1)

    assert (await ended(provider)).deliveries[0].url == METADATA_URL


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (End.FAILED, FailureCode.MODEL_UNAVAILABLE),
        (End.EMPTY, FailureCode.MODEL_UNAVAILABLE),
        (End.AGAINST_POLICY, FailureCode.CONTENT_FILTERED),
        (End.AGAINST_POLICY_IN_WORDS, FailureCode.CONTENT_FILTERED),
    ],
)
async def test_a_task_that_comes_to_nothing_says_why_in_our_words(provider, double, end, code):
    double.course(Course(end=end), times=1)

    news = await ended(provider)

    assert (news.phase, news.code, news.deliveries) == (TaskPhase.FAILED, code, ())
    assert news.message
    assert CANARY not in repr(news)


async def test_a_prompt_that_speaks_of_safety_is_no_reason_to_call_it_filtered(provider, double):
    double.course(Course(end=End.FAILED), times=1)

    news = await ended(provider, an_order(prompt="a safety helmet"))

    assert news.code is FailureCode.MODEL_UNAVAILABLE


async def test_a_task_that_the_provider_forgot_is_lost(provider, double):
    double.course(Course(end=End.FORGOTTEN), times=1)

    assert (await ended(provider)).code is FailureCode.WORK_LOST


async def test_the_provider_may_say_when_to_look_again(provider, double):
    double.look_again_after = 4
    task = (await provider.submit(an_order())).provider_task_id

    assert (await provider.look(task)).look_again_seconds == 4.0


@pytest.mark.parametrize(
    ("reply", "error", "paid"),
    [
        (Reply.DROPPED, ModelTimedOut, 1),
        (Reply.BROKEN, ModelFailed, 1),
        (Reply.HTML, ModelFailed, 1),
        (Reply.MISSHAPEN, ModelFailed, 1),
        (Reply.UNAVAILABLE, ModelFailed, 0),
        (Reply.RATE_LIMITED, ProviderBusy, 0),
        (Reply.OUT_OF_QUOTA, ProviderQuotaSpent, 0),
        (Reply.UNPAID, ProviderQuotaSpent, 0),
        (Reply.UNAUTHORISED, ProviderMisconfigured, 0),
        (Reply.FORBIDDEN, ProviderMisconfigured, 0),
        (Reply.AGAINST_POLICY, ContentFiltered, 0),
        (Reply.REFUSED, ModelRefused, 0),
        (Reply.MOVED, ProviderMisconfigured, 0),
    ],
)
async def test_each_bad_answer_to_a_submission_has_its_error_and_nothing_is_repeated(
    provider, double, reply, error, paid
):
    double.replies(reply, to="submit")

    with pytest.raises(error):
        await provider.submit(an_order())

    assert len(double.requests) == 1
    assert len(double.submissions) == paid


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply.DROPPED, ModelTimedOut),
        (Reply.BROKEN, ModelFailed),
        (Reply.HTML, ModelFailed),
        (Reply.MISSHAPEN, ModelFailed),
        (Reply.ENDLESS, ModelFailed),
        (Reply.REFUSED, ModelFailed),
        (Reply.RATE_LIMITED, ProviderBusy),
        (Reply.UNPAID, ProviderQuotaSpent),
        (Reply.UNAUTHORISED, ProviderMisconfigured),
    ],
)
async def test_each_bad_answer_to_a_look_has_its_error(provider, double, reply, error):
    task = (await provider.submit(an_order())).provider_task_id
    double.replies(reply, to="look")

    with pytest.raises(error):
        await provider.look(task)


@pytest.mark.parametrize("reply", [Reply.HANGS, Reply.TRICKLES])
async def test_an_answer_that_does_not_end_is_not_waited_for(double, reply):
    double.replies(reply, to="submit")

    async with a_provider(double, seconds=SHORT) as provider:
        with pytest.raises(ModelTimedOut):
            await provider.submit(an_order())

    assert len(double.submissions) == 1


async def test_a_provider_that_is_not_there_has_done_nothing(double):
    async with a_provider(double, base_url=f"http://127.0.0.1:{free_port()}/v1") as provider:
        with pytest.raises(ModelUnavailable):
            await provider.submit(an_order())


async def test_no_error_has_a_word_of_the_provider_its_address_or_our_key(double):
    double.replies(Reply.REFUSED, to="submit")
    order = an_order()

    async with a_provider(double) as provider:
        with pytest.raises(ChassisError) as caught:
            await provider.submit(order)

        shown = "".join(traceback.format_exception(caught.value)) + repr(provider)
    assert [secret for secret in (CANARY, double.api_key, double.origin, "invalid_size") if secret in shown] == []


async def test_it_says_that_it_cannot_search_instead_of_finding_nothing(provider):
    with pytest.raises(ModelFailed, match="by reference"):
        await provider.find("any")


async def test_no_body_is_a_callback_of_it(provider):
    with pytest.raises(CallbackUnreadable):
        provider.read_callback(b'{"id": "t", "status": "COMPLETED"}')
