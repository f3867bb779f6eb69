"""Every kind of request has its answer, and every refusal its word."""

import pytest

from imagetron_chassis.cursors import InvalidCursor
from imagetron_chassis.errors import Transient
from imagetron_contracts.rpc import REQUESTS, DescribePrompts, PromptsDescribed, Refusal
from imagetron_prompt.domain import errors
from imagetron_prompt.handlers import refusal
from imagetron_prompt.ports import Declined, TooSlow, Unusable
from unit.prompt.desks import Bench, enhancing, proposing, writing
from unit.prompt.test_refusals import REFUSED

CANARY = "canary-7d1e"


def test_every_kind_of_request_is_answered():
    assert set(Bench().handles) == set(REQUESTS)


async def test_the_service_says_which_language_model_is_asked_and_which_labels_there_are():
    described = await Bench(statuses=("new", "done")).answer(DescribePrompts(), PromptsDescribed)

    assert described == PromptsDescribed(
        service_version="1.2.3", source="model", model="a-model", statuses=("new", "done")
    )


async def test_without_a_language_model_the_service_says_so():
    described = await Bench(model=None).answer(DescribePrompts(), PromptsDescribed)

    assert (described.source, described.model) == ("offline", None)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (errors.Invalid("topic", "no"), Refusal.INVALID, False),
        (InvalidCursor("no"), Refusal.INVALID, False),
        (errors.NotFound("no"), Refusal.NOT_FOUND, False),
        (errors.Changed("no"), Refusal.CHANGED, False),
        (errors.KeyReused("no"), Refusal.KEY_REUSED, False),
        (errors.StillRunning(3.5), Refusal.STILL_RUNNING, True),
        (errors.OutcomeUnknown("no"), Refusal.UNKNOWN_OUTCOME, False),
        (TooSlow("no"), Refusal.TIMED_OUT, True),
        (Unusable("no"), Refusal.UNAVAILABLE, True),
        (Declined("no"), Refusal.CONTENT_FILTERED, False),
    ],
)
def test_each_error_is_one_word_and_says_whether_to_try_again(error, code, retryable):
    told = refusal(error)

    assert (told.code, told.retryable, told.message) == (code, retryable, str(error))
    assert told.field == {errors.Invalid: "topic", InvalidCursor: "after"}.get(type(error))
    assert told.retry_after_seconds == (3.5 if code is Refusal.STILL_RUNNING else None)


def test_no_error_of_the_service_is_without_a_word():
    assert all(refusal(kind("x", "y") if kind is errors.Invalid else kind(1)) for kind in NOT_CARRIED_OUT)


async def test_other_errors_are_left_to_the_chassis():
    bench = Bench()
    bench.writer.says("enhance", Transient("away"))

    with pytest.raises(Transient):
        await bench.ask(enhancing())


@pytest.mark.parametrize("request_", [one for one, _ in REFUSED], ids=range(len(REFUSED)))
async def test_no_refusal_quotes_the_request(request_):
    fields = {name: _marked(value) for name, value in request_ if name not in {"caller", "call"}}
    marked = request_.model_copy(update=fields)

    refused = await Bench().ask(marked)

    assert CANARY not in refused.model_dump_json()


@pytest.mark.parametrize(
    ("task", "request_", "said"),
    [
        ("subjects", proposing(topic=CANARY), ("\0",)),
        ("prompts", writing(CANARY), ()),
        ("enhance", enhancing(prompt=CANARY, intent=CANARY), "\0"),
    ],
)
async def test_no_refusal_quotes_the_answer_or_what_it_was_for(task, request_, said):
    bench = Bench()
    bench.writer.says(task, said)

    refused = await bench.refusal(request_)

    assert CANARY not in refused.model_dump_json()


def _marked(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_marked, value))
    return CANARY + value if isinstance(value, str) and value.strip() else value


NOT_CARRIED_OUT = errors.NotCarriedOut.__subclasses__()
