"""A counter for each test."""

from collections.abc import AsyncIterator

import pytest

from contract.api.counter import Counter, opened


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    async with opened(Counter()) as counter:
        yield counter
