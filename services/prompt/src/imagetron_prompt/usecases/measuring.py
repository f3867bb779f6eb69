"""What writing costs, in time, tokens and money. No text of any request or answer is measured."""

from collections.abc import Awaitable
from time import perf_counter
from typing import Final, TypeVar

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.errors import ChassisError, QuotaExceeded, RateLimited
from imagetron_prompt.domain.calls import Purpose
from imagetron_prompt.domain.written import Usage, Written, usage_of
from imagetron_prompt.ports import Declined, TooSlow, Unusable

T = TypeVar("T")
_meter = metrics.get_meter(__name__)
_tokens = _meter.create_counter(*semconv.WRITER_TOKENS)
_cost = _meter.create_counter(*semconv.WRITER_COST)
_seconds = _meter.create_histogram(*semconv.WRITER_SECONDS)
_OUTCOMES: Final[tuple[tuple[type[ChassisError], str], ...]] = (
    (TooSlow, "too_slow"),
    (RateLimited, "rate_limited"),
    (QuotaExceeded, "quota_exceeded"),
    (Unusable, "unusable"),
    (Declined, "declined"),
)


async def measured(purpose: Purpose, writing: Awaitable[Written[T]]) -> Written[T]:
    """What the writer wrote."""
    began, outcome = perf_counter(), "broke"
    try:
        written = await writing
        outcome = written.source.value
    except ChassisError as error:
        outcome = next((word for kind, word in _OUTCOMES if isinstance(error, kind)), "failed")
        _count(purpose, usage_of(error))
        raise
    finally:
        _seconds.record(perf_counter() - began, {semconv.PURPOSE: purpose.value, semconv.OUTCOME: outcome})
    _count(purpose, written.usage)
    return written


def _count(purpose: Purpose, used: Usage) -> None:
    for direction, tokens in (("input", used.input_tokens), ("output", used.output_tokens)):
        _tokens.add(tokens, {semconv.PURPOSE: purpose.value, semconv.DIRECTION: direction})
    if used.cost is not None:
        _cost.add(float(used.cost), {semconv.PURPOSE: purpose.value})
