"""What a failed call of an OpenAI-compatible server means to us. Nothing is called here.

A server may quote the prompt in its message, so no message goes further: only the status, its word for the error and the
id of the request, each in a form that has no room for a sentence.
"""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

from imagetron_chassis.errors import ChassisError, Permanent, QuotaExceeded, RateLimited, Transient, UnknownOutcome
from imagetron_prompt.ports import Declined, TooSlow

_WORD: Final = re.compile(r"[a-z_]{1,60}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
# The SDK raises one class for all of these; which it was, only the name of the cause tells. By name and not by class:
# the HTTP library below the SDK changed between its versions 2 and 3, and kept these names.
_NEVER_SENT: Final = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_NOT_A_REQUEST: Final = {"LocalProtocolError", "UnsupportedProtocol"}
# The first is what OpenAI says of most kinds; the others are more precise, and stand alone on some servers.
_SPENT: Final = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "insufficient_balance",
}
# invalid_prompt is OpenAI's word for a prompt that its reasoning models decline, content_filter Azure's.
_AGAINST_POLICY: Final = {"content_policy_violation", "content_filter", "invalid_prompt", "bio_policy"}


def translated(error: OpenAIError) -> ChassisError:
    """Our error for the SDK's. To be raised where the SDK's is no longer at hand: that one holds the request."""
    if isinstance(error, APIStatusError):
        return refusal(error.status_code, (error.code, error.type), error.response.headers, now=time.time())
    cause = type(error.__cause__).__name__
    if cause in _NEVER_SENT:
        return Transient(f"the language model's server cannot be reached ({cause})")
    if cause in _NOT_A_REQUEST:
        return Permanent(f"no request can be made of the settings ({cause}): check the base URL and the API key")
    if isinstance(error, APITimeoutError):
        return TooSlow(f"the language model's server did not answer in time ({cause})")
    if isinstance(error, APIConnectionError):
        return UnknownOutcome(f"the connection to the language model's server was lost after the request ({cause})")
    return Permanent(f"the language model's client refuses to make the call ({type(error).__name__})")


def refusal(status: int, words: tuple[object, ...], headers: Mapping[str, str], *, now: float) -> ChassisError:
    """What an answer with an error status means. `words` are the error's code and type, as the server wrote them."""
    known = [word for word in words if isinstance(word, str) and _WORD.fullmatch(word)]
    said = _said(status, known, headers)
    if status == HTTPStatus.PAYMENT_REQUIRED or _SPENT.intersection(known):
        return QuotaExceeded(f"the language model's account has no money or quota left ({said})")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(
            f"the language model's server asks us to slow down ({said})",
            retry_after_seconds=retry_after_seconds(headers, now=now),
        )
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        # A proxy gave up on a server that may still write, and be paid for it.
        return UnknownOutcome(f"a proxy did not wait for the language model's answer ({said})")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT}:
        return Transient(f"the language model's server is in trouble ({said})")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Permanent(
            f"the language model's server refuses our API key, or its use of the model: check both ({said})"
        )
    if status == HTTPStatus.NOT_FOUND:
        return Permanent(f"the language model's server has no such model: check its name and the base URL ({said})")
    if _AGAINST_POLICY.intersection(known):
        return Declined(f"the language model's server declines to write about this ({said})")
    return Permanent(f"the language model's server does not accept the request ({said})")


def retry_after_seconds(headers: Mapping[str, str], *, now: float) -> float | None:
    """How long the server wants to be left alone: in milliseconds as OpenAI says it, in seconds, or until a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except ValueError:
        return None


def _said(status: int, words: list[str], headers: Mapping[str, str]) -> str:
    request = headers.get("x-request-id", "")
    parts = [f"HTTP {status}", *words[:1]]
    if _REQUEST_ID.fullmatch(request):
        parts.append(f"request {request}")
    return ", ".join(parts)
