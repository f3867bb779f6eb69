"""How long somebody waits for a picture behind a long batch backlog, and what is left for the batch. `make bench-fairness`.

The stack is the embedded one, started here on free ports in a temporary folder, with nothing else to do. The preview
model paints a picture in a tenth of a second whatever is asked of it, so this Triton serves it paced: with a pause after
each step that makes a picture last as long as on a GPU, and costs no processor, as there. Slots are the bottleneck then.

Wait: from just before the POST until a generator began with the family (`startedAt` of `/api/jobs/{id}`). Service time:
from there to the family's `finishedAt`, the median of families that were alone.

alone        one family after the other: the service time
no backlog   interactive jobs, one every service time, and nothing else
backlog      the same behind 10,000 waiting batch jobs, stored by the submission's own code without HTTP
rush         more interactive jobs at once than can be served: what is left for the batch then
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pipeline import CLIENTS, a_body, commit, machine, percentile, submit
from waiting import Store, store_of

from imagetron_cli.checkout import checkout, model_repository
from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.process import ProcessSpec
from imagetron_cli.embedded.stack import TRITON, Stack
from imagetron_contracts.stages import Lane

ENDED = {"completed", "partial", "failed", "cancelled"}
# What is promised: a wait below one service time and two seconds for nearly everybody, a tenth for the batch.
EXTRA_SECONDS = 2.0
BATCH_SHARE = 0.1
BARS = 10
STEPS = 10
# Put below the preview model's own code, in a copy of it.
PACED = """

import time


class Paced(Painting):
    def steps(self):
        for step in super().steps():
            time.sleep({seconds} / self.total)
            yield step


Painting = Paced
"""


class PacedStack(Stack):
    """The embedded stack, but a picture of the preview model lasts so many seconds more."""

    def __init__(self, folder: Path, ports: Ports, model_seconds: float) -> None:
        super().__init__(folder / "stack", environ=dict(os.environ), ports=ports, log_format="json")
        self._models = folder / "models"
        shutil.copytree(model_repository(checkout()) / "preview", self._models / "preview")
        with (self._models / "preview" / "1" / "model.py").open("a", encoding="utf-8") as code:
            code.write(PACED.format(seconds=model_seconds))

    async def _start(self, spec: ProcessSpec) -> None:
        if spec.name == TRITON:
            kept = [argument for argument in spec.argv if not argument.startswith("--model-repository=")]
            spec = replace(spec, argv=[*kept, f"--model-repository={self._models}"])
        await super()._start(spec)


@dataclass(frozen=True)
class Served:
    """One interactive family as its caller saw it."""

    submitted: datetime
    started: datetime
    finished: datetime

    @property
    def wait(self) -> float:
        return (self.started - self.submitted).total_seconds()

    @property
    def service(self) -> float:
        return (self.finished - self.started).total_seconds()


@dataclass(frozen=True)
class Phase:
    """Interactive jobs, and how many families of each lane began between the first arrival and the last."""

    name: str
    served: Sequence[Served]
    seconds: float
    interactive: int
    batch: int

    @property
    def waits(self) -> list[float]:
        return [one.wait for one in self.served]

    @property
    def batch_share(self) -> float:
        return self.batch / max(1, self.batch + self.interactive)


class Bench:
    """One stack, its callers and its store."""

    def __init__(self, client: httpx.AsyncClient, store: Store, family: str) -> None:
        self._client = client
        self._store = store
        self._family = family

    async def one(self, name: str, *, poll_seconds: float) -> Served:
        submitted = datetime.now(UTC)
        job_id, _ = await submit(self._client, a_body(name, [self._family], STEPS, seed=submitted.microsecond))
        return await self._served(job_id, submitted, poll_seconds)

    async def alone(self, count: int) -> list[Served]:
        return [await self.one(f"alone-{number}", poll_seconds=0.1) for number in range(count)]

    async def stream(self, name: str, count: int, every_seconds: float) -> Phase:
        """One arrives every so often, however long the others take."""
        began = datetime.now(UTC)
        arrivals = []
        for number in range(count):
            await asyncio.sleep((began + number * timedelta(seconds=every_seconds) - datetime.now(UTC)).total_seconds())
            # Asked seldom: reading must not be the load that is measured.
            arrivals.append(asyncio.create_task(self.one(f"{name}-{number}", poll_seconds=1)))
        until = datetime.now(UTC)
        return await self._phase(name, await asyncio.gather(*arrivals), began, until)

    async def rush(self, name: str, count: int) -> Phase:
        """All at once; what counts is the time in which interactive work was always waiting."""
        began = datetime.now(UTC)
        served = await asyncio.gather(*(self.one(f"{name}-{number}", poll_seconds=2) for number in range(count)))
        return await self._phase(name, served, began, max(one.started for one in served))

    async def batch_runs(self) -> None:
        """Return when the batch lane has begun to end jobs."""
        began = datetime.now(UTC).replace(microsecond=0)
        while True:
            await asyncio.sleep(0.5)
            if await self._store.ended(Lane.BATCH, since=began) >= CLIENTS:
                return

    async def _phase(self, name: str, served: Sequence[Served], began: datetime, until: datetime) -> Phase:
        since, before = _to_milliseconds(began), _to_milliseconds(until)
        interactive = await self._store.begun(Lane.INTERACTIVE, since=since, before=before)
        batch = await self._store.begun(Lane.BATCH, since=since, before=before)
        return Phase(name, served, (until - began).total_seconds(), interactive, batch)

    async def _served(self, job_id: str, submitted: datetime, poll_seconds: float) -> Served:
        while True:
            await asyncio.sleep(poll_seconds)
            job = (await self._client.get(f"/api/jobs/{job_id}")).json()
            if job["status"] in ENDED:
                break
        if job["status"] != "completed":
            raise SystemExit(f"{job_id} ended as {job['status']}: {job['error']}")
        family: dict[str, Any] = job["families"][self._family]
        started, finished = (datetime.fromisoformat(family[name]) for name in ("startedAt", "finishedAt"))
        return Served(submitted, started, finished)


def _to_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def measure(arguments: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-") as folder:
        ports = Ports.from_base(arguments.port_base)
        stack = PacedStack(Path(folder), ports, arguments.model_seconds)
        await stack.start()
        try:
            limits = httpx.Limits(max_connections=CLIENTS)
            async with (
                httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=60, trust_env=False) as client,
                store_of(stack) as store,
            ):
                bench = Bench(client, store, arguments.family)
                await bench.one("warm-up", poll_seconds=0.1)
                alone = await bench.alone(arguments.alone)
                service = statistics.median(one.service for one in alone)
                say_how(arguments, service, alone)
                count = max(20, round(arguments.seconds / service))
                bound = service + EXTRA_SECONDS
                say(await bench.stream("no-backlog", count, service), bound, "no backlog")
                await store.fill(arguments.backlog, families=(arguments.family,), steps=STEPS)
                await bench.batch_runs()
                behind = await bench.stream("backlog", count, service)
                say(behind, bound, f"behind {arguments.backlog} batch jobs")
                histogram(behind.waits, bound)
                rush = await bench.rush("rush", arguments.rush)
                say(rush, None, f"{arguments.rush} at once, behind the same backlog")
        finally:
            await stack.stop()
    return verdict(behind, rush, bound)


def say_how(arguments: argparse.Namespace, service: float, alone: Sequence[Served]) -> None:
    print(f"machine    {machine()}")
    print(f"commit     {commit()}")
    print(f"command    {' '.join(['python', 'benchmarks/fairness.py', *sys.argv[1:]])}")
    print(
        f"\nalone      {len(alone)} families {arguments.family}, {arguments.model_seconds:g} s in the model, one after the other"
    )
    print(f"  service time   median {service:.2f} s, longest {max(one.service for one in alone):.2f} s")
    print(f"  wait           median {statistics.median(one.wait for one in alone):.2f} s")


def say(phase: Phase, bound: float | None, title: str) -> None:
    print(f"\n{phase.name:10} {len(phase.served)} interactive jobs, {title}")
    p50, p95 = percentile(phase.waits, 0.5), percentile(phase.waits, 0.95)
    against = "" if bound is None else f"   (promised: p95 below {bound:.2f} s)"
    print(f"  wait           p50 {p50:6.2f} s   p95 {p95:6.2f} s   max {max(phase.waits):6.2f} s{against}")
    print(f"  service time   p50 {statistics.median(one.service for one in phase.served):6.2f} s")
    print(f"  begun          {phase.interactive} interactive, {phase.batch} batch in {phase.seconds:.0f} s", end="")
    print(f": batch has {phase.batch_share:.0%}", flush=True)


def histogram(waits: Sequence[float], bound: float) -> None:
    """How many waited how long, up to the bound in equal steps, and beyond it."""
    step = bound / BARS
    for bar in range(BARS + 1):
        inside = sum(1 for wait in waits if bar == min(BARS, max(0, int(wait / step))))
        if bar < BARS or inside:
            ends = f"{bar * step:5.2f} - {(bar + 1) * step:5.2f} s" if bar < BARS else "      more     "
            print(f"  {ends} {'#' * inside} {inside}")


def verdict(behind: Phase, rush: Phase, bound: float) -> bool:
    """Whether what is promised held in this run."""
    is_quick = percentile(behind.waits, 0.95) < bound
    # Whole families: of 43, the tenth is the fourth.
    has_its_tenth = all(phase.batch >= int((phase.batch + phase.interactive) * BATCH_SHARE) for phase in (behind, rush))
    print(f"\ninteractive p95 below one service time and {EXTRA_SECONDS:.0f} s: {'yes' if is_quick else 'NO'}")
    print(f"batch has at least {BATCH_SHARE:.0%} of what begins: {'yes' if has_its_tenth else 'NO'}")
    return is_quick and has_its_tenth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", type=int, default=10_000, help="waiting batch jobs (default 10000)")
    parser.add_argument("--seconds", type=float, default=75, help="how long interactive jobs arrive (default 75)")
    parser.add_argument("--alone", type=int, default=8, help="families for the service time (default 8)")
    parser.add_argument("--rush", type=int, default=60, help="interactive jobs at once at the end (default 60)")
    # Its pictures are small: cutting them must not become the bottleneck of a small machine.
    parser.add_argument("--family", default="facebook-og", help="the family of all jobs (default facebook-og)")
    parser.add_argument("--model-seconds", type=float, default=1.5, help="what a picture takes (default 1.5)")
    parser.add_argument("--port-base", type=int, default=19115, help="first of eleven ports (default 19115)")
    sys.exit(0 if asyncio.run(measure(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
