"""What can be wrong with an installation, judged from what a machine answers. Looking at the machine is done elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from imagetron_cli.embedded.ports import LOOPBACK, Ports
from imagetron_cli.embedded.services import SERVICES, probe_port

_GIB: Final = 1024**3
_NEEDED_BYTES: Final = 1 * _GIB
_COMFORTABLE_BYTES: Final = 5 * _GIB
_OLDEST_PYTHON: Final = (3, 11)
_OLDEST_RABBITMQ: Final = (3, 10)
_HTTP_OK: Final = 200


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` says what to do unless it is ok."""

    subject: str
    verdict: Verdict
    detail: str
    mend: str = ""


class Machine(Protocol):
    """What the judgements need to know; each answer is None where there is nothing."""

    def python_version(self) -> tuple[int, int]: ...

    def rabbitmq_version(self) -> str | None: ...

    def missing_packages(self) -> list[str]: ...

    def triton_objection(self) -> str | None: ...

    def free_bytes(self, folder: Path) -> int: ...

    def write_objection(self, folder: Path) -> str | None: ...

    def running_stack(self, state: Path) -> int | None: ...

    def listener(self, port: int) -> str | None: ...

    async def amqp_objection(self, url: str) -> str | None: ...

    async def http_status(self, url: str) -> int | None: ...


async def diagnose(machine: Machine, *, state: Path, ports: Ports, environ: Mapping[str, str]) -> list[Finding]:
    """Everything, in the order in which a person would mend it."""
    amqp_url = environ.get("AMQP_URL")
    findings = [
        _python(machine),
        _packages(machine),
        _triton(machine),
        await _given_broker(machine, amqp_url) if amqp_url else _rabbitmq(machine),
        _disk(machine, state),
        _writable(machine, state),
    ]
    process = machine.running_stack(state)
    if process is None:
        return [*findings, _ports(machine, ports, with_broker=not amqp_url)]
    return [*findings, *await _health(machine, ports, process, state / "logs")]


def _python(machine: Machine) -> Finding:
    version = machine.python_version()
    text = ".".join(map(str, version))
    if version < _OLDEST_PYTHON:
        return Finding("Python", Verdict.PROBLEM, f"{text} is too old", "install 3.11 or newer, then `make setup`")
    return Finding("Python", Verdict.OK, text)


def _packages(machine: Machine) -> Finding:
    missing = machine.missing_packages()
    if missing:
        return Finding("Our packages", Verdict.PROBLEM, f"not importable: {', '.join(missing)}", "run `make setup`")
    return Finding("Our packages", Verdict.OK, "all importable")


def _triton(machine: Machine) -> Finding:
    objection = machine.triton_objection()
    if objection:
        return Finding("Triton", Verdict.PROBLEM, objection, "run `make setup`")
    return Finding("Triton", Verdict.OK, "server, Python backend and its library are there")


def _rabbitmq(machine: Machine) -> Finding:
    version = machine.rabbitmq_version()
    if version is None:
        return Finding("RabbitMQ", Verdict.PROBLEM, "not installed", "run `make setup`, or set AMQP_URL")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < _OLDEST_RABBITMQ:
        return Finding("RabbitMQ", Verdict.PROBLEM, f"{version} is too old", "install 3.10 or newer, or set AMQP_URL")
    return Finding("RabbitMQ", Verdict.OK, version)


async def _given_broker(machine: Machine, url: str) -> Finding:
    objection = await machine.amqp_objection(url)
    if objection:
        return Finding("AMQP_URL", Verdict.PROBLEM, objection, "start that broker, or unset AMQP_URL for a private one")
    return Finding("AMQP_URL", Verdict.OK, "the broker answers")


def _disk(machine: Machine, state: Path) -> Finding:
    free = machine.free_bytes(state)
    text = f"{free / _GIB:.1f} GiB free"
    if free < _NEEDED_BYTES:
        return Finding(
            "Disk space", Verdict.PROBLEM, text, "free 1 GiB: RabbitMQ stops accepting messages when it is full"
        )
    if free < _COMFORTABLE_BYTES:
        return Finding("Disk space", Verdict.WARNING, text, "pictures and renders add up; 5 GiB is comfortable")
    return Finding("Disk space", Verdict.OK, text)


def _writable(machine: Machine, state: Path) -> Finding:
    objection = machine.write_objection(state)
    if objection:
        return Finding("State folder", Verdict.PROBLEM, objection, "change its owner, or choose another with --state")
    return Finding("State folder", Verdict.OK, str(state))


def _ports(machine: Machine, ports: Ports, *, with_broker: bool) -> Finding:
    named = ports.named(with_broker=with_broker)
    taken = [
        f"{port} ({name.replace('_', ' ')}): {who}" for name, port in named.items() if (who := machine.listener(port))
    ]
    if taken:
        return Finding("Ports", Verdict.PROBLEM, "taken:\n" + "\n".join(taken), "stop these, or use --port-base 18015")
    return Finding("Ports", Verdict.OK, f"{len(named)} ports are free")


async def _health(machine: Machine, ports: Ports, process: int, logs: Path) -> list[Finding]:
    findings = [Finding("Stack", Verdict.OK, f"running, process {process}")]
    statuses = {
        name: await machine.http_status(f"http://{LOOPBACK}:{probe_port(name, ports)}/readyz") for name in SERVICES
    }
    if not any(statuses.values()):
        detail = f"nothing of it answers on port {ports.gateway} or beside it"
        mend = f"give doctor the --port-base that `up` was given, or see {logs}"
        return [*findings, Finding("Services", Verdict.PROBLEM, detail, mend)]
    findings += [_answer(name, status, f"see {logs / name}.log") for name, status in statuses.items()]
    status = await machine.http_status(f"http://{LOOPBACK}:{ports.gateway}/api/images/health/ml")
    return [*findings, _answer("Models", status, f"see generator.log and triton.log in {logs}")]


def _answer(subject: str, status: int | None, mend: str) -> Finding:
    if status == _HTTP_OK:
        return Finding(subject, Verdict.OK, "ready")
    detail = "does not answer" if status is None else f"not ready (HTTP {status})"
    return Finding(subject, Verdict.PROBLEM, detail, mend)
