"""What a failed call of an images API means to us. Nothing is called here.

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

from imagetron_chassis.errors import ChassisError
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

_WORD: Final = re.compile(r"[a-z_]{1,60}")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
# The SDK raises one class for all of these; which it was, only the name of the cause tells.
_NEVER_SENT: Final = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_NOT_A_REQUEST: Final = {"LocalProtocolError", "UnsupportedProtocol"}
# The first is OpenAI's type for most kinds; the others are its codes, and stand alone on some servers.
_SPENT: Final = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
    "insufficient_balance",
}
# moderation_blocked is the word of OpenAI's GPT image models, the second one of those before; the others are Azure's.
_AGAINST_POLICY: Final = {
    "moderation_blocked",
    "content_policy_violation",
    "content_filter",
    "content_safety_violation",
}
# Of a server that did not begin: OpenAI says these with 503 too.
_OVERLOADED: Final = {"slow_down", "server_is_overloaded"}


def translated(error: OpenAIError, model: str) -> ChassisError:
    """Our error for the SDK's. To be raised where the SDK's is no longer at hand: that one holds the request."""
    if isinstance(error, APIStatusError):
        return refusal(error.status_code, (error.code, error.type), error.response.headers, model, now=time.time())
    cause = type(error.__cause__).__name__
    if cause in _NEVER_SENT:
        return ModelUnavailable(f"the server of the model {model} cannot be reached ({cause})")
    if cause in _NOT_A_REQUEST:
        return ProviderMisconfigured(
            f"no request for the model {model} can be made of the settings ({cause}): check the base URL and the API key"
        )
    if isinstance(error, APITimeoutError):
        return ModelTimedOut(f"the server of the model {model} did not answer in time ({cause})")
    if isinstance(error, APIConnectionError):
        return ModelTimedOut(f"the connection to the model {model} was lost after the request ({cause})")
    return ProviderMisconfigured(f"the client of the model {model} refuses to make the call ({type(error).__name__})")


def refusal(
    status: int, words: tuple[object, ...], headers: Mapping[str, str], model: str, *, now: float
) -> ChassisError:
    """What an answer without a good status means. `words` are the error's code and type, as the server wrote them."""
    known = [word for word in words if isinstance(word, str) and _WORD.fullmatch(word)]
    said = _said(status, known, headers)
    if status == HTTPStatus.PAYMENT_REQUIRED or _SPENT.intersection(known):
        return ProviderQuotaSpent(f"the account for the model {model} has no money or quota left ({said})")
    if status == HTTPStatus.TOO_MANY_REQUESTS or _OVERLOADED.intersection(known):
        return ProviderBusy(
            f"the server of the model {model} asks us to slow down ({said})",
            retry_after_seconds=retry_after_seconds(headers, now=now),
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # It may have made the picture, and charged for it.
        return ModelFailed(f"the server of the model {model} failed ({said})")
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT}:
        return ModelUnavailable(f"the server of the model {model} could not take the request now ({said})")
    if _AGAINST_POLICY.intersection(known):
        return ContentFiltered(f"the model {model} withholds a picture of this: it is against its policy ({said})")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderMisconfigured(
            f"the server of the model {model} refuses our API key, or its use of the model: check both ({said})"
        )
    if status == HTTPStatus.NOT_FOUND or status < HTTPStatus.BAD_REQUEST:
        return ProviderMisconfigured(
            f"there is no model {model} at this address: check its name there and the base URL ({said})"
        )
    return ModelRefused(f"the model {model} does not take the request ({said})")


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
