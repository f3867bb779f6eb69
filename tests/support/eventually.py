"""Poll a condition with a deadline. Nobody else in the tests may sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]], *, within_seconds: float = ..., every_seconds: float = ...
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None], *, within_seconds: float = ..., every_seconds: float = ...
) -> T: ...
async def eventually(condition: Callable[[], Any], *, within_seconds: float = 10, every_seconds: float = 0.02) -> Any:
    """The first truthy result of `condition`; an AssertionError with the last result when the time is up."""
    deadline = time.monotonic() + within_seconds
    while True:
        result = condition()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {within_seconds} s: {inspect.getsource(condition)}"
        await asyncio.sleep(every_seconds)


def eventually_sync(condition: Callable[[], T | None], *, within_seconds: float = 10, every_seconds: float = 0.02) -> T:
    """As `eventually`, for tests without a loop."""
    deadline = time.monotonic() + within_seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {within_seconds} s: {inspect.getsource(condition)}"
        time.sleep(every_seconds)
