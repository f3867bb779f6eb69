"""Marks by folder. Fixtures for neighbours live in the support package; business fixtures do not live here."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
pytest_plugins = ["support.rabbitmq", "support.stack", "support.triton", "support.s3", "support.mongo"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in {"integration", "e2e", "chaos"}:
            item.add_marker(getattr(pytest.mark, folder))
