"""The writer that asks a language model, over the chat completions that OpenAI and many other servers speak.

What the user wrote goes into the user's message as JSON data; the system message is ours alone. Neither the request nor
the answer is in any error: errors are raised where the exception that holds them is out of reach.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from openai import AsyncOpenAI, OpenAIError, Timeout
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr, ValidationError

from imagetron_chassis.errors import ChassisError, Permanent
from imagetron_contracts.rpc import Source, SubjectsTurn
from imagetron_prompt.adapters.instructions import Instructions, load
from imagetron_prompt.adapters.openai_answers import (
    AnswerT,
    Completion,
    FinalPrompt,
    Prompts,
    Subjects,
    Title,
    Tokens,
    answered,
    drafts,
)
from imagetron_prompt.adapters.openai_errors import translated
from imagetron_prompt.adapters.patience import HURRIED, PATIENT, Patience, Tries
from imagetron_prompt.domain.written import Draft, Usage, Written, spent
from imagetron_prompt.ports import TooSlow, Unusable

OPENAI_URL: Final = "https://api.openai.com/v1"
_CONNECT_SECONDS: Final = 5.0
_MAX_EARLIER_TURNS: Final = 10
_MAX_CALL_ID_CHARACTERS: Final = 512  # OpenAI's bound for X-Client-Request-Id
# Bounds for the output, far above what the instructions ask for: they end a model that runs away. A bound that cuts off
# a good answer costs the same and yields nothing, and a reasoning model's thoughts count too.
_THINKING_TOKENS: Final = 4000
_TEXT_TOKENS: Final = 1000
_SUBJECT_TOKENS: Final = 100
_TITLE_TOKENS: Final = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens. Discounts for cached input are not counted: the cost may be less than we say."""

    input: Decimal
    output: Decimal


@dataclass(slots=True)
class _Spent:
    """What the tries of one request used, the unusable answers' share included."""

    prices: Prices | None
    total: Usage = field(default_factory=Usage)

    def add(self, tokens: Tokens | None) -> None:
        """Count an answer. Small local servers tell no usage: nothing is counted then."""
        used = tokens or Tokens(prompt_tokens=0, completion_tokens=0)
        inputs = self.total.input_tokens + used.prompt_tokens
        outputs = self.total.output_tokens + used.completion_tokens
        price = self.prices
        cost = (inputs * price.input + outputs * price.output) / 1_000_000 if price else None
        self.total = Usage(inputs, outputs, cost)


class OpenAIWriter:
    """One client for the process; it connects at the first call and keeps its connections.

    The SDK repeats nothing by itself: it would repeat calls whose outcome is unknown, and pay for them again. Its default
    of 1000 connections is plenty.
    """

    def __init__(
        self,
        base_url: str | None,
        api_key: SecretStr,
        model: str,
        prices: Prices | None = None,
        *,
        patient: Patience = PATIENT,
        hurried: Patience = HURRIED,
    ) -> None:
        self._client = AsyncOpenAI(
            api_key=api_key.get_secret_value(), base_url=base_url or OPENAI_URL, max_retries=0, timeout=None
        )
        self._model = model
        self._prices = prices
        self._patient = patient
        self._hurried = hurried
        self._enhance = load("enhance", 1)
        self._subjects = load("subjects", 1)
        self._prompts = load("prompts", 1)
        self._title = load("title", 1)

    async def enhance(self, intent: str, prompt: str, *, budget_seconds: float) -> Written[str]:
        """One more try at most, and only soon: the person who waits is better served by an early error."""
        order = _Order(
            self._enhance, FinalPrompt, [_user(intent=intent, prompt=prompt)], _TEXT_TOKENS, patience=self._hurried
        )
        return await self._written(order, lambda answer: answer.final_prompt, budget_seconds)

    async def subjects(
        self, topic: str, count: int, earlier: Sequence[SubjectsTurn], *, call_id: str, budget_seconds: float
    ) -> Written[tuple[str, ...]]:
        """The last turns go along as the conversation that they were; one that grows for ever would cost ever more."""
        messages = [message for turn in earlier[-_MAX_EARLIER_TURNS:] for message in _turn(turn)]
        messages.append(_user(topic=topic, count=count))
        order = _Order(self._subjects, Subjects, messages, _SUBJECT_TOKENS * count, self._patient, call_id)

        def read(answer: Subjects) -> tuple[str, ...]:
            if not answer.subjects:
                raise Unusable("the language model proposed no subject")
            return tuple(answer.subjects[:count])

        return await self._written(order, read, budget_seconds)

    async def prompts(
        self, subjects: Sequence[str], per_subject: int, style: str, *, call_id: str, budget_seconds: float
    ) -> Written[tuple[Draft, ...]]:
        numbered = [{"index": index, "subject": subject} for index, subject in enumerate(subjects)]
        message = _user(subjects=numbered, perSubject=per_subject, style=style)
        tokens = len(subjects) * per_subject * (_TEXT_TOKENS + _TITLE_TOKENS)
        order = _Order(self._prompts, Prompts, [message], tokens, self._patient, call_id)
        return await self._written(order, lambda answer: drafts(answer, subjects, per_subject), budget_seconds)

    async def title(self, text: str, current: str, *, call_id: str, budget_seconds: float) -> Written[str]:
        message = _user(text=text, current=current)
        order = _Order(self._title, Title, [message], _TITLE_TOKENS, self._patient, call_id)
        return await self._written(order, lambda answer: answer.title, budget_seconds)

    async def close(self) -> None:
        await self._client.close()

    async def _written(
        self, order: "_Order[AnswerT]", read: Callable[[AnswerT], T], budget_seconds: float
    ) -> Written[T]:
        """The answer of the first try that has a good one; pauses and all tries together end within the budget."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + budget_seconds
        tries = Tries(order.patience, budget_seconds)
        spent_so_far = _Spent(self._prices)
        while True:
            try:
                completion = await self._called(order, deadline)
                spent_so_far.add(completion.usage)
                value = read(answered(completion, order.form))
                return Written(value, Source.MODEL, order.instructions.template, spent_so_far.total)
            except ChassisError as error:
                pause = tries.pause_after(error, deadline - clock())
                if pause is None:
                    raise spent(error, spent_so_far.total) from None
            await asyncio.sleep(pause)

    async def _called(self, order: "_Order[Any]", deadline: float) -> Completion:
        """One call. Ours is the deadline that counts: the SDK's timeouts begin anew with every byte that trickles in."""
        seconds = max(0.0, deadline - asyncio.get_running_loop().time())
        failure: ChassisError
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=[{"role": "system", "content": order.instructions.text}, *order.messages],
                    response_format={
                        "type": "json_schema",
                        "json_schema": {
                            "name": order.form.__name__,
                            "schema": order.form.model_json_schema(),
                            "strict": True,
                        },
                    },
                    # Not max_tokens, which reasoning models refuse. Servers that know only the old name are bounded by
                    # our deadline alone. No temperature, for the same reason.
                    max_completion_tokens=_THINKING_TOKENS + order.output_tokens,
                    extra_headers=order.headers(),
                    # A server that cannot be reached is found out while there is time for another try.
                    timeout=Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds / 3)),
                )
                return Completion.model_validate_json(response.http_response.content)
        except TimeoutError:
            failure = TooSlow("the language model did not answer within the budget")
        except OpenAIError as error:
            failure = translated(error)
        except ValidationError:
            failure = Unusable("the language model's server answered something else than a chat completion")
        except UnicodeError:
            failure = Permanent("the request or the API key holds characters that cannot be sent")
        raise failure


@dataclass(frozen=True, slots=True)
class _Order(Generic[AnswerT]):
    """One request of ours, whatever number of calls it takes."""

    instructions: Instructions
    form: type[AnswerT]
    messages: list[ChatCompletionMessageParam]
    output_tokens: int
    patience: Patience
    call_id: str | None = None

    def headers(self) -> dict[str, str] | None:
        """The call's id, by which the vendor's support finds a call that we never had an answer to."""
        if self.call_id is None:
            return None
        return {"X-Client-Request-Id": quote(self.call_id, safe="-_.:")[:_MAX_CALL_ID_CHARACTERS]}


def _user(**data: object) -> ChatCompletionMessageParam:
    return {"role": "user", "content": json.dumps(data, ensure_ascii=False)}


def _turn(turn: SubjectsTurn) -> tuple[ChatCompletionMessageParam, ChatCompletionMessageParam]:
    answer = json.dumps({"subjects": turn.subjects}, ensure_ascii=False)
    return _user(topic=turn.topic, count=len(turn.subjects)), {"role": "assistant", "content": answer}
