"""The whole embedded stack on free ports, in a folder that goes away: what the journey is tested on."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.stack import Stack
from support.ports import free_port
from support.rabbitmq import LoopThread

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class RunningStack:
    """Services are named gateway, prompt, generator, deriver, publisher; neighbours rabbitmq and triton."""

    def __init__(self, folder: Path, loop: LoopThread, **settings: str) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._loop = loop
        self._stack = Stack(folder, environ={**inherited, **settings}, ports=free_ports(), log_format="json")

    @property
    def url(self) -> str:
        return self._stack.url

    @property
    def amqp_url(self) -> str:
        return self._stack.amqp_url

    @property
    def ports(self) -> Ports:
        return self._stack.ports

    @property
    def state(self) -> Path:
        return self._stack.state.folder

    def begin(self) -> float:
        """Start everything; the seconds until it was ready."""
        return self._loop.run(self._stack.start())

    def end(self) -> None:
        self._loop.run(self._stack.stop())

    def kill(self, name: str) -> None:
        """SIGKILL; it stays dead until `start`."""
        self._loop.call(lambda: self._stack.kill(name))

    def start(self, name: str) -> None:
        """Start one that was killed; ready when this returns."""
        self._loop.run(self._stack.revive(name))

    def pids(self) -> dict[str, int]:
        """The processes that were started, by name; each leads a group."""
        return self._stack.pids()

    def process_ids(self) -> list[int]:
        """All processes of the stack, the children of its services and of Triton included."""
        groups = set(self.pids().values())
        everybody = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
        return [process for process in everybody if _group(process) in groups]

    def log(self, name: str) -> str:
        return (self.state / "logs" / f"{name}.log").read_text()

    def spans(self) -> list[dict[str, Any]]:
        """Every span that any service has written so far."""
        lines = [line for file in self._stack.state.spans.glob("*.jsonl") for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]


def _group(process: int) -> int | None:
    try:
        return os.getpgid(process)
    except ProcessLookupError:
        return None


def free_ports() -> Ports:
    """Different ones, all free a moment ago."""
    numbers: set[int] = set()
    while len(numbers) < len(fields(Ports)):
        numbers.add(free_port())
    return Ports(**dict(zip((field.name for field in fields(Ports)), numbers, strict=True)))


@contextmanager
def running_stack(**settings: str) -> Iterator[RunningStack]:
    """A stack of one's own; `settings` are environment variables for its services."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-stack-"))
    loop = LoopThread()
    stack = RunningStack(folder, loop, **settings)
    try:
        stack.begin()
        yield stack
    finally:
        stack.end()
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """One stack for the session. Whoever kills a part of it starts it again."""
    with running_stack() as running:
        yield running
