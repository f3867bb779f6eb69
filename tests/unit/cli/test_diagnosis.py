from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagetron_cli.commands.doctor import findings_table
from imagetron_cli.diagnosis import Finding, Verdict, diagnose
from imagetron_cli.embedded.ports import Ports

GIB = 1024**3


@dataclass
class HealthyMachine:
    """A machine without a fault and without a running stack; a test says what is wrong with it."""

    python: tuple[int, int] = (3, 11)
    rabbitmq: str | None = "3.10.8"
    packages: list[str] = field(default_factory=list)
    triton: str | None = None
    free: int = 100 * GIB
    write: str | None = None
    stack: int | None = None
    listeners: dict[int, str] = field(default_factory=dict)
    amqp: str | None = None
    statuses: dict[str, int | None] = field(default_factory=dict)

    def python_version(self):
        return self.python

    def rabbitmq_version(self):
        return self.rabbitmq

    def missing_packages(self):
        return self.packages

    def triton_objection(self):
        return self.triton

    def free_bytes(self, folder: Path):
        return self.free

    def write_objection(self, folder: Path):
        return self.write

    def running_stack(self, state: Path):
        return self.stack

    def listener(self, port: int):
        return self.listeners.get(port)

    async def amqp_objection(self, url: str):
        return self.amqp

    async def http_status(self, url: str):
        return self.statuses.get(url, 200)


async def findings(machine: HealthyMachine, **environ: str) -> dict[str, Finding]:
    found = await diagnose(machine, state=Path("/state"), ports=Ports(), environ=environ)
    return {finding.subject: finding for finding in found}


async def test_a_healthy_machine_has_no_problem():
    found = await findings(HealthyMachine())

    assert {finding.verdict for finding in found.values()} == {Verdict.OK}


@pytest.mark.parametrize(
    ("machine", "subject"),
    [
        (HealthyMachine(python=(3, 10)), "Python"),
        (HealthyMachine(packages=["imagetron_deriver"]), "Our packages"),
        (HealthyMachine(triton="no libpython"), "Triton"),
        (HealthyMachine(rabbitmq=None), "RabbitMQ"),
        (HealthyMachine(rabbitmq="3.8.2"), "RabbitMQ"),
        (HealthyMachine(free=GIB // 2), "Disk space"),
        (HealthyMachine(write="/state belongs to root"), "State folder"),
        (HealthyMachine(listeners={8015: "nginx, process 7"}), "Ports"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_fault_is_one_problem_with_a_way_to_mend_it(machine, subject):
    found = await findings(machine)

    problems = [finding for finding in found.values() if finding.verdict is Verdict.PROBLEM]
    assert [finding.subject for finding in problems] == [subject]
    assert problems[0].mend


async def test_little_disk_space_is_a_warning():
    assert (await findings(HealthyMachine(free=2 * GIB)))["Disk space"].verdict is Verdict.WARNING


async def test_with_a_broker_given_ours_need_not_be_installed_nor_its_ports_be_free():
    machine = HealthyMachine(rabbitmq=None, listeners={28015: "beam.smp, process 9"})

    found = await findings(machine, AMQP_URL="amqp://there/")

    assert "RabbitMQ" not in found
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}


async def test_a_given_broker_that_does_not_answer_is_a_problem():
    found = await findings(HealthyMachine(amqp="refused"), AMQP_URL="amqp://there/")

    assert found["AMQP_URL"].verdict is Verdict.PROBLEM


async def test_a_running_stack_is_asked_part_by_part_and_its_ports_may_be_taken():
    machine = HealthyMachine(stack=42, listeners={8015: "python, process 43"})
    machine.statuses = {"http://127.0.0.1:8018/readyz": 503, "http://127.0.0.1:8016/readyz": None}

    found = await findings(machine)

    assert "Ports" not in found
    assert found["deriver"].detail == "not ready (HTTP 503)"
    assert found["prompt"].detail == "does not answer"
    assert found["gateway"].verdict is Verdict.OK
    assert found["Models"].verdict is Verdict.OK


def test_the_table_has_a_row_for_each_finding():
    table = findings_table([Finding("Python", Verdict.OK, "3.11"), Finding("Ports", Verdict.PROBLEM, "taken", "move")])

    assert table.row_count == 2


async def test_a_stack_that_answers_nowhere_may_have_been_moved():
    found = await findings(AtOtherPorts(stack=42))

    assert found["Services"].verdict is Verdict.PROBLEM
    assert "--port-base" in found["Services"].mend


class AtOtherPorts(HealthyMachine):
    """A stack runs on the folder, but not on the ports that were asked about."""

    async def http_status(self, url: str):
        return None
