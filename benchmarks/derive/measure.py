"""Who is measured with what, in turns, and the ratios between neighbours of one run."""

import asyncio
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from derive import clocks, ours, sides
from derive.clocks import Spent
from derive.jobs import Job

from imagetron_contracts.spec import Profile

PLAIN: Final = "Sharp"
ONCE: Final = "Sharp, decoding once"
ONCE_FAST: Final = "Sharp, decoding once, effort 2"
QUALITY: Final = "ours, quality"
FAST: Final = "ours, fast"
ALONE: Final = "ours, quality, one process"
ENCODERS: Final = "ours, encoders alone"

# Source, quality and effort.
SHARP: Final = {PLAIN: ("plain", 82, 4), ONCE: ("once", 82, 4), ONCE_FAST: ("once", 83, 2)}
OURS: Final = {QUALITY: Profile.QUALITY, FAST: Profile.FAST}
# So many jobs follow each other where two are in flight: the last one's end, when one core is idle, weighs little.
IN_A_ROW: Final = 4


@dataclass(frozen=True, slots=True)
class Way:
    """Who makes the pictures, and what a render comes as."""

    who: str
    kind: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times as fast ours is as theirs."""

    name: str
    theirs: Way
    ours: Way
    wanted: float | None = None
    """None: told, not judged."""


COMPARISONS: Final = (
    Comparison("quality, from PNG", Way(PLAIN, "png"), Way(QUALITY, "png"), 1.05),
    Comparison("quality, from WebP", Way(PLAIN, "webp"), Way(QUALITY, "webp"), 1.2),
    Comparison("quality, the product's own path", Way(PLAIN, "png"), Way(QUALITY, "ppm"), 1.2),
    Comparison("fast, from PNG", Way(PLAIN, "png"), Way(FAST, "png"), 2.0),
    Comparison("fast, the product's own path", Way(PLAIN, "png"), Way(FAST, "ppm"), 2.0),
    Comparison("quality, from lossless WebP", Way(PLAIN, "lossless-webp"), Way(QUALITY, "lossless-webp")),
    Comparison("quality, from PNG; Sharp decoding once", Way(ONCE, "png"), Way(QUALITY, "png")),
    Comparison("fast, from PNG; Sharp decoding once, effort 2", Way(ONCE_FAST, "png"), Way(FAST, "png")),
)
# Two more that need no sides of their own.
ALONE_PATH: Final = Way(ALONE, "ppm")
OWN_PATH: Final = Way(QUALITY, "ppm")
ENCODING: Final = Way(ENCODERS, "pixels")


@dataclass(slots=True)
class Samples:
    """What every way spent, in the order in which jobs came: entries at one place belong to one job in one round."""

    spent: dict[tuple[str, Way], list[Spent]] = field(default_factory=dict)
    """By shape."""

    def add(self, shape: str, way: Way, spent: Spent) -> None:
        self.spent.setdefault((shape, way), []).append(spent)

    def of(self, shape: str, way: Way) -> list[Spent]:
        return self.spent.get((shape, way), [])


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the pairs' ratios, with the quartiles."""

    median: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, theirs: Sequence[float], ours: Sequence[float]) -> "Ratio":
        ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
        if len(ratios) == 1:
            return cls(ratios[0], ratios[0], ratios[0], 1)
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(median, low, high, len(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def cpu_ratio(samples: Samples, shape: str, theirs: Way, ours: Way) -> Ratio | None:
    pair = samples.of(shape, theirs), samples.of(shape, ours)
    return Ratio.of(*([spent.cpu for spent in one] for one in pair)) if all(pair) else None


def wall_ratio(samples: Samples, shape: str, theirs: Way, ours: Way) -> Ratio | None:
    pair = samples.of(shape, theirs), samples.of(shape, ours)
    return Ratio.of(*([spent.wall for spent in one] for one in pair)) if all(pair) else None


async def one_core(jobs: Sequence[Job], rounds: int) -> Samples:
    """Everything on one core, this process included; one job at a time."""
    ways = sorted({way for each in COMPARISONS for way in (each.theirs, each.ours)}, key=str)
    samples = Samples()
    with clocks.on_cores(1):
        async with AsyncExitStack() as stack:
            everybody = await started(stack, 1)
            await _warmed(everybody, jobs[0], ways)
            for turn, job in enumerate(job for _ in range(rounds) for job in jobs):
                pictures = job.sized()
                for way in _rotated([*ways, ENCODING], turn):
                    if way is ENCODING:
                        seconds = ours.encoding_seconds(pictures, Profile.QUALITY)
                        samples.add(job.shape.name, way, Spent(seconds, seconds))
                        continue
                    side = everybody[way.who]
                    samples.add(job.shape.name, way, await clocks.spent(side.make(job, way.kind), side.process_ids))
                _told("one core", turn, rounds * len(jobs), job)
    return samples


async def two_cores(jobs: Sequence[Job], rounds: int) -> Samples:
    """Two jobs in flight, a few of the same after each other; one child alone beside them, for how ours grows."""
    ways = sorted({way for each in COMPARISONS if each.wanted for way in (each.theirs, each.ours)}, key=str)
    samples = Samples()
    with clocks.on_cores(2):
        async with AsyncExitStack() as stack:
            everybody = await started(stack, 2)
            alone = await stack.enter_async_context(ours.children(1))
            everybody[ALONE] = ours.Ours(alone, Profile.QUALITY)
            await _warmed(everybody, jobs[0], [*ways, ALONE_PATH])
            for turn, job in enumerate(job for _ in range(rounds) for job in jobs):
                for way in _rotated([*ways, ALONE_PATH], turn):
                    side = everybody[way.who]
                    flights = 1 if way == ALONE_PATH else 2
                    work = _in_flight(side, job, way.kind, flights)
                    samples.add(job.shape.name, way, await clocks.spent(work, side.process_ids))
                _told("two cores", turn, rounds * len(jobs), job)
    return samples


async def started(stack: AsyncExitStack, cores: int) -> dict[str, sides.Side]:
    """Both sides, each with as much of the machine as it is given."""
    node = await stack.enter_async_context(sides.sharp(cores))
    children = await stack.enter_async_context(ours.children(cores))
    everybody: dict[str, sides.Side] = {name: sides.SharpSide(node, *way) for name, way in SHARP.items()}
    return everybody | {name: ours.Ours(children, profile) for name, profile in OURS.items()}


async def _in_flight(side: sides.Side, job: Job, kind: str, flights: int) -> None:
    left = iter(range(IN_A_ROW))

    async def one_after_the_other() -> None:
        for _ in left:
            await side.make(job, kind)

    await asyncio.gather(*(one_after_the_other() for _ in range(flights)))


async def _warmed(everybody: Mapping[str, sides.Side], job: Job, ways: Sequence[Way]) -> None:
    for way in ways:
        side = everybody[way.who]
        await asyncio.gather(side.make(job, way.kind), side.make(job, way.kind))


def _rotated(ways: Sequence[Way], turn: int) -> list[Way]:
    """Another one begins each time: whoever follows a heavy neighbour would always be the same otherwise."""
    first = turn * 5 % len(ways)
    return [*ways[first:], *ways[:first]]


def _told(phase: str, turn: int, turns: int, job: Job) -> None:
    print(f"{phase}: {turn + 1} of {turns}, {job.photograph}, {job.shape.name}", file=sys.stderr, flush=True)
