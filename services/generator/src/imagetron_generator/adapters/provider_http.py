"""JSON calls to an outside provider's HTTP API, and what its refusals mean to us.

Nothing is repeated and no redirect is followed: who pays for tasks decides that. Errors are raised where the exceptions of
the HTTP library, which hold the request, are out of reach; no sentence has the provider's words, its address or our key.
"""

import asyncio
import hashlib
import json
import math
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, StringConstraints, ValidationError
from pydantic_core import from_json

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.failures import FailureCode
from imagetron_generator.domain.orders import TaskNews, TaskPhase
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
    ProviderQuotaSpent,
)

TASK_BYTES: Final = 1 << 20
"""Enough for any answer that holds no picture."""
PICTURE_BYTES: Final = 40 << 20
"""Enough for a picture of 25 MB in base64."""

_CONNECT_SECONDS: Final = 5.0
_LONGEST_WAIT_SECONDS: Final = 3600.0
_NO_SUCH_ADDRESS: Final = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
# Without dots at the beginning: ids become parts of paths.
_TASK_ID: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}$"
_KEY: Final = re.compile(r"[!-~]+")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
_WORD: Final = re.compile(r"[a-z0-9_]{1,60}")
# Parts of the codes by which providers say these things; a code is never shown, only looked through.
_SPENT: Final = ("quota", "credit", "balance", "billing", "payment")
_WITHHELD: Final = ("policy", "content_filter", "moderation", "nsfw", "banned_prompt", "safety")
_REFUSED: Final = ("invalid", "unsupported", "bad_request", "validation")

TaskId = Annotated[str, StringConstraints(pattern=_TASK_ID)]
FormT = TypeVar("FormT", bound="Form")


class Form(BaseModel):
    """A part of an answer: what we need of it exactly as promised, whatever else there is."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The body is empty where it was too big or compressed: nothing can be read in that."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_unknown(self) -> bool:
        """What was asked for is not there, or no longer."""
        return self.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}

    @property
    def digest(self) -> str:
        """sha256 of the body in hex."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def wait_seconds(self) -> float | None:
        """Retry-After (RFC 9110, section 10.2.3): seconds, or until a date. An hour at most."""
        said = self.headers.get("retry-after", "")
        try:
            seconds = float(said)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(said).timestamp() - time.time()
            except ValueError:
                return None
        return min(max(0.0, seconds), _LONGEST_WAIT_SECONDS) if math.isfinite(seconds) else None


class ProviderHttp:
    """One client for the process. It makes a new connection for each call: a kept one that the provider closes at the wrong
    moment would leave a paid submission in doubt.

    `base_url` is https (http on loopback alone) without credentials or query, and the key one word of ASCII; the constructor
    raises ValueError otherwise. With the header `Authorization` the key is sent as a bearer token. `seconds` bounds a whole
    call, and `most_bytes` its answer.
    """

    def __init__(
        self, provider: str, base_url: str, api_key: SecretStr, *, key_header: str, seconds: float, most_bytes: int
    ) -> None:
        _check(provider, base_url, api_key, key_header)
        key = api_key.get_secret_value()
        connect = min(_CONNECT_SECONDS, seconds / 3)
        self.provider = provider
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={
                key_header: f"Bearer {key}" if key_header.lower() == "authorization" else key,
                "accept": "application/json",
                "accept-encoding": "identity",
                "content-type": "application/json",
            },
            timeout=httpx.Timeout(seconds, connect=connect, pool=connect),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=_trusted(),
        )

    async def get(self, path: str, **query: str) -> Answer:
        return await self._called("GET", path, query, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        # ASCII alone: there is no text that it cannot hold.
        return await self._called("POST", path, {}, json.dumps(body).encode())

    async def close(self) -> None:
        await self._client.aclose()

    async def _called(self, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> Answer:
        """Ours is the deadline that counts: the client's timeouts begin anew with every byte that trickles in."""
        who = f"the provider {self.provider}"
        failure: ChassisError
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, path, params=query or None, content=body) as response,
            ):
                return Answer(response.status_code, response.headers, await self._body(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            failure = ModelUnavailable(f"{who} cannot be reached ({type(error).__name__})")
        except (TimeoutError, httpx.TimeoutException):
            failure = ModelTimedOut(f"{who} did not answer within {self._seconds:g} s")
        except (httpx.TransportError, httpx.StreamError) as error:
            failure = ModelTimedOut(f"the connection to {who} was lost after the request ({type(error).__name__})")
        raise failure

    async def _body(self, response: httpx.Response) -> bytes:
        """As it came over the wire: a compressed one could be of any size."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            return b""
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._most_bytes:
                return b""
        return bytes(body)


def read(provider: str, form: type[FormT], answer: Answer) -> FormT:
    """The answer's body. Raises ModelFailed: what was asked for may have been done."""
    try:
        return form.model_validate_json(answer.body)
    except ValidationError:
        pass
    raise ModelFailed(f"the provider {provider} answered with something else than its API promises")


def refusal(provider: str, answer: Answer, *, of_a_submission: bool = False) -> ChassisError:
    """What an answer means that is not good. Of submissions alone it can be the order's fault."""
    who, said, words = f"the provider {provider}", f"HTTP {answer.status}", _words(answer.body)
    status, code = answer.status, meaning(*words)
    is_about_us = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if status == HTTPStatus.PAYMENT_REQUIRED or (is_about_us and code is FailureCode.QUOTA_EXCEEDED):
        return ProviderQuotaSpent(f"our account at {who} is spent or blocked: an operator must act ({said})")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderBusy(f"{who} asks us to slow down ({said})", retry_after_seconds=answer.wait_seconds)
    if is_about_us and of_a_submission and code is FailureCode.CONTENT_FILTERED:
        return ContentFiltered(f"{who} withholds the picture by its content policy ({said})")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderMisconfigured(f"{who} does not take our API key: check it, and what it may do ({said})")
    if status < HTTPStatus.BAD_REQUEST or status in _NO_SUCH_ADDRESS:
        return ProviderMisconfigured(f"{who} has no such address: check its base URL and its options ({said})")
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return ModelTimedOut(f"{who} gave up waiting for the request ({said})")
    if is_about_us and of_a_submission and status != HTTPStatus.CONFLICT:
        return ModelRefused(f"{who} does not take the order ({said})")
    return ModelFailed(f"{who} failed ({said})")


def meaning(*words: str | int | None) -> FailureCode:
    """What a provider's codes for an error say; MODEL_UNAVAILABLE where they say nothing that we know."""
    plain = [word.lower().replace("-", "_").replace(" ", "_") for word in words if isinstance(word, str)]
    known = [word for word in plain if _WORD.fullmatch(word)]
    for parts, code in (
        (_WITHHELD, FailureCode.CONTENT_FILTERED),
        (_SPENT, FailureCode.QUOTA_EXCEEDED),
        (_REFUSED, FailureCode.MODEL_REFUSED),
    ):
        if any(part in word for word in known for part in parts):
            return code
    return FailureCode.MODEL_UNAVAILABLE


def lost(provider: str, provider_task_id: str) -> TaskNews:
    """The news of a task that the provider does not know."""
    said = f"the provider {provider} does not know the task any more"
    return TaskNews(TaskPhase.FAILED, provider_task_id, code=FailureCode.WORK_LOST, message=said)


def is_task_id(text: str) -> bool:
    return re.fullmatch(_TASK_ID, text) is not None


@cache
def _trusted() -> ssl.SSLContext:
    """The certificate authorities, for all providers: it takes a quarter of a second to read them."""
    return httpx.create_ssl_context(trust_env=False)


def _words(body: bytes) -> list[str]:
    """The codes of an error's body, wherever such bodies have them."""
    try:
        said = from_json(body)
    except ValueError:
        return []
    outer = said if isinstance(said, dict) else {}
    inner = outer.get("error")
    places = [outer, inner if isinstance(inner, dict) else {"code": inner}]
    words = [place.get(name) for place in places for name in ("code", "type", "error_code")]
    return [word for word in words if isinstance(word, str)]


def _check(provider: str, base_url: str, api_key: SecretStr, key_header: str) -> None:
    """The sentences quote neither: both are an operator's secrets."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK):
        raise ValueError(
            f"the base URL of the provider {provider} must begin with https:// (http:// on loopback alone)"
        )
    if not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError(f"the base URL of the provider {provider} must be a host and a path, nothing else")
    if _KEY.fullmatch(api_key.get_secret_value()) is None:
        raise ValueError(f"the API key of the provider {provider} must be one word of printable ASCII characters")
    if _HEADER.fullmatch(key_header) is None:
        raise ValueError(f"the header for the API key of the provider {provider} must be letters, digits and dashes")
