"""Inbound: requests over the broker. Which use case answers which, and what each refusal says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.cursors import InvalidCursor
from imagetron_chassis.faults import fault_point
from imagetron_chassis.rpc import Handle, RpcServer
from imagetron_contracts import rpc
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import Refusal, Request, RequestRefused
from imagetron_contracts.topology import rpc_queue_of
from imagetron_prompt import usecases
from imagetron_prompt.domain.errors import (
    Changed,
    Invalid,
    KeyReused,
    NotFound,
    OutcomeUnknown,
    StillRunning,
)
from imagetron_prompt.ports import Calls, Declined, Prompts, TooSlow, Turns, Unusable, Writer

UseCase = Callable[[Any], Awaitable[Message]]
"""Answers one kind of request. Which kind, the queue says that it is asked on."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What answering needs. `stand_in` enhances when the writer cannot; `model` is None without a language model."""

    writer: Writer
    stand_in: Writer | None
    prompts: Prompts
    turns: Turns
    calls: Calls
    clock: Clock
    statuses: tuple[str, ...]
    service_version: str
    model: str | None


def serve_requests(server: RpcServer, desk: Desk) -> None:
    """Answer every kind of request."""
    for request, work in _work(desk).items():
        server.answer(rpc_queue_of(request), answering(work))


def answering(work: UseCase) -> Handle:
    """With the reply, or with the refusal that stands for the error. Other errors of the chassis are the chassis' to tell."""

    async def answer(request: Message) -> Message:
        fault_point("prompt.received")
        try:
            reply = await work(request)
        except tuple(_REFUSALS) as error:
            return refusal(error)
        # The broker has no ack yet, and the caller no reply.
        fault_point("prompt.before_ack")
        return reply

    return answer


def refusal(error: Exception) -> RequestRefused:
    """What the caller is told. The errors' sentences hold no text of any request or answer."""
    return next(told(error) for kind, told in _REFUSALS.items() if isinstance(error, kind))


def _work(desk: Desk) -> Mapping[type[Request], UseCase]:
    turns, prompts, calls, clock = desk.turns, desk.prompts, desk.calls, desk.clock
    describe = partial(
        usecases.describe_prompts,
        service_version=desk.service_version,
        model=desk.model,
        statuses=desk.statuses,
    )
    write = partial(usecases.write_prompts, writer=desk.writer, prompts=prompts, calls=calls, clock=clock)
    return {
        rpc.DescribePrompts: describe,
        rpc.EnhancePrompt: partial(usecases.enhance_prompt, writer=desk.writer, stand_in=desk.stand_in),
        rpc.ProposeSubjects: partial(
            usecases.propose_subjects, writer=desk.writer, turns=turns, calls=calls, clock=clock
        ),
        rpc.ReadSubjectsHistory: partial(usecases.read_subjects_history, turns=turns),
        rpc.ForgetSubjects: partial(usecases.forget_subjects, turns=turns),
        rpc.WritePrompts: partial(write, new_status=desk.statuses[0]),
        rpc.ListPrompts: partial(usecases.list_prompts, prompts=prompts),
        rpc.GetPrompt: partial(usecases.get_prompt, prompts=prompts),
        rpc.ChangePrompt: partial(usecases.change_prompt, prompts=prompts, clock=clock, statuses=desk.statuses),
        rpc.RetitlePrompt: partial(
            usecases.retitle_prompt, writer=desk.writer, prompts=prompts, calls=calls, clock=clock
        ),
        rpc.RemovePrompt: partial(usecases.remove_prompt, prompts=prompts),
    }


def _final(code: Refusal) -> Callable[[Any], RequestRefused]:
    return lambda error: RequestRefused(message=str(error), retryable=False, code=code)


def _for_now(code: Refusal) -> Callable[[Any], RequestRefused]:
    return lambda error: RequestRefused(message=str(error), retryable=True, code=code)


def _invalid(error: Invalid) -> RequestRefused:
    return RequestRefused(message=str(error), retryable=False, code=Refusal.INVALID, field=error.field)


def _invalid_cursor(error: InvalidCursor) -> RequestRefused:
    return RequestRefused(message=str(error), retryable=False, code=Refusal.INVALID, field="after")


def _still_running(error: StillRunning) -> RequestRefused:
    return RequestRefused(
        message=str(error),
        retryable=True,
        code=Refusal.STILL_RUNNING,
        retry_after_seconds=error.retry_after_seconds,
    )


_REFUSALS: Final[Mapping[type[Exception], Callable[[Any], RequestRefused]]] = {
    Invalid: _invalid,
    InvalidCursor: _invalid_cursor,
    NotFound: _final(Refusal.NOT_FOUND),
    Changed: _final(Refusal.CHANGED),
    KeyReused: _final(Refusal.KEY_REUSED),
    StillRunning: _still_running,
    OutcomeUnknown: _final(Refusal.UNKNOWN_OUTCOME),
    TooSlow: _for_now(Refusal.TIMED_OUT),
    Unusable: _for_now(Refusal.UNAVAILABLE),
    Declined: _final(Refusal.CONTENT_FILTERED),
}
