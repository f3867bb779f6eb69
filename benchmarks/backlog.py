"""What a finished job costs when few or many others wait: the gateway's processor, and each query. `make bench-backlog`.

For each backlog a fresh embedded stack, started here on free ports in a temporary folder, whose store was filled before
with waiting batch jobs by the submission's own code, without HTTP.

queries      the processor time of each query of the queue, asked of the filled store
jobs         from the first ends on until so many more families ended, while nobody asks the gateway anything
calls        reading the last waiting job, and submitting, while the batch goes on
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pipeline import CLIENTS, a_body, commit, cpu_seconds, machine, percentile, submit
from waiting import OWNER, Store, store_of

from imagetron_chassis.principals import LOCAL
from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.stack import Stack
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain.job import Job
from imagetron_gateway.usecases import SAGA

FAMILY = "square"
WINDOW = 16
# So many ends before the measurement: the window is full, everything is imported and connected.
WARM_UP = 10
ASKED = 15
# What is promised: a job costs at most so much more behind the longest backlog than behind the shortest.
FLAT = 1.5


@dataclass(frozen=True)
class Cost:
    """Seconds. Calls are what a caller waits for, the rest is per job."""

    backlog: int
    queries: dict[str, float]
    gateway: float
    wall: float
    all_processes: float
    reading: Sequence[float]
    submitting: Sequence[float]


async def time_queries(store: Store, job: Job) -> dict[str, float]:
    """Processor seconds of each query, the median of some. `job` is the last that waits."""
    jobs, now = store.jobs, datetime.now(UTC).replace(microsecond=0)
    queries: dict[str, Callable[[], Awaitable[Any]]] = {
        "next owners": lambda: jobs.waiting_owners(Lane.BATCH, SAGA, after=OWNER.owner, limit=WINDOW),
        "an owner's next jobs": lambda: jobs.waiting(Lane.BATCH, OWNER.owner, SAGA, limit=WINDOW),
        "in flight": lambda: jobs.in_flight(SAGA),
        "one job": lambda: jobs.get(job.id, LOCAL),
        "outboxes left behind": lambda: jobs.pending_since(now, limit=200),
        "due": lambda: jobs.due(now, SAGA, limit=200),
        "pace": lambda: jobs.finished(Lane.BATCH, SAGA, since=now - timedelta(minutes=5)),
        "key taken": lambda: jobs.by_key("a-key", OWNER),
        "name": lambda: jobs.by_name(job.name, OWNER),
        "newest page": lambda: jobs.page(LOCAL, after=None, limit=20),
        "count of all waiting": lambda: jobs.count_waiting(Lane.BATCH, SAGA),
        "place of the last": lambda: jobs.count_waiting(Lane.BATCH, SAGA, before=job.waiting_since),
    }
    seconds = {}
    for name, query in queries.items():
        taken = []
        for _ in range(ASKED):
            began = time.process_time()
            await query()
            taken.append(time.process_time() - began)
        seconds[name] = statistics.median(taken)
    return seconds


async def ends(store: Store, since: datetime, count: int) -> None:
    """Return when so many batch jobs have ended."""
    while True:
        # Asked of the store, so that the gateway does nothing but its work.
        await asyncio.sleep(0.2)
        if await store.ended(Lane.BATCH, since=since) >= count:
            return


async def read_and_submit(stack: Stack, job: Job, count: int) -> tuple[list[float], list[float]]:
    reading, submitting = [], []
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=60, trust_env=False) as client:
        for number in range(count):
            began = time.perf_counter()
            answer = await client.get(f"/api/jobs/{job.id}")
            reading.append(time.perf_counter() - began)
            if answer.json()["queue"] is None:
                raise SystemExit("the last job no longer waits: take a longer backlog or fewer --jobs")
            body = a_body(f"submitted-{number}", [FAMILY], steps=1, seed=number) | {"isDxJob": False}
            submitting.append((await submit(client, body))[1])
            await asyncio.sleep(0.05)
    return reading, submitting


async def cost_behind(backlog: int, arguments: argparse.Namespace) -> Cost:
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-") as folder:
        ports = Ports.from_base(arguments.port_base)
        stack = Stack(Path(folder), environ=dict(os.environ), ports=ports, log_format="json")
        stack.state.create()
        async with store_of(stack) as store:
            # What is worked off meanwhile comes on top, so that the backlog never falls below its name.
            extra = WARM_UP + arguments.jobs + arguments.calls
            last = (await store.fill(backlog + extra, families=(FAMILY,), steps=1))[-1]
            queries = await time_queries(store, last)
            await stack.start()
            try:
                began = datetime.now(UTC).replace(microsecond=0)
                await ends(store, began, WARM_UP)
                pids = stack.pids()
                before, clock = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
                first = await store.ended(Lane.BATCH, since=began)
                await ends(store, began, first + arguments.jobs)
                wall = time.perf_counter() - clock
                used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
                done = await store.ended(Lane.BATCH, since=began) - first
                reading, submitting = await read_and_submit(stack, last, arguments.calls)
            finally:
                await stack.stop()
    return Cost(backlog, queries, used["gateway"] / done, wall / done, sum(used.values()) / done, reading, submitting)


def report(arguments: argparse.Namespace, costs: Sequence[Cost]) -> bool:
    print(f"machine    {machine()}")
    print(f"commit     {commit()}")
    print(f"command    {' '.join(['python', 'benchmarks/backlog.py', *sys.argv[1:]])}")
    print(
        f"compared   with the shortest backlog of the same run; {arguments.jobs} jobs and {arguments.calls} calls each"
    )
    print(f"\n{'waiting jobs':28}" + "".join(f"{cost.backlog:12}" for cost in costs) + "   longest : shortest")
    print("per job")
    ratios = [
        row("gateway, processor", [cost.gateway for cost in costs]),
        row("wall time", [cost.wall for cost in costs]),
        row("all processes, processor", [cost.all_processes for cost in costs]),
    ]
    print("calls")
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        row(f"GET of the last job, {name}", [percentile(list(cost.reading), share) for cost in costs])
        row(f"POST, {name}", [percentile(list(cost.submitting), share) for cost in costs])
    print("queries, processor")
    for name in costs[0].queries:
        row(name, [cost.queries[name] for cost in costs])
    is_flat = max(ratios[:2]) <= FLAT
    print(f"\na job costs the same, within {FLAT}: {'yes' if is_flat else 'NO'}")
    return is_flat


def row(name: str, seconds: Sequence[float]) -> float:
    ratio = seconds[-1] / seconds[0]
    print(f"  {name:26}" + "".join(f"{one * 1000:9.2f} ms" for one in seconds) + f"   {ratio:6.2f}")
    return ratio


async def measure(arguments: argparse.Namespace) -> bool:
    costs = []
    for backlog in map(int, arguments.backlogs.split(",")):
        costs.append(await cost_behind(backlog, arguments))
        print(f"{backlog} waiting jobs: done", file=sys.stderr, flush=True)
    return report(arguments, costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlogs", default="100,2000,20000", help="waiting jobs, shortest first")
    parser.add_argument("--jobs", type=int, default=150, help="ends to measure behind each (default 150)")
    parser.add_argument("--calls", type=int, default=60, help="readings and submissions behind each (default 60)")
    parser.add_argument("--port-base", type=int, default=19215, help="first of eleven ports (default 19215)")
    sys.exit(0 if asyncio.run(measure(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
