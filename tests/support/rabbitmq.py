"""A private RabbitMQ node for the session, and a virtual host of its own for each test that wants one."""

import asyncio
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.process import SupervisedProcess
from imagetron_cli.embedded.rabbitmq import RabbitNode
from support.ports import free_port

T = TypeVar("T")

_VHOSTS_AT_ONCE = 8
_START_SECONDS = 150


class LoopThread:
    """A loop that turns for the whole session: what it supervises outlives the loops of single tests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="neighbours", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    def call(self, function: Callable[[], object]) -> None:
        """Run something that only the loop's own thread may touch."""

        async def inside() -> None:
            function()

        self.run(inside())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class RunningRabbit:
    """`url` names the default virtual host. All methods block until they have happened."""

    def __init__(self, folder: Path, loop: LoopThread) -> None:
        self.node = RabbitNode(folder, port=free_port(), distribution_port=free_port(), epmd_port=free_port())
        self.url = self.node.url
        self._loop = loop
        self._guardian = Guardian()
        self._logs = LogBook(folder / "logs")
        self._epmd = self._process(self.node.epmd())
        self._broker = self._process(self.node.broker())
        self._numbers = itertools.count()
        self._unused: list[str] = []
        self._used: list[str] = []

    def _process(self, spec: Any) -> SupervisedProcess:
        return SupervisedProcess(
            spec, logs=self._logs, guardian=self._guardian, announce=lambda _: None, restarts=False
        )

    def start(self) -> None:
        self.node.prepare()
        self._loop.run(self._epmd.start())
        self._loop.run(self._broker.start())

    def kill(self) -> None:
        """SIGKILL to the broker. A queue declared less than 10 s before may not survive it."""

        async def killed() -> None:
            self._broker.kill()
            await self._broker.ended()

        self._loop.run(killed())

    def restart(self) -> None:
        """Start it again on its data; stopped politely before, if it was not killed."""
        self._loop.run(self._broker.stop())
        self._loop.run(self._broker.start())

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl` against this node: about two seconds."""
        return self._loop.run(self.node.ctl(*arguments))

    def new_vhost(self) -> str:
        """The URL of an empty virtual host. Those used before are deleted along with making new ones."""
        if not self._unused:
            self._unused = [f"test-{next(self._numbers)}" for _ in range(_VHOSTS_AT_ONCE)]
            self.ctl("eval", _make_vhosts(self._unused, delete=self._used))
            self._used = []
        name = self._unused.pop(0)
        self._used.append(name)
        return f"{self.url}{name}"

    def stop(self) -> None:
        self._loop.run(self._broker.stop())
        self._loop.run(self._epmd.stop())
        self._guardian.dismiss()
        self._logs.close()


def _make_vhosts(names: list[str], *, delete: list[str]) -> str:
    """Erlang: one call of the tool for several virtual hosts, because each call takes two seconds."""
    new, old = (", ".join(f'<<"{name}">>' for name in some) for some in (names, delete))
    return (
        f'[rabbit_vhost:delete(V, <<"tests">>) || V <- [{old}]], '
        f'[begin rabbit_vhost:add(V, <<"tests">>), rabbit_auth_backend_internal:set_permissions('
        f'<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"tests">>) end || V <- [{new}]].'
    )


@contextmanager
def running_rabbit() -> Iterator[RunningRabbit]:
    """A node of one's own, gone at the end whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-rabbitmq-"))
    loop = LoopThread()
    node = RunningRabbit(folder, loop)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class FreshBroker:
    """`url` is an empty virtual host that only this test uses; `node` is shared."""

    url: str
    node: RunningRabbit


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RunningRabbit]:
    """One node for the session. Whoever kills it restarts it."""
    with running_rabbit() as node:
        yield node


@pytest.fixture
def fresh_broker(rabbitmq: RunningRabbit) -> FreshBroker:
    return FreshBroker(rabbitmq.new_vhost(), rabbitmq)


@pytest.fixture
def vhost_url(fresh_broker: FreshBroker) -> str:
    return fresh_broker.url
