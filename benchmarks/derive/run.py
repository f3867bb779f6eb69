"""How fast the deriver makes pictures, against Sharp in the same run, and what the pictures are worth. `make bench-derive`.

    .venv/bin/python benchmarks/derive/run.py             everything: minutes; wants an otherwise idle machine
    ... run.py --quick                                    two photographs, one round: shows that all of it works

Ends with status 1 when a goal is missed. README.md beside this file says what is compared with what.
"""

import argparse
import asyncio
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import PIL
from derive import clocks, formats, measure, photographs, quality, report, sides
from derive.jobs import Job, shape
from PIL import features
from pipeline import commit, machine

SHAPES = ("landscape", "square")


def main() -> None:
    arguments = _arguments()
    run = asyncio.run(_run(arguments))
    report.write(run, arguments.out)
    print(run.as_markdown())
    print(f"\nall figures: {arguments.out}/figures.json, plot: {arguments.out}/derive.png")
    sys.exit(0 if all(goal.has_passed for goal in run.goals()) else 1)


async def _run(arguments: argparse.Namespace) -> report.Run:
    files = list(photographs.fetched().items())[: arguments.photographs]
    jobs = [
        Job.of(name, wanted, photographs.render(path, wanted.render))
        for name, path in files
        for wanted in map(shape, SHAPES)
    ]
    load = os.getloadavg()[0]
    scaling = clocks.own_scaling()
    one = await measure.one_core(jobs, arguments.rounds)
    two = await measure.two_cores(jobs, arguments.rounds) if arguments.two else measure.Samples()
    made = await quality.files(jobs)
    async with sides.sharp(1) as node:
        versions = node.versions
    return report.Run(
        facts={
            "machine": machine(),
            "commit": commit(),
            "command": " ".join(["benchmarks/derive/run.py", *sys.argv[1:]]),
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "load": f"{load:.1f} before, {os.getloadavg()[0]:.1f} after, in processes; its own are two at most",
            "ours": f"Python {platform.python_version()}, Pillow {PIL.__version__}, libwebp {features.version('webp')}, "
            f"zlib {features.version('zlib')}",
            "Sharp": ", ".join(f"{name} {version}" for name, version in versions.items()),
            "photographs": ", ".join(name for name, _ in files),
            "rounds": arguments.rounds,
        },
        shapes=SHAPES,
        one=one,
        two=two,
        files=made,
        costs=formats.costs([job for job in jobs if job.shape.name == SHAPES[0]][:3], 3),
        machine_scaling=scaling,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = len(photographs.PHOTOGRAPHS)
    parser.add_argument("--photographs", type=int, default=known, help=f"how many of them (default all {known})")
    parser.add_argument("--rounds", type=int, default=2, help="how often each (default 2)")
    parser.add_argument("--one-core-only", dest="two", action="store_false", help="without the part on two cores")
    parser.add_argument("--quick", action="store_true", help="two photographs, one round")
    parser.add_argument("--out", type=Path, default=Path("out/bench-derive"), help="(default out/bench-derive)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.photographs, arguments.rounds = 2, 1
    return arguments


if __name__ == "__main__":
    main()
