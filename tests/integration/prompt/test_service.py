"""The whole prompt service over a real broker: with templates alone, and with a double of the OpenAI API."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetron_chassis.rpc import NoReply, NotNow, Refused, RpcClient
from imagetron_contracts.rpc import (
    Caller,
    ChangePrompt,
    DescribePrompts,
    EnhancePrompt,
    ForgetSubjects,
    GetPrompt,
    ListPrompts,
    PaidCall,
    PromptEnhanced,
    PromptPage,
    PromptRemoved,
    PromptsDescribed,
    PromptShown,
    PromptsWritten,
    ProposeSubjects,
    ReadSubjectsHistory,
    Refusal,
    RemovePrompt,
    RetitlePrompt,
    Source,
    SubjectsForgotten,
    SubjectsHistory,
    SubjectsProposed,
    WritePrompts,
)
from imagetron_prompt.bootstrap import build
from imagetron_prompt.settings import Settings
from support.eventually import eventually
from support.openai_double import OpenAIDouble
from support.ports import free_port

ANNA = Caller(owner="anna")
Running = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def settings(vhost_url: str, tmp_path: Path) -> Callable[..., Settings]:
    def make(**fields: Any) -> Settings:
        fixed = {"amqp_url": vhost_url, "documents_url": f"sqlite:///{tmp_path}/prompt.sqlite3"}
        return Settings.model_validate({**fixed, "probes_port": free_port(), **fields})

    return make


@pytest.fixture
def running(settings: Callable[..., Settings]) -> Running:
    return lambda **fields: build(settings(**fields)).running()


@pytest.fixture
def running_with_model(running: Running, language_model: OpenAIDouble) -> Running:
    key = {"openai_api_key": language_model.api_key, "openai_base_url": language_model.base_url}
    return lambda **fields: running(**key, **fields)


async def describe(caller: RpcClient, deadline_seconds: float = 5) -> PromptsDescribed:
    return await caller.call(DescribePrompts(), PromptsDescribed, deadline_seconds=deadline_seconds)


async def enhance(caller: RpcClient, budget_seconds: float = 5) -> PromptEnhanced:
    request = EnhancePrompt(intent="homepage card", prompt="a pier", budget_seconds=budget_seconds)
    return await caller.call(request, PromptEnhanced, deadline_seconds=10)


def proposing(call_id: str = "call-1", budget_seconds: float = 5) -> ProposeSubjects:
    call = PaidCall(id=call_id, fingerprint="print")
    return ProposeSubjects(caller=ANNA, call=call, topic="harbours", count=3, budget_seconds=budget_seconds)


async def propose(caller: RpcClient, call_id: str = "call-1") -> SubjectsProposed:
    return await caller.call(proposing(call_id), SubjectsProposed, deadline_seconds=10)


async def test_the_service_describes_itself_to_many_callers_at_once(running, caller):
    async with running():
        answers = await asyncio.gather(*(describe(caller) for _ in range(50)))

    described = PromptsDescribed(
        service_version=version("imagetron-prompt"),
        source="offline",
        statuses=("draft", "approved", "used", "rejected"),
    )
    assert set(answers) == {described}


async def test_the_service_is_ready_when_its_queues_have_consumers_and_its_documents_answer(settings):
    chosen = settings()

    async with build(chosen).running(), httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{chosen.probes_port}/readyz")

    assert (answer.status_code, answer.json()["checks"]) == (200, {"broker": "ok", "documents": "ok"})


async def test_a_service_that_has_stopped_answers_nobody(running, caller):
    async with running():
        await describe(caller)

    with pytest.raises(NoReply):
        await describe(caller, deadline_seconds=0.5)


async def test_from_a_topic_to_kept_prompts_without_a_language_model(running, caller):
    async def ask(request, reply):
        return await caller.call(request, reply, deadline_seconds=10)

    def paid(call_id: str) -> PaidCall:
        return PaidCall(id=call_id, fingerprint="print")

    async with running():
        enhanced = await enhance(caller)
        turn = (await propose(caller)).turn
        history = await ask(ReadSubjectsHistory(caller=ANNA), SubjectsHistory)
        write = WritePrompts(caller=ANNA, call=paid("call-2"), subjects=turn.subjects, per_subject=2, budget_seconds=5)
        written = (await ask(write, PromptsWritten)).prompts
        retitle = RetitlePrompt(
            caller=ANNA, call=paid("call-3"), prompt_id=written[0].id, if_version=1, budget_seconds=5
        )
        retitled = (await ask(retitle, PromptShown)).prompt
        change = ChangePrompt(caller=ANNA, prompt_id=written[0].id, if_version=2, text=" mine\n", status="approved")
        changed = (await ask(change, PromptShown)).prompt
        approved = (await ask(ListPrompts(caller=ANNA, status="approved"), PromptPage)).prompts
        await ask(RemovePrompt(caller=ANNA, prompt_id=written[1].id), PromptRemoved)
        left = (await ask(ListPrompts(caller=ANNA), PromptPage)).prompts
        forgotten = await ask(ForgetSubjects(caller=ANNA), SubjectsForgotten)

    assert enhanced.source is Source.OFFLINE
    assert (history.turns, len(turn.subjects), forgotten.count) == ((turn,), 3, 1)
    assert [prompt.subject for prompt in written] == [one for one in turn.subjects for _ in range(2)]
    assert retitled.title != written[0].title
    assert (changed.text, changed.status, changed.version) == (" mine\n", "approved", 3)
    assert approved == (changed,)
    assert {prompt.id for prompt in left} == {prompt.id for prompt in written} - {written[1].id}


async def test_what_is_kept_outlives_the_service(running, caller):
    async with running():
        first = await propose(caller)
    async with running():
        again = await propose(caller)

    assert (again.turn, again.is_replay) == (first.turn, True)


async def test_a_refusal_reaches_the_caller_with_its_word_and_field(running, caller):
    async with running():
        with pytest.raises(Refused) as missing:
            await caller.call(GetPrompt(caller=ANNA, prompt_id="x"), PromptShown, deadline_seconds=5)
        with pytest.raises(Refused) as invalid:
            await caller.call(ListPrompts(caller=ANNA, after="x"), PromptPage, deadline_seconds=5)

    assert missing.value.refusal.code is Refusal.NOT_FOUND
    assert (invalid.value.refusal.code, invalid.value.refusal.field) == (Refusal.INVALID, "after")


async def test_with_a_key_the_language_model_writes(running_with_model, caller, language_model):
    async with running_with_model():
        described = await describe(caller)
        enhanced = await enhance(caller)
        proposed = await propose(caller)
        again = await propose(caller)

    assert (described.source, described.model) == ("model", "gpt-4.1-mini")
    assert (enhanced.source, enhanced.final_prompt) == (
        Source.MODEL,
        "a pier, in soft morning light, made for homepage card",
    )
    assert proposed.turn.subjects == ("harbours, view 1", "harbours, view 2", "harbours, view 3")
    assert again.turn == proposed.turn
    assert len(language_model.requests) == 2


FAILURES: list[tuple[Callable[[OpenAIDouble], None], type[Exception], Refusal]] = [
    (lambda double: double.hang(), NotNow, Refusal.TIMED_OUT),
    (lambda double: double.broken(), NotNow, Refusal.UNAVAILABLE),
    (lambda double: double.drops(), NotNow, Refusal.UNAVAILABLE),
    (lambda double: double.malformed(), NotNow, Refusal.UNAVAILABLE),
    (lambda double: double.rate_limited(30), NotNow, Refusal.RATE_LIMITED),
    (lambda double: double.out_of_quota(), Refused, Refusal.QUOTA_EXCEEDED),
    (lambda double: double.refuses(), Refused, Refusal.CONTENT_FILTERED),
    (lambda double: double.filtered(), Refused, Refusal.CONTENT_FILTERED),
    (lambda double: double.unknown_model(), Refused, Refusal.INTERNAL),
]


@pytest.mark.parametrize(("fails", "kind", "code"), FAILURES)
async def test_each_failure_of_the_language_model_is_told_and_no_template_answers_in_its_place(
    running_with_model, caller, language_model, fails, kind, code
):
    fails(language_model)

    async with running_with_model():
        with pytest.raises(kind) as refused:
            await enhance(caller, budget_seconds=0.8)

    assert refused.value.refusal.code is code
    if code is Refusal.RATE_LIMITED:
        assert refused.value.refusal.retry_after_seconds == 30


async def test_a_template_enhances_in_its_place_where_that_is_configured(running_with_model, caller, language_model):
    language_model.broken()

    async with running_with_model(enhance_fallback="offline"):
        enhanced = await enhance(caller, budget_seconds=0.8)
        with pytest.raises(NotNow):
            await propose(caller)

    assert enhanced.source is Source.OFFLINE


async def test_a_service_that_is_asked_to_stop_answers_what_it_has_in_hand(running_with_model, caller, language_model):
    language_model.slow(0.8)

    async with running_with_model():
        under_way = asyncio.create_task(propose(caller))
        await eventually(lambda: language_model.requests)

    assert (await under_way).turn.subjects[0] == "harbours, view 1"


async def test_what_is_not_answered_when_the_grace_is_over_is_refused_for_now(
    running_with_model, caller, language_model
):
    language_model.hang()

    async with running_with_model(shutdown_grace_seconds=0.2):
        under_way = asyncio.create_task(propose(caller))
        await eventually(lambda: language_model.requests)

    with pytest.raises(NotNow) as refused:
        await under_way
    assert refused.value.refusal.code is Refusal.UNAVAILABLE
