"""What the fault tests of the whole stack share: a stack whose single services can be given other surroundings and can be
watched from outside, one more worker beside it, and crowds of small jobs.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import aio_pika
import httpx
from aio_pika.exceptions import AMQPError

from e2e.calls import ENDED, a_request
from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.ports import LOOPBACK
from imagetron_cli.embedded.process import SupervisedProcess
from imagetron_cli.embedded.services import (
    answers_ready,
    probe_port,
    service_command,
    service_environment,
    service_spec,
)
from imagetron_cli.embedded.stack import Stack
from imagetron_cli.embedded.state import State
from support.eventually import eventually_sync
from support.ports import free_port
from support.rabbitmq import LoopThread
from support.stack import RunningStack, free_ports

SERVICES: Final = ("gateway", "prompt", "generator", "deriver", "publisher")
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
# A service stops within its grace of 20 s, and needs a moment around it.
_STOP_SECONDS: Final = 30.0
# Far above what any answer takes: the machine may be busy with the faults themselves.
_ANSWER_SECONDS: Final = 30.0


def how_many(usually: int) -> int:
    """The number of jobs of a test; CHAOS_JOBS makes a longer run of it."""
    return int(os.environ.get("CHAOS_JOBS", usually))


class ChaosStack(RunningStack):
    """`surroundings`: variables for single services, by the service's name; `settings` are for all of them."""

    def __init__(
        self, folder: Path, loop: LoopThread, *, surroundings: Mapping[str, Mapping[str, str]], **settings: str
    ) -> None:
        super().__init__(folder, loop, **settings)
        self._said: list[str] = []

        def command(service: str) -> Sequence[str]:
            assignments = [f"{name}={value}" for name, value in surroundings.get(service, {}).items()]
            return ["/usr/bin/env", *assignments, *service_command(service)]

        self._environ = {name: os.environ[name] for name in _INHERITED if name in os.environ} | settings
        self._stack = Stack(
            folder,
            environ=self._environ,
            ports=free_ports(),
            log_format="json",
            command=command,
            announce=self._said.append,
        )

    def terminate(self, service: str) -> str:
        """SIGTERM, as an orchestrator sends it; how the process ended, in words."""
        process = self.pids()[service]
        heard = len(self._said)
        os.kill(process, signal.SIGTERM)
        [*_, how] = eventually_sync(lambda: self._said[heard:], within_seconds=_STOP_SECONDS)
        return how.removeprefix(f"{service} ")

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl` against the stack's node: about two seconds."""
        assert self._stack.node is not None
        return self._loop.run(self._stack.node.ctl(*arguments))

    def readiness(self, service: str) -> dict[str, Any]:
        """What the service says of itself at /readyz; nothing when it does not answer."""
        try:
            answer = httpx.get(f"http://{LOOPBACK}:{probe_port(service, self.ports)}/readyz", timeout=_ANSWER_SECONDS)
        except httpx.HTTPError:
            return {"ready": False, "checks": {}}
        return dict(answer.json())

    def patient_readiness(self, service: str) -> dict[str, Any]:
        """As `readiness`, asked again for a while until it is ready: one slow probe of a busy machine is no verdict."""
        said: dict[str, Any] = {}

        def is_ready() -> bool:
            said.update(self.readiness(service))
            return bool(said["ready"])

        with suppress(AssertionError):
            eventually_sync(is_ready)
        return said

    def are_ready(self, services: Sequence[str] = SERVICES) -> bool:
        return all(self.readiness(service)["ready"] for service in services)

    def counted(self, metric: str, services: Sequence[str] = SERVICES) -> float:
        """The sum of a counter over services and labels."""
        return sum(_sum_of(metric, probe_port(service, self.ports)) for service in services)

    @contextmanager
    def one_more(
        self, service: str, *, amqp_url: str | None = None, triton_port: int | None = None, **variables: str
    ) -> Iterator["Worker"]:
        """Another process of the service beside the stack's own, ready; gone at the end whatever state it is in."""
        ports = replace(self.ports, **{service: free_port()}, triton_grpc=triton_port or self.ports.triton_grpc)
        folder = Path(tempfile.mkdtemp(prefix=f"imagetron-one-more-{service}-"))
        environment = service_environment(
            service,
            state=State.at(self.state),
            ports=ports,
            amqp_url=amqp_url or self.amqp_url,
            log_format="json",
            inherited={**self._environ, "SPANS_FILE": str(folder / "spans.jsonl"), **variables},
        )
        worker = Worker(service, environment, probe_port(service, ports), folder, self._loop)
        try:
            worker.start()
            yield worker
        finally:
            worker.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _sum_of(metric: str, port: int) -> float:
    text = httpx.get(f"http://{LOOPBACK}:{port}/metrics", timeout=_ANSWER_SECONDS).text
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


class Worker:
    """A single process of a service."""

    def __init__(self, service: str, environment: Mapping[str, str], port: int, folder: Path, loop: LoopThread) -> None:
        self.service = service
        self._port = port
        self._loop = loop
        self._folder = folder
        self._guardian = Guardian()
        self._logs = LogBook(folder / "logs")
        self._client = httpx.AsyncClient(trust_env=False)
        spec = service_spec(service, command=service_command, environment=environment, port=port, client=self._client)
        self._process = SupervisedProcess(
            spec, logs=self._logs, guardian=self._guardian, announce=lambda _: None, restarts=False
        )

    def start(self) -> None:
        self._loop.run(self._process.start())

    def is_alive(self) -> bool:
        return self._process.pid is not None

    def is_ready(self) -> bool:
        return self._loop.run(answers_ready(self._client, self._port))

    def counted(self, metric: str) -> float:
        return _sum_of(metric, self._port)

    def log(self) -> str:
        return self._logs.path(self.service).read_text()

    def stop(self) -> None:
        self._loop.run(self._process.stop())
        self._loop.run(self._client.aclose())
        self._guardian.dismiss()
        self._logs.close()


@contextmanager
def chaos_stack(surroundings: Mapping[str, Mapping[str, str]] | None = None, **settings: str) -> Iterator[ChaosStack]:
    """A stack of one's own; gone at the end whatever happened."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-chaos-"))
    loop = LoopThread()
    stack = ChaosStack(folder, loop, surroundings=surroundings or {}, **settings)
    try:
        stack.begin()
        yield stack
    finally:
        stack.end()
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


def a_small_job(name: str, **changes: Any) -> dict[str, Any]:
    """One family in one step of the preview: the pipeline's own work, and little of the model's."""
    return a_request(name, **{"families": ["square"], "model": "preview", "inferenceSteps": 1, **changes})


def post(url: str, body: dict[str, Any]) -> tuple[httpx.Response, float]:
    """The answer to a submission, and the seconds it took."""
    began = time.monotonic()
    answer = httpx.post(f"{url}/api/images/variations", json=body, timeout=_ANSWER_SECONDS)
    return answer, time.monotonic() - began


def submit_many(url: str, count: int, prefix: str, **changes: Any) -> list[str]:
    """The ids of so many accepted jobs, each with a seed of its own."""
    # One connection: a new one for each would take longer than the work, and no crowd would ever gather.
    with httpx.Client(timeout=_ANSWER_SECONDS) as client:
        bodies = [a_small_job(f"{prefix}-{number}", seed=number, **changes) for number in range(count)]
        answers = [client.post(f"{url}/api/images/variations", json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [202] * count
    return [str(answer.json()["id"]) for answer in answers]


def read(url: str, variation_id: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/api/images/variations/{variation_id}", timeout=_ANSWER_SECONDS)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def all_ended(url: str, ids: Sequence[str], *, within_seconds: float) -> list[dict[str, Any]]:
    """The variations once all have ended."""
    finished: dict[str, dict[str, Any]] = {}

    def have_ended() -> bool:
        for variation_id in ids:
            if variation_id not in finished and (variation := read(url, variation_id))["status"] in ENDED:
                finished[variation_id] = variation
        return len(finished) == len(ids)

    eventually_sync(have_ended, within_seconds=within_seconds, every_seconds=0.2)
    return [finished[variation_id] for variation_id in ids]


def statuses(variations: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(variation["status"] for variation in variations)


def under_way(url: str, ids: Sequence[str]) -> int:
    """How many of the jobs have not ended yet."""
    return sum(read(url, variation_id)["status"] not in ENDED for variation_id in ids)


async def _look(amqp_url: str, queue: str) -> tuple[int, int] | None:
    try:
        connection = await aio_pika.connect(amqp_url)
    except (AMQPError, OSError):
        return None
    async with connection:
        channel = await connection.channel()
        try:
            found = (await channel.declare_queue(queue, passive=True)).declaration_result
        except AMQPError:
            return None
        return found.message_count or 0, found.consumer_count or 0


def waiting_in(amqp_url: str, queue: str) -> int | None:
    """Messages that wait in the queue, those in hand not counted; None if there is no such queue."""
    found = asyncio.run(_look(amqp_url, queue))
    return found and found[0]


def consumers_of(amqp_url: str, queue: str) -> int:
    found = asyncio.run(_look(amqp_url, queue))
    return found[1] if found else 0


async def _put(amqp_url: str, queue: str, bodies: Sequence[bytes]) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for body in bodies:
            message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, routing_key=queue)


def put(amqp_url: str, queue: str, *bodies: bytes) -> None:
    """Put bytes into a queue that no publisher of ours would send."""
    asyncio.run(_put(amqp_url, queue, bodies))


def tell(figures: str) -> None:
    """A measured figure, for whoever runs the tests with -s."""
    print(figures, file=sys.stderr)
