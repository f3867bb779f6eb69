"""The bench, with a spec in its work store."""

import pytest

from unit.generator.tasks.task_bench import CALLED_BACK, FINDS, TaskBench


@pytest.fixture
async def bench() -> TaskBench:
    """A provider that is asked, four pictures a task; it has finished at the second look."""
    ready = TaskBench()
    await ready.has_spec()
    return ready


@pytest.fixture
async def quiet() -> TaskBench:
    """A provider that calls back, and does nothing until the test says so."""
    ready = TaskBench(rules=CALLED_BACK, looks=None)
    await ready.has_spec()
    return ready


@pytest.fixture
async def finding() -> TaskBench:
    """A provider that can be asked for a task by our reference."""
    ready = TaskBench(rules=FINDS)
    await ready.has_spec()
    return ready
