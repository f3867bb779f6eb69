"""The bench, with a spec in its work store."""

import pytest

from unit.generator.bench import Bench


@pytest.fixture
async def bench() -> Bench:
    ready = Bench()
    await ready.has_spec()
    return ready
