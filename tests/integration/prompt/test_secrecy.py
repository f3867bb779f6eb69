"""What people write and what a model answers stays between them: nothing of it in logs, spans, metrics or refusals."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagetron_chassis.errors import ChassisError
from imagetron_chassis.rpc import RpcClient
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import (
    Caller,
    ChangePrompt,
    EnhancePrompt,
    ListPrompts,
    PaidCall,
    PromptsWritten,
    ProposeSubjects,
    ReadSubjectsHistory,
    Request,
    RetitlePrompt,
    WritePrompts,
)
from support.openai_double import OpenAIDouble
from support.service_process import ServiceProcess, StartService

CANARY = "canary-93b1"
ANNA = Caller(owner="anna")
BAD_DAYS: list[Callable[[OpenAIDouble], None]] = [
    lambda double: double.behaves(),
    lambda double: double.says({"finalPrompt": "\u200d", "subjects": ["\u200d"], "prompts": [], "title": CANARY}),
    lambda double: double.says(f"{CANARY} is no JSON"),
    lambda double: double.hang(),
    lambda double: double.drops(),
    lambda double: double.broken(),
    lambda double: double.broken(400),
    lambda double: double.rate_limited(30),
    lambda double: double.out_of_quota(),
    lambda double: double.refuses(),
    lambda double: double.filtered(),
    lambda double: double.unknown_model(),
    lambda double: double.speaks_html(),
]


@pytest.fixture
def service(
    vhost_url: str, language_model: OpenAIDouble, start_service: StartService, tmp_path: Path
) -> ServiceProcess:
    return start_service(
        "prompt",
        AMQP_URL=vhost_url,
        PROMPT_DOCUMENTS_URL=f"sqlite:///{tmp_path}/prompt.sqlite3",
        OPENAI_API_KEY=language_model.api_key,
        OPENAI_BASE_URL=language_model.base_url,
        PROMPT_PRICE_INPUT="0.40",
        PROMPT_PRICE_OUTPUT="1.60",
        LOG_LEVEL="debug",
        SPANS_FILE=str(tmp_path / "spans.jsonl"),
    ).until_ready()


async def test_nothing_of_any_text_and_no_key_leaves_the_service_but_in_its_answers(
    service: ServiceProcess, caller: RpcClient, language_model: OpenAIDouble, tmp_path: Path
):
    writing = WritePrompts(caller=ANNA, call=a_call("kept"), subjects=(CANARY,), budget_seconds=5)
    kept = (await caller.call(writing, PromptsWritten, deadline_seconds=10)).prompts[0]
    refusals: list[str] = []
    for number, bad_day in enumerate(BAD_DAYS):
        language_model.reset()
        bad_day(language_model)
        asked = paid_requests(number, kept.id)
        refusals += await asyncio.gather(*(refused(caller, request) for request in asked))
    refusals += [await refused(caller, request) for request in unacceptable(kept.id)]
    async with httpx.AsyncClient() as http:
        metrics = (await http.get(f"{service.url}/metrics")).text
    await asyncio.to_thread(service.stop)

    said = {
        "log": service.output,
        "spans": (tmp_path / "spans.jsonl").read_text(),
        "metrics": metrics,
        "refusals": "\n".join(refusals),
        "ledger": ledger(tmp_path),
    }
    secrets = (CANARY, language_model.api_key)
    assert [where for where, text in said.items() if any(secret in text for secret in secrets)] == []
    assert '"level": "debug"' in said["log"]
    assert "answer prompt.enhance" in said["spans"]
    assert said["refusals"].count("\n") > 40
    assert "call-0-subjects" in said["ledger"]
    assert counted(metrics, "writer_tokens", "gen_ai_token_type", 'purpose="subjects"') > 0
    assert counted(metrics, "writer_cost", 'purpose="enhance"') > 0
    for outcome in ("model", "too_slow", "rate_limited", "quota_exceeded", "unusable", "declined", "failed"):
        assert counted(metrics, "writer_duration", "_count", f'outcome="{outcome}"') > 0, outcome


def a_call(call_id: str) -> PaidCall:
    return PaidCall(id=call_id, fingerprint="print")


def paid_requests(number: int, prompt_id: str) -> list[Request]:
    budget = {"budget_seconds": 0.8}

    def paid(what: str) -> dict[str, Any]:
        return {"caller": ANNA, "call": a_call(f"call-{number}-{what}"), **budget}

    return [
        EnhancePrompt(intent=CANARY, prompt=CANARY, **budget),
        ProposeSubjects(topic=CANARY, count=2, **paid("subjects")),
        WritePrompts(subjects=(CANARY,), style=CANARY, **paid("prompts")),
        RetitlePrompt(prompt_id=prompt_id, **paid("title")),
    ]


def unacceptable(prompt_id: str) -> list[Request]:
    too_long = CANARY * 500
    change: dict[str, Any] = {"caller": ANNA, "prompt_id": prompt_id}
    subjects: dict[str, Any] = {"caller": ANNA, "call": a_call("bad"), "budget_seconds": 1}
    return [
        EnhancePrompt(intent=too_long, prompt=CANARY, budget_seconds=1),
        EnhancePrompt(intent=CANARY, prompt=f"{CANARY}\0", budget_seconds=1),
        ProposeSubjects(topic=too_long, count=1, **subjects),
        WritePrompts(subjects=(CANARY, CANARY), **subjects),
        WritePrompts(subjects=(f"{CANARY}\n",), **subjects),
        WritePrompts(subjects=("A pier",), style=too_long, **subjects),
        ChangePrompt(title=too_long, **change),
        ChangePrompt(text=too_long, **change),
        ChangePrompt(status=CANARY, **change),
        ChangePrompt(title=CANARY, if_version=99, **change),
        ListPrompts(caller=ANNA, after=CANARY),
        ReadSubjectsHistory(caller=ANNA, after=CANARY),
    ]


async def refused(caller: RpcClient, request: Request) -> str:
    """What the caller is told against the request; nothing if it was answered."""
    reply: type[Message] = request.REPLY
    try:
        await caller.call(request, reply, deadline_seconds=10)
    except ChassisError as error:
        return str(error)
    return ""


def ledger(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "prompt.sqlite3")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        [calls] = [name for name in tables if name.endswith("calls")]
        return "\n".join(str(row) for row in database.execute(f'SELECT * FROM "{calls}"'))  # noqa: S608 - its own name


def counted(metrics: str, *words: str) -> float:
    """The sum of the values of all lines with these words."""
    lines = [line for line in metrics.splitlines() if not line.startswith("#") and all(word in line for word in words)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
