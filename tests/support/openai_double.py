"""A double of the OpenAI API on loopback: chat completions with structured outputs, their errors, and bad days on demand.

It speaks the real wire format, checks the key and the form of each request as OpenAI does, and remembers every request.
Any client can use it, in this process or another: `with an_openai_double() as double: ... double.base_url, double.api_key`.
Good answers follow from the user's data. A script says what happens to the next `times` calls, or to all others.

Its error messages quote what the user wrote, as those of real servers may.
"""

import asyncio
import itertools
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final, Literal

import uvicorn

from support.eventually import eventually_sync

INPUT_TOKENS: Final = 1200
"""Of each answer, whatever was asked."""
OUTPUT_TOKENS: Final = 300

_SCHEMA_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_HISTORY_ROLES: Final = ("developer", "system", "user", "assistant")
_MALFORMED: Final = '{"finalPrompt": "A lighthouse'
_REFUSAL: Final = "I'm sorry, but I can't help with that request."


@dataclass(frozen=True)
class Asked:
    """One request as it came; `body` is None where it was no JSON."""

    headers: dict[str, str]
    body: dict[str, Any] | None

    @property
    def messages(self) -> list[dict[str, str]]:
        return list((self.body or {}).get("messages", []))

    @property
    def data(self) -> dict[str, Any]:
        """What the last message of the user says, as JSON."""
        return dict(json.loads(self.messages[-1]["content"]))


class Exchange:
    """One request under way, and the ways to answer any. `quoted` is what error messages repeat of it."""

    def __init__(self, number: int, receive, send, *, quoted: str = "") -> None:
        self._request_id = f"req_double{number:08d}"
        self._number = number
        self._quoted = quoted
        self._receive = receive
        self._send = send

    async def fails(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        error = {"message": f"{message} {self._quoted}", "type": kind, "param": param, "code": code}
        await self.replies(status, {"error": error}, headers=headers)

    async def replies(
        self, status: int, body: Any, *, content_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self._starts(status, len(payload), content_type, headers or {})
        await self._send({"type": "http.response.body", "body": payload})

    async def breaks_off(self) -> None:
        """Half an answer; returning from here without the rest makes uvicorn close the connection."""
        await self._starts(200, 4096, "application/json", {})
        await self._send({"type": "http.response.body", "body": b'{"id": "chatcmpl-', "more_body": True})

    async def trickles(self) -> None:
        """A byte now and then: no read ever times out."""
        await self._starts(200, 1_000_000, "application/json", {})
        while True:
            await self._send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.02)

    async def until_the_caller_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _starts(self, status: int, length: int, content_type: str, headers: dict[str, str]) -> None:
        head = {
            "content-type": content_type,
            "content-length": str(length),
            "x-request-id": self._request_id,
            "openai-processing-ms": "7",
            "openai-version": "2020-10-01",
            **headers,
        }
        lines = [(name.encode(), value.encode()) for name, value in head.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})


Behaviour = Callable[[Any], Awaitable[None]]
"""What becomes of a call: of an `Exchange`, or the kind of it that the double makes."""


@dataclass
class ScriptedApi:
    """What every double of the API has: a key, and a script of what happens to calls.

    Each line of the script is about the next `times` calls, after those already scripted, or about all others.
    """

    base_url: str
    api_key: str = "sk-double-0123456789"
    _next: deque[Behaviour] = field(default_factory=deque)
    _usual: Behaviour | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def answers_well(self, call: Any) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        """As new: good answers."""
        self._next.clear()
        self._usual = None

    def behaves(self, times: int | None = None) -> None:
        """Well, that is."""
        self._script(self.answers_well, times)

    def slow(self, seconds: float, times: int | None = None) -> None:
        async def answer(call: Exchange) -> None:
            await asyncio.sleep(seconds)
            await self.answers_well(call)

        self._script(answer, times)

    def hang(self, times: int | None = None) -> None:
        self._script(lambda call: call.until_the_caller_leaves(), times)

    def trickles(self, times: int | None = None) -> None:
        self._script(lambda call: call.trickles(), times)

    def drops(self, times: int | None = None) -> None:
        """The connection, in the middle of an answer."""
        self._script(lambda call: call.breaks_off(), times)

    def rate_limited(
        self,
        retry_after: float | None = 1.0,
        times: int | None = None,
        *,
        form: Literal["seconds", "milliseconds", "date"] = "seconds",
    ) -> None:
        async def answer(call: Exchange) -> None:
            headers = {} if retry_after is None else retry_after_header(retry_after, form)
            message = f"Rate limit reached for requests. Please try again in {retry_after}s."
            await call.fails(429, message, kind="requests", code="rate_limit_exceeded", headers=headers)

        self._script(answer, times)

    def out_of_quota(self, times: int | None = None) -> None:
        message = "You exceeded your current quota, please check your plan and billing details."
        self.refuses_with(429, "insufficient_quota", times, kind="insufficient_quota", message=message)

    def broken(self, status: int = 500, times: int | None = None) -> None:
        message = "The server had an error while processing your request. Sorry about that!"
        self.refuses_with(status, None, times, kind="server_error", message=message)

    def refuses_with(
        self,
        status: int,
        code: str | None,
        times: int | None = None,
        *,
        kind: str = "invalid_request_error",
        message: str = "The request cannot be processed.",
    ) -> None:
        self._script(lambda call: call.fails(status, message, kind=kind, code=code), times)

    def unknown_model(self, times: int | None = None) -> None:
        message = "The model does not exist or you do not have access to it."
        self.refuses_with(404, "model_not_found", times, message=message)

    def speaks_html(self, times: int | None = None) -> None:
        """No answer of the API at all, but with a good status: a proxy's page."""
        page = b"<html><body>Welcome to the network</body></html>"
        self._script(lambda call: call.replies(200, page, content_type="text/html"), times)

    def _script(self, behaviour: Behaviour, times: int | None) -> None:
        if times is None:
            self._usual = behaviour
        else:
            self._next.extend([behaviour] * times)

    # The server.

    def is_known(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {self.api_key}"

    async def behave(self, call: Exchange) -> None:
        behaviour = self._next.popleft() if self._next else self._usual or self.answers_well
        await behaviour(call)


class Call(Exchange):
    """A request for a chat completion."""

    def __init__(self, number: int, asked: Asked, receive, send) -> None:
        super().__init__(number, receive, send, quoted=_quoted(asked))
        self.asked = asked

    async def succeeds(self, content: str | None, *, finish_reason: str = "stop", refusal: str | None = None) -> None:
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        await self.completes([choice])

    async def completes(self, choices: list[dict[str, Any]]) -> None:
        await self.replies(
            200,
            {
                "id": f"chatcmpl-double{self._number:08d}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": (self.asked.body or {}).get("model"),
                "choices": choices,
                "usage": {
                    "prompt_tokens": INPUT_TOKENS,
                    "completion_tokens": OUTPUT_TOKENS,
                    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
                    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
                },
                "service_tier": "default",
                "system_fingerprint": "fp_double",
            },
        )


def _quoted(asked: Asked) -> str:
    said = " ".join(str(message.get("content")) for message in asked.messages if message.get("role") == "user")
    return f"You wrote: {said[:2000]}" if said else ""


@dataclass
class OpenAIDouble(ScriptedApi):
    """`requests` holds all there were, in the order in which they came, well-formed or not."""

    requests: list[Asked] = field(default_factory=list)

    def reset(self) -> None:
        """As new: good answers, and no request seen."""
        super().reset()
        self.requests.clear()

    async def answers_well(self, call: Call) -> None:
        answer = _good_answer(call.asked)
        if answer is None:
            await call.fails(400, "The double has no answer to this.", param="messages")
        else:
            await call.succeeds(json.dumps(answer))

    def says(self, content: dict[str, Any] | str, times: int | None = None) -> None:
        """This, whatever is asked."""
        text = content if isinstance(content, str) else json.dumps(content)
        self._script(lambda call: call.succeeds(text), times)

    def malformed(self, times: int | None = None) -> None:
        """An answer whose content is no JSON."""
        self.says(_MALFORMED, times)

    def wrong_shape(self, times: int | None = None) -> None:
        """An answer whose content is JSON of another schema."""
        self.says({"unexpected": ["nothing", "that", "was", "asked", "for"]}, times)

    def empty(self, times: int | None = None) -> None:
        """An answer without choices."""
        self._script(lambda call: call.completes([]), times)

    def refuses(self, times: int | None = None) -> None:
        """The model declines in a message of its own."""
        self._script(lambda call: call.succeeds(None, refusal=_REFUSAL), times)

    def filtered(self, times: int | None = None) -> None:
        """The content filter ends the answer."""
        self._script(lambda call: call.succeeds(_MALFORMED, finish_reason="content_filter"), times)

    def cut_off(self, times: int | None = None) -> None:
        """The answer reaches the bound for its output."""
        self._script(lambda call: call.succeeds(_MALFORMED, finish_reason="length"), times)

    # The server.

    async def __call__(self, scope, receive, send) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        asked = Asked(headers, parsed_object(await read_body(receive)))
        call = Call(next(self._numbers), asked, receive, send)
        if (scope["method"], scope["path"]) != ("POST", "/v1/chat/completions"):
            await call.fails(404, f"Invalid URL ({scope['method']} {scope['path']})")
            return
        self.requests.append(asked)
        if not self.is_known(headers):
            await call.fails(401, "Incorrect API key provided: sk-wrong****.", code="invalid_api_key")
            return
        fault = _fault(asked.body)
        if fault is not None:
            await call.fails(400, fault.message, code=fault.code, param=fault.param)
            return
        await self.behave(call)


@contextmanager
def an_openai_double() -> Iterator[OpenAIDouble]:
    """A server of one's own, in a thread with its own loop: callers that block their loop do not block it."""
    with a_loopback_socket() as listener:
        double = OpenAIDouble(f"http://{address_of(listener)}/v1")
        with served(double, listener):
            yield double


@contextmanager
def a_loopback_socket() -> Iterator[socket.socket]:
    """Bound to a free port; what serves on it closes it too."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def served(application: Any, listener: socket.socket) -> Iterator[None]:
    """The application in a thread, until the end of the block."""
    config = uvicorn.Config(
        application, loop="asyncio", ws="none", lifespan="off", access_log=False, log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    serving.start()
    try:
        eventually_sync(lambda: server.started or not serving.is_alive())
        assert server.started, "the double did not start"
        yield
    finally:
        server.should_exit = True
        server.force_exit = True  # callers that still hang are not waited for
        serving.join(10)


async def read_body(receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def parsed_object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def retry_after_header(seconds: float, form: Literal["seconds", "milliseconds", "date"]) -> dict[str, str]:
    if form == "milliseconds":
        return {"retry-after-ms": f"{seconds * 1000:.0f}"}
    if form == "date":
        return {"retry-after": formatdate(time.time() + seconds, usegmt=True)}
    return {"retry-after": f"{seconds:g}"}


@dataclass(frozen=True)
class _Fault:
    message: str
    param: str
    code: str | None = None


def _fault(body: dict[str, Any] | None) -> _Fault | None:
    """What OpenAI would say against the request, for a reasoning model, which takes the fewest parameters."""
    if body is None:
        return _Fault("We could not parse the JSON body of your request.", "body")
    if not isinstance(body.get("model"), str) or not body["model"]:
        return _Fault("You must provide a model parameter.", "model", "missing_required_parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return _Fault("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _HISTORY_ROLES:
            return _Fault("Invalid value.", f"messages[{index}].role", "invalid_value")
        if not isinstance(message.get("content"), str):
            return _Fault("Invalid type.", f"messages[{index}].content", "invalid_type")
    for name in ("max_tokens", "temperature", "top_p"):
        if name in body:
            return _Fault(
                f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
            )
    return _format_fault(body.get("response_format"))


def _format_fault(response_format: Any) -> _Fault | None:
    if not isinstance(response_format, dict) or response_format.get("type") != "json_schema":
        return _Fault("The double knows json_schema alone.", "response_format.type", "invalid_value")
    wanted = response_format.get("json_schema")
    if not isinstance(wanted, dict) or not _SCHEMA_NAME.fullmatch(str(wanted.get("name", ""))):
        return _Fault("Invalid name.", "response_format.json_schema.name", "invalid_value")
    if wanted.get("strict") is not True:
        return _Fault("The double wants strict schemas.", "response_format.json_schema.strict", "invalid_value")
    problem = _schema_problem(wanted.get("schema"))
    if problem is None:
        return None
    return _Fault(f"Invalid schema for response_format '{wanted['name']}': {problem}", "response_format")


def _schema_problem(schema: Any) -> str | None:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "schema must be a JSON Schema of 'type: \"object\"'."
    for part in _parts(schema):
        if part.get("type") != "object":
            continue
        if part.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        if sorted(part.get("required", [])) != sorted(part.get("properties", {})):
            return "'required' is required to be supplied and to be an array including every key in properties."
    return None


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema, and every schema inside it."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _parts(value)


def _good_answer(asked: Asked) -> dict[str, Any] | None:
    """Deterministic, and telling enough that a test can see which request it answers."""
    try:
        data = asked.data
    except ValueError:
        return None
    match data:
        case {"intent": str(intent), "prompt": str(prompt)}:
            return {"finalPrompt": f"{prompt}, in soft morning light, made for {intent}"}
        case {"topic": str(topic), "count": int(count)}:
            said = [message["content"] for message in asked.messages if message["role"] == "assistant"]
            known = sum(len(json.loads(content)["subjects"]) for content in said)
            return {"subjects": [f"{topic}, view {known + number}" for number in range(1, count + 1)]}
        case {"subjects": list(subjects), "perSubject": int(per_subject), "style": str(style)}:
            return {
                "prompts": [
                    {
                        "subject": entry["index"],
                        "title": f"{entry['subject'][:60]} {number}",
                        "text": f"{entry['subject']}, variation {number}, {style or 'as a photograph'}, in soft light",
                    }
                    for entry in subjects
                    for number in range(1, per_subject + 1)
                ]
            }
        case {"text": str(text), "current": str(current)}:
            title = f"About {text[:50].strip()}"
            return {"title": title if title != current else f"More about {text[:50].strip()}"}
        case _:
            return None
