"""The system under test as processes: broker, Triton, every service in several copies. How one copy lives is supervising.py's."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

import httpx

from chaos.ledger import Ledger
from chaos.supervising import READY_SECONDS, Copy, Goals, Surroundings
from imagetron_cli.checkout import checkout, model_repository, triton_environment
from imagetron_cli.embedded import triton
from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.ports import LOOPBACK, Ports
from imagetron_cli.embedded.process import ProcessSpec, SupervisedProcess
from imagetron_cli.embedded.rabbitmq import RabbitNode
from imagetron_cli.embedded.services import probe_port, service_environment
from imagetron_cli.embedded.state import State
from imagetron_cli.errors import Trouble
from support.ports import free_port

# Two of each that holds messages, so that a death is seen by a neighbour; one prompt service, which holds none. On two
# cores more copies would only wait for each other.
COPIES: Final = {"gateway": 2, "prompt": 1, "generator": 2, "deriver": 2, "publisher": 2}
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


class Cluster:
    """Everything that is started. Free ports, one folder, nothing left behind by `stop`."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        goals: Goals,
        *,
        announce: Callable[[str], None],
        on_death: Callable[[str, str], None],
        dice: Callable[[], float],
    ) -> None:
        self.state = State.at(folder)
        self._goals = goals
        self._http = httpx.AsyncClient(trust_env=False)
        self._guardian = Guardian()
        self._around = Surroundings(
            goals=goals,
            ledger=ledger,
            guardian=self._guardian,
            http=self._http,
            logs=self.state.logs,
            deaths=self.state.folder / "deaths.jsonl",
            announce=announce,
            on_death=on_death,
            dice=dice,
        )
        self._ports = _free_ports(len(fields(Ports)) + sum(COPIES.values()))
        self._base = Ports(**{field.name: self._ports.pop() for field in fields(Ports)})
        self.node = RabbitNode.on(self._base, self.state.broker)
        self.state.create()
        self._logs = LogBook(self.state.logs)
        self._broker = self._supervised(self.node.broker())
        self._epmd = self._supervised(self.node.epmd())
        self._triton: SupervisedProcess | None = None
        self.copies = [
            self._copy(service, number) for service, copies in COPIES.items() for number in range(1, copies + 1)
        ]

    @property
    def gateways(self) -> list[str]:
        """Base URLs."""
        return [f"http://{LOOPBACK}:{copy.port}" for copy in self.copies if copy.service == "gateway"]

    async def start(self) -> None:
        self.node.prepare()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_triton())
            await self._epmd.start()
            await self._broker.start()
        for copy in self.copies:
            copy.start()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(copy.has_been_ready.wait() for copy in self.copies))
        except TimeoutError:
            missing = ", ".join(copy.name for copy in self.copies if not copy.has_been_ready.is_set())
            raise Trouble(f"{missing}: not ready within {READY_SECONDS:g} s; logs in {self.state.logs}") from None

    async def stop(self) -> None:
        """Services first, then their neighbours. Safe to repeat."""
        await self.stop_services()
        await self._broker.stop()
        await self._epmd.stop()
        if self._triton is not None:
            await self._triton.stop()
        await self._http.aclose()
        self._guardian.dismiss()
        self._logs.close()

    async def stop_services(self) -> None:
        self._goals.drop()
        await asyncio.gather(*(copy.stop() for copy in self.copies))

    def kill_one_of(self, service: str) -> bool:
        """A copy that has no goal of its own, if there is one: a goal missed is a death more."""
        copies = [copy for copy in self.copies if copy.service == service]
        idle = [copy for copy in copies if copy.goal is None]
        return any(copy.kill() for copy in [*idle, *copies])

    async def kill_broker(self, *, down_seconds: float) -> float:
        """SIGKILL it and start it again on its data; the seconds until it answers again."""
        began = time.monotonic()
        self._broker.kill()
        await self._broker.ended()
        await asyncio.sleep(down_seconds)
        await self._broker.stop()
        await self._broker.start()
        return time.monotonic() - began

    def _supervised(self, spec: ProcessSpec) -> SupervisedProcess:
        return SupervisedProcess(
            spec, logs=self._logs, guardian=self._guardian, announce=lambda _: None, restarts=False
        )

    async def _start_triton(self) -> None:
        base = self._base
        ports = triton.TritonPorts(base.triton_grpc, base.triton_http, base.triton_metrics)
        installation = await asyncio.to_thread(triton.prepare, triton_environment(), self.state.folder)
        argv, environment = triton.command(installation, model_repository(checkout()), ports)
        self._triton = self._supervised(
            ProcessSpec(
                name="triton",
                argv=argv,
                environment=environment,
                is_ready=lambda: triton.is_ready(ports.grpc),
                prepare=lambda: triton.sweep(ports),
            )
        )
        await self._triton.start()

    def _copy(self, service: str, number: int) -> Copy:
        ports = replace(self._base, **{service: self._ports.pop()})
        environment = service_environment(
            service,
            state=self.state,
            ports=ports,
            amqp_url=self.node.url,
            log_format="json",
            inherited={
                **{name: os.environ[name] for name in _INHERITED if name in os.environ},
                "SPANS_FILE": "",
                # Both gateways show the addresses of one: callers would see them behind one name.
                **({"GATEWAY_EXTERNAL_URL": f"http://{LOOPBACK}:{self._base.gateway}"} if service == "gateway" else {}),
                # Two copies on two cores.
                **({"DERIVER_PROCESSES": "1"} if service == "deriver" else {}),
            },
        )
        return Copy(f"{service}-{number}", service, probe_port(service, ports), environment, self._around)


def _free_ports(count: int) -> list[int]:
    numbers: set[int] = set()
    while len(numbers) < count:
        numbers.add(free_port())
    return list(numbers)
