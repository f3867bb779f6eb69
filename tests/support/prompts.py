"""The prompt service as a gateway sees it, in memory: a scripted double of the Prompts port."""

from collections.abc import Callable

from imagetron_contracts.message import Message
from imagetron_contracts.rpc import Refusal, Request, RequestRefused
from imagetron_gateway.ports import PromptsRefused, ReplyT

Answer = Message | Exception | Callable[[Request], Message]


class ScriptedPrompts:
    """Answers each kind of request as it was told last, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self._answers: dict[type[Request], Answer] = {}

    def answer(self, request: type[Request], answer: Answer) -> None:
        self._answers[request] = answer

    async def ask(self, request: Request, reply: type[ReplyT], *, within_seconds: float) -> ReplyT:
        assert 0 < within_seconds < 60
        assert request.REPLY is reply
        self.asked.append(request)
        answer = self._answers[type(request)]
        made = answer(request) if not isinstance(answer, Message | Exception) else answer
        if isinstance(made, Exception):
            raise made
        if isinstance(made, RequestRefused):
            raise PromptsRefused(made)
        assert isinstance(made, reply)
        return made


def a_refusal(
    code: Refusal, message: str = "no", *, retryable: bool = False, field: str | None = None, wait: float | None = None
) -> RequestRefused:
    return RequestRefused(message=message, retryable=retryable, code=code, field=field, retry_after_seconds=wait)
