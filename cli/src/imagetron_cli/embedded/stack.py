"""The embedded stack: RabbitMQ, Triton and the five services as children of this process. What each needs lies beside."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from imagetron_cli.checkout import checkout, model_repository, triton_environment
from imagetron_cli.embedded import triton
from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import Listener, LogBook
from imagetron_cli.embedded.ports import LOOPBACK, Ports, check_free
from imagetron_cli.embedded.process import ProcessSpec, SupervisedProcess
from imagetron_cli.embedded.rabbitmq import RabbitNode, require
from imagetron_cli.embedded.services import (
    SERVICES,
    LogFormat,
    probe_port,
    service_command,
    service_environment,
    service_spec,
)
from imagetron_cli.embedded.state import Lock, State
from imagetron_cli.errors import Trouble

BROKER: Final = "rabbitmq"
TRITON: Final = "triton"
_PORT_MAPPER: Final = "epmd"


class Stack:
    """Everything that one machine needs. `environ` is what the services inherit; AMQP_URL there replaces our broker.

    `restarts`: whether what dies is started again. `fresh`: whether jobs, pictures and messages of earlier runs go first.
    """

    def __init__(
        self,
        state: Path = Path(".imagetron"),
        *,
        environ: Mapping[str, str],
        ports: Ports | None = None,
        restarts: bool = False,
        fresh: bool = False,
        log_format: LogFormat = "console",
        announce: Callable[[str], None] = lambda _: None,
        listener: Listener | None = None,
        command: Callable[[str], Sequence[str]] = service_command,
    ) -> None:
        self.state = State.at(state)
        self.ports = ports or Ports()
        self.node = None if environ.get("AMQP_URL") else RabbitNode.on(self.ports, self.state.broker)
        self.amqp_url = self.node.url if self.node else environ["AMQP_URL"]
        self._environ = environ
        self._restarts = restarts
        self._fresh = fresh
        self._log_format = log_format
        self._announce = announce
        self._listener = listener
        self._command = command
        self._lock: Lock | None = None
        self._guardian: Guardian | None = None
        self._logs: LogBook | None = None
        self._client: httpx.AsyncClient | None = None
        self._processes: dict[str, SupervisedProcess] = {}

    @property
    def url(self) -> str:
        """The gateway's base URL."""
        return f"http://{LOOPBACK}:{self.ports.gateway}"

    async def start(self) -> float:
        """Start everything and return the seconds until all of it was ready. On failure nothing is left running."""
        began = time.monotonic()
        self._lock = Lock(self.state)
        try:
            if self._fresh:
                self.state.wipe()
            self.state.create()
            check_free(self.ports.named(with_broker=self.node is not None))
            if self.node is None:
                await require(self.amqp_url)
            self._guardian = Guardian()
            self._logs = LogBook(self.state.logs, self._listener)
            self._client = httpx.AsyncClient(trust_env=False)
            await self._start_all(self._client)
        except BaseException:
            await self.stop()
            raise
        return time.monotonic() - began

    async def stop(self) -> None:
        """Services first, so that they can hand back what they hold; then their neighbours. Safe to repeat."""
        for names in (SERVICES, (BROKER, TRITON), (_PORT_MAPPER,)):
            await asyncio.gather(*(self._processes[name].stop() for name in names if name in self._processes))
        self._processes.clear()
        if self._client:
            await self._client.aclose()
            self._client = None
        if self._guardian:
            self._guardian.dismiss()
            self._guardian = None
        if self._logs:
            self._logs.close()
            self._logs = None
        if self._lock:
            self._lock.release()
            self._lock = None

    def kill(self, name: str) -> None:
        """SIGKILL to a process and all its children; restarted only if the stack restarts what dies."""
        self._process(name).kill()

    async def revive(self, name: str) -> None:
        """Start a process that was killed, and wait until it is ready."""
        process = self._process(name)
        await process.stop()
        await process.start()

    def pids(self) -> dict[str, int]:
        """The running processes by name."""
        return {name: process.pid for name, process in self._processes.items() if process.pid is not None}

    async def first_death(self) -> str:
        """The name of the first process that ended and is not started again."""
        waiting = {asyncio.create_task(process.ended()): name for name, process in self._processes.items()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[done.pop()]
        finally:
            for task in waiting:
                task.cancel()

    def _process(self, name: str) -> SupervisedProcess:
        try:
            return self._processes[name]
        except KeyError:
            raise Trouble(f"no process {name!r} in this stack: it has {', '.join(self._processes)}") from None

    async def _start_all(self, client: httpx.AsyncClient) -> None:
        with _first_of_group():
            async with asyncio.TaskGroup() as group:
                if self.node:
                    group.create_task(self._start_broker(self.node))
                group.create_task(self._start_triton())
                for name in SERVICES:
                    group.create_task(self._start(self._service(name, client)))

    async def _start_broker(self, node: RabbitNode) -> None:
        node.prepare()
        await self._start(node.epmd())
        await self._start(node.broker())

    async def _start_triton(self) -> None:
        ports = triton.TritonPorts(self.ports.triton_grpc, self.ports.triton_http, self.ports.triton_metrics)
        try:
            installation = await asyncio.to_thread(triton.prepare, triton_environment(), self.state.folder)
        except triton.MissingTriton as error:
            raise Trouble(str(error)) from error
        argv, environment = triton.command(installation, model_repository(checkout()), ports)
        spec = ProcessSpec(
            name=TRITON,
            argv=argv,
            environment=environment,
            is_ready=lambda: triton.is_ready(ports.grpc),
            # Nobody waits for a picture any more: its clients stop before it.
            grace_seconds=6,
            prepare=lambda: triton.sweep(ports),
        )
        await self._start(spec)

    def _service(self, name: str, client: httpx.AsyncClient) -> ProcessSpec:
        environment = service_environment(
            name,
            state=self.state,
            ports=self.ports,
            amqp_url=self.amqp_url,
            log_format=self._log_format,
            inherited=self._environ,
        )
        port = probe_port(name, self.ports)
        return service_spec(name, command=self._command, environment=environment, port=port, client=client)

    async def _start(self, spec: ProcessSpec) -> None:
        if self._logs is None or self._guardian is None:
            raise AssertionError("start() makes both before any process")
        process = SupervisedProcess(
            spec, logs=self._logs, guardian=self._guardian, announce=self._announce, restarts=self._restarts
        )
        self._processes[spec.name] = process
        await process.start()


@contextmanager
def _first_of_group() -> Iterator[None]:
    """A person wants the first thing that went wrong, not the tree of what was cancelled with it."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
