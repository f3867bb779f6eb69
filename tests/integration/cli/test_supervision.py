"""Real child processes: watched, restarted, stopped, and never left behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.process import EX_CONFIG, ProcessSpec, StartFailed, SupervisedProcess
from integration.cli.processes import is_alive
from support.eventually import eventually, eventually_sync


class Bench:
    """Starts shell scripts under supervision; a script is ready when it has printed `ready`."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.guardian = Guardian()
        self.logs = LogBook(folder, lambda _, line: self.lines.append(line))
        self.processes: list[SupervisedProcess] = []

    def process(self, script: str, *, restarts: bool = False, grace_seconds: float = 5) -> SupervisedProcess:
        async def is_ready() -> bool:
            return "ready" in self.lines

        spec = ProcessSpec(
            name="script",
            argv=("/bin/sh", "-c", script),
            environment={"PATH": "/usr/bin:/bin"},
            is_ready=is_ready,
            ready_within_seconds=5,
            grace_seconds=grace_seconds,
        )
        process = SupervisedProcess(
            spec, logs=self.logs, guardian=self.guardian, announce=self.said.append, restarts=restarts
        )
        self.processes.append(process)
        return process


@pytest.fixture
async def bench(tmp_path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "logs")
    yield made
    for process in made.processes:
        await process.stop()
    made.guardian.dismiss()
    made.logs.close()


async def test_what_a_process_prints_is_in_its_log_and_in_the_common_one(bench):
    process = bench.process("printf 'first\\nready\\nlast without an end'")

    with contextlib.suppress(StartFailed):
        await process.start()
    await process.ended()

    assert bench.lines == ["first", "ready", "last without an end"]
    assert bench.logs.path("script").read_text().splitlines() == bench.lines
    assert "script     | first" in (bench.logs.folder / "all.log").read_text()


async def test_a_process_that_ends_before_it_is_ready_is_told_with_its_last_lines(bench):
    process = bench.process("echo no room on the disk; exit 3")

    with pytest.raises(StartFailed, match=r"status 3 before it was ready(?s:.)*no room on the disk"):
        await process.start()

    assert process.pid is None


async def test_a_process_that_is_never_ready_is_not_left_running(bench):
    process = bench.process("echo $$; exec sleep 300")

    with pytest.raises(StartFailed, match="not ready within 5 s"):
        await process.start()

    assert not is_alive(int(bench.lines[0]))


async def test_a_process_that_dies_is_started_again_and_the_restart_is_told(bench):
    process = bench.process("echo ready; exec sleep 300", restarts=True)
    await process.start()
    first = process.pid

    process.kill()

    await eventually(lambda: process.pid not in {None, first})
    assert bench.said == ["script was ended by SIGKILL; starting it again in 0.5 s"]


async def test_a_wrong_configuration_is_not_tried_again(bench):
    process = bench.process(f"echo ready; sleep 1; exit {EX_CONFIG}", restarts=True)
    await process.start()

    await process.ended()

    assert bench.said == [f"script ended with status {EX_CONFIG}"]
    assert process.pid is None


async def test_without_restarts_a_death_is_told_and_final(bench):
    process = bench.process("echo ready; exec sleep 300")
    await process.start()

    process.kill()
    await process.ended()

    assert bench.said == ["script was ended by SIGKILL"]
    assert process.pid is None


async def test_a_process_that_ignores_sigterm_is_killed_with_its_children_when_the_grace_is_over(bench):
    process = bench.process(
        "sleep 300 & echo $!; trap '' TERM; echo ready; while :; do sleep 1; done", grace_seconds=0.5
    )
    await process.start()
    leader, child = process.pid, int(bench.lines[0])

    await process.stop()

    assert leader is not None
    await eventually(lambda: not is_alive(leader) and not is_alive(child))
    assert bench.said == ["script did not stop within 0.5 s: killing it"]


async def test_a_grandchild_that_holds_the_output_does_not_hold_up_the_stop(bench):
    process = bench.process("sleep 300 & echo $!; echo ready; wait")
    await process.start()

    async with asyncio.timeout(4):
        await process.stop()

    await eventually(lambda: not is_alive(int(bench.lines[0])))


async def test_a_stop_in_the_pause_before_a_restart_is_final(bench):
    process = bench.process("echo ready; exec sleep 300", restarts=True)
    await process.start()
    process.kill()
    await eventually(lambda: bench.said)

    await process.stop()

    assert process.pid is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_and_grandchildren_die_with_a_supervisor_that_cannot_clean_up(tmp_path, number):
    command = [sys.executable, str(Path(__file__).with_name("supervisor.py")), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        family = [int(word) for word in program.stdout.readline().split()]
        assert len(family) == 2
        assert all(is_alive(member) for member in family)

        os.kill(program.pid, number)

    eventually_sync(lambda: not any(is_alive(member) for member in family), within_seconds=15)
