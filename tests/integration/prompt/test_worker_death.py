"""A worker dies in the middle of paid calls: nobody pays more than twice for one call, and one answer of each is seen."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.rpc import RpcClient
from imagetron_contracts.rpc import (
    Caller,
    PaidCall,
    ProposeSubjects,
    ReadSubjectsHistory,
    SubjectsHistory,
    SubjectsProposed,
)
from imagetron_prompt.domain.calls import MAX_ATTEMPTS
from support.eventually import eventually
from support.openai_double import OpenAIDouble
from support.service_process import StartService

ANNA = Caller(owner="anna")
POINTS = ["prompt.received", "prompt.claimed", "prompt.asked", "prompt.before_commit", "prompt.before_ack"]
CALLS = [f"call-{number}" for number in range(6)]
BUDGET_SECONDS = 2.0


@pytest.mark.parametrize("point", POINTS)
async def test_a_worker_that_dies_costs_no_call_its_answer_and_none_a_third_payment(
    point: str,
    vhost_url: str,
    caller: RpcClient,
    language_model: OpenAIDouble,
    start_service: StartService,
    tmp_path: Path,
):
    environ = {
        "AMQP_URL": vhost_url,
        "PROMPT_DOCUMENTS_URL": f"sqlite:///{tmp_path}/prompt.sqlite3",
        "OPENAI_API_KEY": language_model.api_key,
        "OPENAI_BASE_URL": language_model.base_url,
    }
    doomed = await asyncio.to_thread(start_service("prompt", **environ, FAULT_PLAN=f"{point}=1").until_ready)
    await asyncio.to_thread(start_service("prompt", **environ).until_ready)

    answers = await asyncio.gather(*(_until_answered(caller, call_id) for call_id in CALLS))

    assert await asyncio.to_thread(doomed.killed_itself)
    paid = Counter(asked.headers["x-client-request-id"] for asked in language_model.requests)
    assert set(paid) == set(CALLS)
    assert max(paid.values()) <= MAX_ATTEMPTS
    history = await caller.call(ReadSubjectsHistory(caller=ANNA), SubjectsHistory, deadline_seconds=5)
    assert sorted(turn.topic for turn in history.turns) == CALLS
    assert {turn.id: turn for turn in history.turns} == {answer.turn.id: answer.turn for answer in answers}


async def _until_answered(caller: RpcClient, call_id: str) -> SubjectsProposed:
    """As a client with an Idempotency-Key does: the same call, again and again, while it may help."""
    request = ProposeSubjects(
        caller=ANNA,
        call=PaidCall(id=call_id, fingerprint="print"),
        topic=call_id,
        count=3,
        budget_seconds=BUDGET_SECONDS,
    )

    async def answer() -> SubjectsProposed | None:
        try:
            return await caller.call(request, SubjectsProposed, deadline_seconds=BUDGET_SECONDS + 3)
        except ChassisError:
            return None

    # The lease of a call whose worker died runs for ten seconds more than its budget.
    return await eventually(answer, within_seconds=60, every_seconds=0.5)
