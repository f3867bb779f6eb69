"""The prompt service in memory: its requests answered as over the broker, a scripted writer, a clock that is set by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from imagetron_chassis.documents import Collection
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.rpc import Handle, RpcServer
from imagetron_chassis.testing import FakeClock
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import (
    Caller,
    EnhancePrompt,
    PaidCall,
    Prompt,
    PromptsWritten,
    ProposeSubjects,
    Request,
    RequestRefused,
    RetitlePrompt,
    Source,
    SubjectsTurn,
    WritePrompts,
)
from imagetron_contracts.topology import RpcQueue
from imagetron_prompt.adapters.calls import CALLS, DocumentCalls
from imagetron_prompt.adapters.prompts import DocumentPrompts
from imagetron_prompt.adapters.turns import DocumentTurns
from imagetron_prompt.domain.written import NOTHING_USED, Draft, Usage, Written
from imagetron_prompt.handlers import Desk, serve_requests
from imagetron_prompt.ports import Writer
from support.builders import NOW

ANNA = Caller(owner="anna")
BERT = Caller(owner="bert")
OPERATOR = Caller(owner="operator", sees_all_owners=True)
MessageT = TypeVar("MessageT", bound=Message)
Say = Any
"""A value, an error to raise, or a function that is awaited for either."""


class ScriptedWriter:
    """Says what it was told, once each and then the last for ever, and remembers what it was asked."""

    def __init__(self, *, usage: Usage = NOTHING_USED) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.usage = usage
        self._says: dict[str, list[Say]] = {}
        self._asking = asyncio.Event()

    def says(self, task: str, *answers: Say) -> None:
        self._says[task] = list(answers)
        self._asking.clear()

    async def was_asked(self) -> None:
        """Return when it has been asked since it was told last what to say."""
        await self._asking.wait()

    async def enhance(self, intent: str, prompt: str, *, budget_seconds: float) -> Written[str]:
        return await self._answer("enhance", intent, prompt, budget_seconds)

    async def subjects(
        self, topic: str, count: int, earlier: Sequence[SubjectsTurn], *, call_id: str, budget_seconds: float
    ) -> Written[tuple[str, ...]]:
        return await self._answer("subjects", topic, count, tuple(earlier), call_id, budget_seconds)

    async def prompts(
        self, subjects: Sequence[str], per_subject: int, style: str, *, call_id: str, budget_seconds: float
    ) -> Written[tuple[Draft, ...]]:
        return await self._answer("prompts", tuple(subjects), per_subject, style, call_id, budget_seconds)

    async def title(self, text: str, current: str, *, call_id: str, budget_seconds: float) -> Written[str]:
        return await self._answer("title", text, current, call_id, budget_seconds)

    async def _answer(self, task: str, *asked: object) -> Written[Any]:
        self.asked.append((task, *asked))
        self._asking.set()
        script = self._says[task]
        said = script.pop(0) if len(script) > 1 else script[0]
        if callable(said):
            said = await said()
        if isinstance(said, Exception):
            raise said
        return Written(said, Source.MODEL, f"{task}@1", self.usage)


class RacingDocuments(InMemoryDocuments):
    """Somebody else is faster: the first `races` replacements find that the version has moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.races = 0

    async def replace(self, collection: Collection, document: Mapping[str, Any], *, if_version: int) -> bool:
        if self.races > 0:
            self.races -= 1
            stored = await self.get(collection, document["_id"])
            assert stored is not None
            await super().replace(collection, stored | {"version": if_version + 1}, if_version=if_version)
        return await super().replace(collection, document, if_version=if_version)


class _Server:
    """The place of the RPC server: remembers who answers what."""

    def __init__(self) -> None:
        self.handles: dict[type[Request], Handle] = {}

    def answer(self, queue: RpcQueue, handle: Handle) -> None:
        self.handles[queue.message] = handle


@dataclass
class Bench:
    """The service; `ask` is one request and its reply, a refusal included. The broker's part is left out."""

    writer: ScriptedWriter = field(default_factory=ScriptedWriter)
    stand_in: Writer | None = None
    documents: RacingDocuments = field(default_factory=RacingDocuments)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    statuses: tuple[str, ...] = ("draft", "approved", "used", "rejected")
    model: str | None = "a-model"

    def __post_init__(self) -> None:
        server = _Server()
        desk = Desk(
            writer=self.writer,
            stand_in=self.stand_in,
            prompts=DocumentPrompts(self.documents),
            turns=DocumentTurns(self.documents),
            calls=DocumentCalls(self.documents),
            clock=self.clock,
            statuses=self.statuses,
            service_version="1.2.3",
            model=self.model,
        )
        serve_requests(cast("RpcServer", server), desk)
        self.handles = server.handles

    async def ask(self, request: Request) -> Message:
        return await self.handles[type(request)](request)

    async def answer(self, request: Request, reply: type[MessageT]) -> MessageT:
        answer = await self.ask(request)
        assert isinstance(answer, reply), answer
        return answer

    async def refusal(self, request: Request) -> RequestRefused:
        return await self.answer(request, RequestRefused)

    async def written(self, *subjects: str, caller: Caller = ANNA, number: int = 1) -> tuple[Prompt, ...]:
        """Prompts that are kept."""
        self.writer.says("prompts", tuple(Draft(one, f"Title of {one}", f"Text of {one}") for one in subjects))
        request = writing(*subjects, caller=caller, call=a_call(f"written-{number}"))
        return (await self.answer(request, PromptsWritten)).prompts

    async def call(self, call_id: str) -> dict[str, Any]:
        """A line of the ledger."""
        document = await self.documents.get(CALLS, call_id)
        assert document is not None
        return document


def gated(gate: Callable[[], Awaitable[object]], said: Say) -> Say:
    """Says it when the gate has opened."""

    async def answer() -> Say:
        await gate()
        return said

    return answer


def a_call(call_id: str = "call-1", fingerprint: str = "print-1") -> PaidCall:
    return PaidCall(id=call_id, fingerprint=fingerprint)


def proposing(**fields: Any) -> ProposeSubjects:
    given: dict[str, Any] = {"caller": ANNA, "call": a_call(), "topic": "harbours", "count": 3, "budget_seconds": 20}
    return ProposeSubjects(**{**given, **fields})


def writing(*subjects: str, **fields: Any) -> WritePrompts:
    given: dict[str, Any] = {"caller": ANNA, "call": a_call(), "subjects": subjects or ("A pier",)}
    return WritePrompts(**{**given, "budget_seconds": 20, **fields})


def retitling(prompt_id: str, **fields: Any) -> RetitlePrompt:
    given: dict[str, Any] = {"caller": ANNA, "call": a_call(), "prompt_id": prompt_id, "budget_seconds": 20}
    return RetitlePrompt(**{**given, **fields})


def enhancing(**fields: Any) -> EnhancePrompt:
    given: dict[str, Any] = {"intent": "homepage card", "prompt": "a pier", "budget_seconds": 1.2}
    return EnhancePrompt(**{**given, **fields})
