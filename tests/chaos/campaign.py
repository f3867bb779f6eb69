"""One run from its start to its verdict: cluster up, clients at work, kills as planned, rest, aftermath, judgement."""

import asyncio
import contextlib
import logging
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from chaos import aftermath
from chaos.checker import Finding, check, points_not_hit
from chaos.clients import Api, Client, Refused, event_subscriber, in_turn, show, work_observer
from chaos.cluster import Cluster
from chaos.ledger import BrokerBack, History, Ledger, Quiet, Run, entries_in
from chaos.plan import Moment, Order, Plan, draw, more_orders, reachable
from chaos.report import report
from chaos.supervising import Goals
from imagetron_cli.errors import Trouble

# Enough to keep both cores busy, few enough that a job's story is short compared with the run.
CLIENTS_AT_ONCE: Final = 24
_PROGRESS_SECONDS: Final = 5.0
# RabbitMQ 3.10 can lose a quorum queue that it declared a moment before it is killed.
_TOPOLOGY_AGE_SECONDS: Final = 12.0
_BROKER_DOWN_SECONDS: Final = 2.0
_EVENTS_COLLECT_SECONDS: Final = 3.0
_BROKER_BACK_SECONDS: Final = 60.0
# A lost message is asked for again after two minutes at the latest; then the work itself needs its time.
_REST_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.3
# What the verdict needs of the time that a run is given.
_VERDICT_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Outcome:
    findings: list[Finding]
    not_hit: list[tuple[str, str]]
    folder: Path

    @property
    def is_good(self) -> bool:
        return not self.findings and not self.not_hit


class Campaign:
    """The state of one run."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None], *, minutes: float) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._ends_at = time.monotonic() + minutes * 60 - _VERDICT_SECONDS
        self._dice = random.Random(plan.seed)
        self._ledger = Ledger(folder / "ledger.jsonl")
        self._goals = Goals(plan.goals)
        self._cluster = Cluster(
            folder, self._ledger, self._goals, announce=say, on_death=self._on_death, dice=self._dice.random
        )
        url = self._cluster.node.url
        self._events = event_subscriber(url, self._ledger, self._heard_event)
        self._subscribers = (self._events, work_observer(url, self._ledger, self._saw_message))
        self._api = Api(self._cluster.gateways, self._dice)
        self._documents = self._cluster.state.documents / "gateway.sqlite3"
        self._janitor = aftermath.Janitor(self._cluster.state.objects / "work")
        self._kills = 0
        self._done = 0
        self._jobs: list[str] = []
        self._heard: dict[str, set[int]] = {}
        self._broker_up_at = 0.0
        self._first_message_made_at: float | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._topology_since = time.monotonic()

    async def run(self) -> None:
        """Everything that has to be alive; the ledger holds what came of it."""
        plan = self._plan
        self._ledger.write(
            Run(seed=plan.seed, kills=plan.kills, jobs=len(plan.orders), commit=_commit(), machine=_machine())
        )
        try:
            self._say(f"starting the cluster in {self._folder}")
            await self._cluster.start()
            self._topology_since = time.monotonic()
            await asyncio.gather(*(subscriber.start() for subscriber in self._subscribers))
            self._say(f"{len(plan.orders)} jobs and {plan.kills} kills begin")
            in_time = await self._in_time(self._work())
            await self._rest(in_time=in_time)
            await self._aftermath()
        finally:
            await self._cluster.stop()
            await self._api.close()
            self._ledger.close()

    async def _in_time(self, work: Awaitable[None]) -> bool:
        """False if the time was up before."""
        progress = asyncio.create_task(self._tell_progress())
        try:
            async with asyncio.timeout(max(1.0, self._ends_at - time.monotonic())):
                await work
        except TimeoutError:
            self._say("the time is up")
            return False
        finally:
            progress.cancel()
        return True

    async def _work(self) -> None:
        async def play(order: Order) -> None:
            client = Client(order, self._api, self._ledger, random.Random(order.key))
            try:
                job = await client.play()
            except Refused as error:
                self._say(str(error))  # the ledger has it, and the checker finds it
            else:
                self._jobs.append(job)
                self._janitor.ended(job)
            self._done += 1

        async with asyncio.TaskGroup() as group:
            cleaning = group.create_task(self._janitor.work())
            killing = group.create_task(self._kill_at_moments())
            await in_turn(self._plan.orders, CLIENTS_AT_ONCE, play)
            await killing
            if self._recovering is not None:
                await self._recovering
            # What was to be hit and was not yet wants work to be done.
            self._goals.hurry()
            extra = more_orders(self._plan)
            while self._goals.left or any(copy.goal for copy in self._cluster.copies):
                await self._rearm()
                await in_turn([next(extra) for _ in range(CLIENTS_AT_ONCE // 2)], CLIENTS_AT_ONCE // 2, play)
            cleaning.cancel()

    async def _rearm(self) -> None:
        """A process that waits for a late pass is asked to stop; the next one dies at its first."""
        late = [copy for copy in self._cluster.copies if copy.goal and copy.goal.passes > 1]
        await asyncio.gather(*(copy.interrupt() for copy in late))

    async def _kill_at_moments(self) -> None:
        for moment in self._plan.moments:
            await _until(partial(self._has_done, moment.share))
            await self._kill(moment)

    def _has_done(self, share: float) -> bool:
        return self._done >= share * len(self._plan.orders)

    async def _kill(self, moment: Moment) -> None:
        if moment.victim == "rabbitmq":
            await self._kill_broker()
            return
        await _until(lambda: self._cluster.kill_one_of(moment.victim))

    async def _kill_broker(self) -> None:
        if self._recovering is not None:
            await self._recovering
        await asyncio.sleep(max(0.0, self._topology_since + _TOPOLOGY_AGE_SECONDS - time.monotonic()))
        # The other team's service is away as well: what it has not heard yet must outlive the broker.
        await self._events.stop()
        await asyncio.sleep(_EVENTS_COLLECT_SECONDS)
        self._say("killing the broker")
        self._kills += 1
        down_seconds = await self._cluster.kill_broker(down_seconds=_BROKER_DOWN_SECONDS)
        await self._events.start()
        self._topology_since = time.monotonic()
        self._recovering = asyncio.create_task(self._note_recovery(down_seconds, time.time()))

    async def _note_recovery(self, down_seconds: float, up_at: float) -> None:
        """Watch until somebody has sent something, and until every process that outlived the broker consumes again."""
        self._listen_from(up_at)
        waiting = {copy: copy.pid for copy in self._cluster.copies}
        back: list[float] = []
        while time.time() - up_at < _BROKER_BACK_SECONDS and (waiting or self._hears_nothing()):
            asked = list(waiting)
            for copy, is_ready in zip(asked, await asyncio.gather(*(each.is_ready() for each in asked)), strict=True):
                if copy.pid != waiting[copy]:
                    del waiting[copy]  # it died of something else; its replacement began after the broker
                elif is_ready:
                    del waiting[copy]
                    back.append(time.time() - up_at)
            await asyncio.sleep(_POLL_SECONDS)
        first = self._first_message_made_at
        self._ledger.write(
            BrokerBack(
                down_seconds=down_seconds,
                publish_seconds=None if first is None else first - up_at,
                consume_seconds=min(back, default=None),
                all_consume_seconds=None if waiting else max(back, default=None),
            )
        )

    def _listen_from(self, moment: float) -> None:
        self._broker_up_at, self._first_message_made_at = moment, None

    def _hears_nothing(self) -> bool:
        return self._first_message_made_at is None

    async def _rest(self, *, in_time: bool) -> None:
        """Heal everything, then wait until nothing is left to do and to tell."""
        self._say("healing; waiting until all is quiet")
        self._goals.drop()
        began = time.monotonic()
        quiet = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_REST_SECONDS, self._ends_at - began)):
                await _until(self._is_quiet)
                quiet = True
        self._ledger.write(Quiet(in_time=in_time and quiet, seconds=time.monotonic() - began))

    def _is_quiet(self) -> bool:
        if any(aftermath.unrest(self._documents)):
            return False
        heard = {job: len(sequences) for job, sequences in self._heard.items()}
        return all(heard.get(job, 0) >= last for job, last in aftermath.sequences(self._documents).items())

    async def _aftermath(self) -> None:
        self._say("looking at what is there")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_VERDICT_SECONDS + len(self._jobs) / 20):
                await in_turn(self._jobs, 4, lambda job: show(self._api, self._ledger, job))
        await aftermath.write_dead_letters(self._cluster.node, self._ledger)
        await asyncio.gather(*(subscriber.stop() for subscriber in self._subscribers))
        await self._cluster.stop_services()
        aftermath.write_documents(self._documents, self._ledger)
        await asyncio.to_thread(aftermath.write_pictures, self._cluster.state.objects / "public", self._ledger)

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            left = self._ends_at - time.monotonic()
            self._say(
                f"{self._done:6} jobs ended, {self._kills:5} of {self._plan.kills} kills, "
                f"{self._goals.left} points waiting, {left:.0f} s left"
            )

    def _on_death(self, service: str, cause: str) -> None:
        self._kills += cause in {"planned", "random"}
        if cause == "unexpected":
            self._say(f"{service} ended by itself")

    def _heard_event(self, job: str, sequence: int) -> None:
        self._heard.setdefault(job, set()).add(sequence)

    def _saw_message(self, made_at: float) -> None:
        if self._first_message_made_at is None and made_at > self._broker_up_at:
            self._first_message_made_at = made_at


def judge(ledger: Path) -> Outcome:
    """The verdict on a ledger, printed with its figures."""
    try:
        history = History(entries_in(ledger))
    except (OSError, ValueError) as error:
        raise Trouble(f"{ledger} cannot be judged: {error}") from error
    findings = check(history)
    for line in report(history, findings, reachable()):
        sys.stdout.write(line + "\n")
    return Outcome(findings, points_not_hit(reachable(), history), ledger.parent)


async def carry_out(plan: Plan, *, folder: Path | None, minutes: float, keep: bool) -> Outcome:
    """One run and its verdict. A temporary folder goes away after a good run, unless it is to be kept."""
    began = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {line}\n")

    # The broker goes away on purpose; its client would tell that to the screen.
    logging.getLogger("aiormq").addHandler(logging.NullHandler())
    place = folder or Path(tempfile.mkdtemp(prefix="imagetron-chaos-"))
    place.mkdir(parents=True, exist_ok=True)
    if any(place.iterdir()):
        raise Trouble(f"{place} is not empty: a run wants a folder of its own")
    try:
        await Campaign(plan, place, say, minutes=minutes).run()
    except asyncio.CancelledError:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    except BaseException:
        say(f"seed {plan.seed}; the run broke off, and everything is in {place}")
        raise
    outcome = await asyncio.to_thread(judge, place / "ledger.jsonl")
    if outcome.is_good and folder is None and not keep:
        shutil.rmtree(place, ignore_errors=True)
    else:
        say(f"seed {plan.seed}; ledger, logs and stores are in {place}")
    return outcome


def new_plan(seed: int, *, kills: int, jobs: int) -> Plan:
    """As `draw`; the sentence of its error is for a person."""
    try:
        return draw(seed, kills=kills, jobs=jobs)
    except ValueError as error:
        raise Trouble(str(error)) from error


async def _until(condition: Callable[[], bool]) -> None:
    """Whoever calls it sets the deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
        await asyncio.sleep(_POLL_SECONDS)


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _machine() -> str:
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), platform.machine())
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
