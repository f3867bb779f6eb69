"""One service process after the other: started with the next goal, watched until it dies, started again.

Whom to kill and where is plan.py's; here is how, and that it is written down.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from chaos.ledger import Delivered, Died, Ledger, Ready, Started
from chaos.plan import SENT_BACK, Goal
from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.ports import LOOPBACK
from imagetron_cli.embedded.services import answers_ready, service_command

READY_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2
_AFTER_AN_ERROR_SECONDS: Final = 1.0
# Long enough for the broker to fill the prefetch window of a process that stands still.
_FROZEN_SECONDS: Final = 1.0
_FIRST_DELIVERY_SECONDS: Final = 60.0
# A stop that found nothing in hand is tried again; more would only say that the point is not passed at all.
_MOST_TRIES: Final = 12
_DELIVERIES: Final = re.compile(r"^deliveries_total\{.*\} ([1-9]\S*)$", re.MULTILINE)


class Goals:
    """What is still to be hit. A goal that was given out and missed comes back."""

    def __init__(self, goals: Mapping[str, Iterable[Goal]]) -> None:
        self._waiting = {service: deque(some) for service, some in goals.items()}
        self._tries: defaultdict[Goal, int] = defaultdict(int)
        self._is_hurried = False
        self._is_over = False
        self.given_up: list[Goal] = []

    def next(self, service: str) -> Goal | None:
        waiting = self._waiting.get(service)
        if not waiting:
            return None
        goal = waiting.popleft()
        return replace(goal, passes=1) if self._is_hurried else goal

    def missed(self, goal: Goal) -> None:
        """It stopped or died elsewhere before it came to its point: another copy gets the goal."""
        if self._is_over:
            return
        self._tries[goal] += 1
        if self._tries[goal] < _MOST_TRIES:
            self._waiting[goal.service].append(goal)
        else:
            self.given_up.append(goal)

    def hurry(self) -> None:
        """From now on the first pass counts: the work comes to its end."""
        self._is_hurried = True

    def drop(self) -> None:
        """No more deaths by plan."""
        self._is_over = True
        self._waiting.clear()

    @property
    def left(self) -> int:
        return sum(map(len, self._waiting.values()))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all copies share. `deaths` is the file in which a process writes that it kills itself, and where."""

    goals: Goals
    ledger: Ledger
    guardian: Guardian
    http: httpx.AsyncClient
    logs: Path
    deaths: Path
    announce: Callable[[str], None]
    on_death: Callable[[str, str], None]
    dice: Callable[[], float]


class Copy:
    """One service process after the other, under one name and on one port."""

    def __init__(self, name: str, service: str, port: int, environment: dict[str, str], around: Surroundings) -> None:
        self.name = name
        self.service = service
        self.port = port
        self.goal: Goal | None = None
        self._environment = environment
        self._around = around
        self._process: asyncio.subprocess.Process | None = None
        self._expected: str | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self.has_been_ready = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._live(), name=self.name)

    async def stop(self) -> None:
        """For good: SIGTERM, and SIGKILL when it does not end."""
        self._stopping = True
        await self.interrupt()
        for task in self._side_tasks:
            task.cancel()
        if self._task is not None:
            await self._task

    async def interrupt(self) -> None:
        """Ask the present process to stop; another takes its place unless the copy itself is being stopped."""
        process = self._process
        if process is None:
            return
        self._expected = "stopped"
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        _signal(process, signal.SIGKILL)

    def kill(self) -> bool:
        """SIGKILL, wherever it is. False if nothing runs at the moment, or it is to die anyway."""
        if self._process is None or self._process.returncode is not None or self._expected is not None:
            return False
        self._expected = "random"
        _signal(self._process, signal.SIGKILL)
        return True

    @property
    def pid(self) -> int | None:
        """Of the present process."""
        return self._process.pid if self._process else None

    async def is_ready(self) -> bool:
        return await answers_ready(self._around.http, self.port)

    async def _live(self) -> None:
        died_at: float | None = None
        while not self._stopping:
            self.goal = self._around.goals.next(self.service)
            cause = await self._one_life(died_at)
            died_at = time.monotonic()
            if cause == "unexpected":
                await asyncio.sleep(_AFTER_AN_ERROR_SECONDS)

    async def _one_life(self, died_at: float | None) -> str:
        """One process from its start to its end; how it ended."""
        goal, self._expected, started_at = self.goal, None, time.time()
        log = self._around.logs / f"{self.name}.log"
        with log.open("ab") as output:
            process = self._process = await asyncio.create_subprocess_exec(
                *service_command(self.service),
                env={**self._environment, **_plan_for(goal, self._around.deaths)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._around.guardian.watch(process.pid)
        plan = goal.fault_plan if goal else None
        self._around.ledger.write(Started(process=self.name, service=self.service, pid=process.pid, plan=plan))
        if self._stopping:
            _signal(process, signal.SIGTERM)  # asked to stop while it was being started
        watching = asyncio.create_task(self._watch(process, goal, died_at))
        self._keep(watching)
        status = await process.wait()
        watching.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._around.guardian.forget(process.pid)
        self._process = None
        return self._write_death(
            process.pid, status, goal, _planned_death(self._around.deaths, process.pid, started_at)
        )

    async def _watch(self, process: asyncio.subprocess.Process, goal: Goal | None, died_at: float | None) -> None:
        """Note when it is ready and when it works; then bring it to its goal, where that needs help."""
        began = time.monotonic()
        while not await self.is_ready():
            if time.monotonic() - began > READY_SECONDS:
                self._around.announce(f"{self.name} is not ready after {READY_SECONDS:g} s")
                return
            await asyncio.sleep(_POLL_SECONDS)
        now = time.monotonic()
        since_death = now - died_at if died_at is not None else None
        self._around.ledger.write(
            Ready(process=self.name, pid=process.pid, start_seconds=now - began, death_seconds=since_death)
        )
        self.has_been_ready.set()
        if goal and goal.point == SENT_BACK:
            await self._stop_with_work_in_hand(process)
        elif died_at is not None and self.service != "prompt":
            await self._note_first_delivery(process, died_at)

    async def _stop_with_work_in_hand(self, process: asyncio.subprocess.Process) -> None:
        """While it stands still its prefetch window fills; when it goes on, the request to stop is there as well."""
        await asyncio.sleep(self._around.dice() * 2)
        self._expected = "stopped"
        _signal(process, signal.SIGSTOP)
        await asyncio.sleep(_FROZEN_SECONDS)
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
        await asyncio.sleep(_STOP_SECONDS)
        _signal(process, signal.SIGKILL)

    async def _note_first_delivery(self, process: asyncio.subprocess.Process, died_at: float) -> None:
        until = time.monotonic() + _FIRST_DELIVERY_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                answer = await self._around.http.get(f"http://{LOOPBACK}:{self.port}/metrics", timeout=3)
                if _DELIVERIES.search(answer.text):
                    seconds = time.monotonic() - died_at
                    self._around.ledger.write(Delivered(process=self.name, pid=process.pid, death_seconds=seconds))
                    return
            await asyncio.sleep(_POLL_SECONDS * 2)

    def _write_death(self, pid: int, status: int, goal: Goal | None, point: str | None) -> str:
        cause = "planned" if point else self._expected or "unexpected"
        if cause == "random" and status != -signal.SIGKILL:
            cause = "stopped"
        self._around.ledger.write(
            Died(process=self.name, service=self.service, pid=pid, cause=cause, status=status, point=point)
        )
        self._around.on_death(self.service, cause)
        if goal and point is None:
            self._around.goals.missed(goal)
        return cause

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)


def _plan_for(goal: Goal | None, deaths: Path) -> dict[str, str]:
    if goal is None:
        return {}
    # No grace: what is in hand at the request to stop goes back at once.
    grace = {"SHUTDOWN_GRACE_SECONDS": "0"} if goal.point == SENT_BACK else {}
    return {"FAULT_PLAN": goal.fault_plan, "FAULT_LEDGER": str(deaths), **grace}


def _planned_death(deaths: Path, pid: int, started_at: float) -> str | None:
    """The fault point at which this process died; None if it did not die at one."""
    if not deaths.exists():
        return None
    for line in reversed(deaths.read_text(encoding="utf-8").splitlines()):
        death = json.loads(line)
        if death["time"] < started_at:
            return None  # process numbers come again in a long run
        if death["pid"] == pid:
            return str(death["point"])
    return None


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
