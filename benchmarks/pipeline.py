"""How much the pipeline costs around the work itself: submit latency, throughput, overhead, memory. `make bench-pipeline`.

The stack is the embedded one, started here on free ports in a temporary folder, with nothing else to do.

alone      one variation at a time: overhead = its duration - time in the model - time in cutting and encoding
together   all at once from a few clients: jobs per second, against the same work's own time on all cores
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.stack import Stack

CLIENTS = 8
ENDED = {"complete", "partial", "failed"}
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finished:
    """One variation as its document tells it, in seconds."""

    submit: float
    duration: float
    model: float
    encode: float

    @property
    def overhead(self) -> float:
        return self.duration - self.model - self.encode


def a_body(name: str, families: list[str], steps: int, seed: int) -> dict[str, Any]:
    return {
        "name": name,
        "category": "benchmarks",
        "families": families,
        "generation": {
            "prompt": "a lighthouse on a rocky coast at dawn",
            "seed": seed,
            "model": "preview",
            "inferenceSteps": steps,
        },
        "isDxJob": True,
    }


async def submit(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[str, float]:
    began = time.perf_counter()
    answer = await client.post("/api/images/variations", json=body)
    answer.raise_for_status()
    return answer.json()["id"], time.perf_counter() - began


async def ended(client: httpx.AsyncClient, variation_id: str, submit_seconds: float, every: float) -> Finished:
    while True:
        variation = (await client.get(f"/api/images/variations/{variation_id}")).json()
        if variation["status"] in ENDED:
            break
        await asyncio.sleep(every)
    if variation["status"] != "complete":
        raise SystemExit(f"{variation_id} ended as {variation['status']}: {variation['error']}")
    timings = variation["timings"]
    duration = datetime.fromisoformat(timings["finishedAt"]) - datetime.fromisoformat(timings["submittedAt"])
    return Finished(submit_seconds, duration.total_seconds(), timings["modelSeconds"], timings["encodeSeconds"])


async def alone(client: httpx.AsyncClient, name: str, count: int, families: list[str], steps: int) -> list[Finished]:
    finished: list[Finished] = []
    for number in range(count):
        variation_id, seconds = await submit(client, a_body(f"{name}-{number}", families, steps, number))
        finished.append(await ended(client, variation_id, seconds, every=0.05))
    return finished


async def together(
    client: httpx.AsyncClient, count: int, families: list[str], steps: int
) -> tuple[list[Finished], float]:
    numbers = iter(range(count))
    accepted: list[tuple[str, float]] = []

    async def one_client() -> None:
        for number in numbers:
            accepted.append(await submit(client, a_body(f"together-{number}", families, steps, number)))

    began = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    # In the order of submission, slowly: reading must not be the load that is measured.
    finished = [await ended(client, variation_id, seconds, every=0.5) for variation_id, seconds in accepted]
    return finished, time.perf_counter() - began


def tree(process: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, rest = [], [process]
    while rest:
        found.append(rest.pop())
        rest.extend(children.get(found[-1], []))
    return found


def memory_mib(process: int) -> float:
    """Proportional set size of a process and its children: what it would free."""
    total = 0
    for pid in tree(process):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def cpu_seconds(process: int) -> float:
    """User and system time of a process and its children, those that ended included."""
    ticks = 0
    for pid in tree(process):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def commit() -> str:
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def machine() -> str:
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Python {platform.python_version()}"


async def measure(arguments: argparse.Namespace) -> None:
    families, steps = arguments.families.split(","), arguments.steps
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-") as folder:
        stack = Stack(
            Path(folder), environ=dict(os.environ), ports=Ports.from_base(arguments.port_base), log_format="json"
        )
        ready = await stack.start()
        try:
            limits = httpx.Limits(max_connections=CLIENTS)
            async with httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=30, trust_env=False) as client:
                await alone(client, "warm-up", 2, families, steps)
                single = await alone(client, "alone", arguments.alone, families, steps)
                before = {name: cpu_seconds(pid) for name, pid in stack.pids().items()}
                many, seconds = await together(client, arguments.jobs, families, steps)
                after = {name: cpu_seconds(pid) for name, pid in stack.pids().items()}
                memory = {name: memory_mib(pid) for name, pid in stack.pids().items()}
        finally:
            await stack.stop()
    report(arguments, ready, single, many, seconds, {name: after[name] - before[name] for name in before}, memory)


def report(
    arguments: argparse.Namespace,
    ready: float,
    single: list[Finished],
    many: list[Finished],
    seconds: float,
    cpu: dict[str, float],
    memory: dict[str, float],
) -> None:
    cores = len(os.sched_getaffinity(0))
    work = sum(item.model + item.encode for item in many)
    print(f"machine    {machine()}")
    print(f"commit     {commit()}")
    print(f"command    {' '.join(['python', 'benchmarks/pipeline.py', *sys.argv[1:]])}")
    print(f"stack      ready in {ready:.1f} s")
    print(
        f"\nalone      {len(single)} variations of {arguments.families}, {arguments.steps} steps, one after the other"
    )
    line("submit", [item.submit * 1000 for item in single], "ms")
    line("duration", [item.duration * 1000 for item in single], "ms")
    line("model", [item.model * 1000 for item in single], "ms")
    line("encode", [item.encode * 1000 for item in single], "ms")
    line("overhead", [item.overhead * 1000 for item in single], "ms")
    print(f"\ntogether   {len(many)} variations from {CLIENTS} clients at once")
    line("submit", [item.submit * 1000 for item in many], "ms")
    print(f"  throughput     {len(many) / seconds:8.2f} jobs/s  ({seconds:.1f} s)")
    print(f"  work itself    {work:8.1f} s in model and encoder, measured while all cores were shared")
    total = sum(cpu.values())
    shared = cpu["triton"] + cpu["deriver"]
    print(f"  processor      {total:8.1f} s of {seconds * cores:.1f} s ({total / seconds / cores:.0%} busy), of which")
    print(f"                 {shared:8.1f} s in Triton and the deriver ({shared / total:.0%}: the work)")
    print(
        f"  per job        {(total - shared) / len(many) * 1000:8.1f} ms processor time for everything around the work"
    )
    print("\nprocess        memory (PSS)   processor in `together`")
    for name in sorted(memory):
        print(f"  {name:12} {memory[name]:8.0f} MiB {cpu.get(name, 0):12.1f} s")


def line(name: str, values: list[float], unit: str) -> None:
    p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
    print(f"  {name:12} p50 {p50:8.1f} {unit}   p99 {p99:8.1f} {unit}   mean {statistics.fmean(values):8.1f} {unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="variations at once (default 200)")
    parser.add_argument("--alone", type=int, default=20, help="variations one after the other (default 20)")
    parser.add_argument("--families", default="square", help="comma list (default square)")
    parser.add_argument("--steps", type=int, default=10, help="model steps (default 10)")
    parser.add_argument("--port-base", type=int, default=19015, help="first of eleven ports (default 19015)")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
