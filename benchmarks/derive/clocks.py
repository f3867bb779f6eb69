"""How much time something takes: on the wall, and of processors, of every process that works for it."""

import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of the wall clock, and of processors: those of the children and this process's own."""

    wall: float
    cpu: float


def processor_seconds(process: int) -> float:
    """User and system time of all of a process's threads, those that ended included, to the nanosecond."""
    # How Linux makes the clock's number of a process's: CPUCLOCK_SCHED (2) under its inverted number.
    return time.clock_gettime(~process << 3 | 2)


async def spent(work: Awaitable[object], processes: Sequence[int]) -> Spent:
    """This process writes orders and reads files: that is work, too, on either side."""
    everybody = [os.getpid(), *processes]
    before, began = sum(map(processor_seconds, everybody)), time.perf_counter()
    await work
    wall = time.perf_counter() - began
    return Spent(wall, sum(map(processor_seconds, everybody)) - before)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """This process, and what it starts meanwhile, on the first so many of the cores that it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def own_scaling(loops: int = 3_000_000) -> float:
    """What two processes gain over one on this machine at this moment, with work that shares nothing: the ceiling."""
    command = (sys.executable, "-S", "-c", f"n = 0\nfor i in range({loops}): n += i * i")

    def seconds(count: int) -> float:
        began = time.perf_counter()
        processes = [subprocess.Popen(command) for _ in range(count)]
        for process in processes:
            process.wait()
        return time.perf_counter() - began

    return 2 * min(seconds(1) for _ in range(3)) / min(seconds(2) for _ in range(3))
