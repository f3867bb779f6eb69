"""Takes out each rule of the delivery once, and looks whether the tests notice: a proof that cannot fail proves nothing.

    python tests/chaos/mutants.py            all of them
    python tests/chaos/mutants.py --list     what there is
    python tests/chaos/mutants.py ack-first  some of them

A mutant is one replaced piece of source, in a copy of its package that a throw-away interpreter finds first, so the service
processes that a test starts are mutants too. The tests named with it must pass without the mutation and fail with it. Ends
with 1 if a mutant survives, or if a test fails without any.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_ONE_RUN_SECONDS: Final = 400


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` is in `path` exactly once; `new` takes its place."""

    name: str
    without: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS: Final = (
    Mutant(
        name="mark-before-confirm",
        without="an outbox entry goes only after the broker's confirm",
        path="libs/chassis/src/imagetron_chassis/outbox.py",
        old="""                fault_point("relay.before_publish")
                await self._publisher.send(message)
""",
        new="""                await self._store.mark_sent(document_id, frozenset({message.message_id}))
                fault_point("relay.before_publish")
                await self._publisher.send(message)
""",
        tests=("tests/chaos/test_gateway_killed.py",),
    ),
    Mutant(
        name="no-watchdog",
        without="overdue work is asked for again",
        path="services/gateway/src/imagetron_gateway/usecases/checking.py",
        old="    due = {job.id: job for job in await jobs.due(clock.now(), SAGA, limit=_SWEEP_LIMIT)}\n",
        new="    due = {}\n",
        tests=("tests/chaos/test_gateway_killed.py", "tests/chaos/test_lost_queues.py"),
    ),
    Mutant(
        name="ack-first",
        without="a message is acked after its facts are confirmed",
        path="libs/chassis/src/imagetron_chassis/delivery.py",
        old='        fault_point("delivery.received")\n',
        new='        await message.ack()\n        fault_point("delivery.received")\n',
        tests=("tests/chaos/test_deriver_killed.py",),
    ),
    Mutant(
        name="not-persistent",
        without="what must arrive is persistent",
        path="libs/chassis/src/imagetron_chassis/publishing.py",
        old="persist=message.must_arrive,",
        new="persist=False,",
        tests=("tests/integration/chassis/test_sending.py",),
    ),
    Mutant(
        name="returns-ignored",
        without="a message that no queue takes is an error at its publisher",
        path="libs/chassis/src/imagetron_chassis/broker.py",
        old="Channel(on_return_raises=True)",
        new="Channel(on_return_raises=False)",
        tests=("tests/integration/chassis/test_sending.py",),
    ),
    Mutant(
        name="no-attempt-guard",
        without="results of an older revision or attempt are ignored",
        path="services/gateway/src/imagetron_gateway/domain/saga.py",
        old="    is_current = (message.revision, message.attempt) == (job.revision, family.attempt)\n",
        new="    is_current = True\n",
        tests=("tests/unit/gateway/test_commands.py", "tests/unit/gateway/test_saga_machine.py"),
    ),
    Mutant(
        name="no-version-guard",
        without="a document is replaced only if nobody changed it meanwhile",
        path="services/gateway/src/imagetron_gateway/adapters/jobs.py",
        old="        return await self._documents.replace(JOBS, _document(job), if_version=if_version)\n",
        new="""        stored = await self._documents.get(JOBS, job.id)
        version = stored["version"] if stored else if_version
        return await self._documents.replace(JOBS, _document(job), if_version=version)
""",
        tests=("tests/chaos/test_gateway_races.py",),
    ),
    Mutant(
        name="unconditional-put",
        without="an object that is there is not replaced",
        path="libs/chassis/src/imagetron_chassis/blobs/s3.py",
        old='headers["IfNoneMatch"] = "*"',
        new="pass",
        tests=("tests/chaos/test_publisher_killed.py",),
    ),
)


def main() -> int:
    options = _options()
    if unknown := set(options.names) - {mutant.name for mutant in MUTANTS}:
        raise SystemExit(f"no such mutant: {', '.join(sorted(unknown))}; --list shows them")
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:22} without: {mutant.without}")
        return 0
    problems = [] if options.no_baseline else _unfit(chosen)
    for mutant in chosen:
        began = time.monotonic()
        with _mutated(mutant) as python:
            said = _run(python, mutant.tests, stop_at_first=True)
        seconds = time.monotonic() - began
        if said.is_green:
            problems.append(f"{mutant.name} survived: nobody missed that {mutant.without}")
        verdict = "SURVIVED" if said.is_green else "killed"
        print(f"{verdict:9} {mutant.name:22} {seconds:5.0f} s   {said.summary}", flush=True)
    print(f"\nmutants={len(chosen)} killed={len(chosen) - sum('survived' in problem for problem in problems)}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


@dataclass(frozen=True, slots=True)
class _Run:
    is_green: bool
    summary: str


def _unfit(mutants: Sequence[Mutant]) -> list[str]:
    """Tests that fail on the code as it is say nothing about mutants."""
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    print(f"without any mutation: {len(tests)} files of tests ...", flush=True)
    said = _run(Path(sys.executable), tests, stop_at_first=False)
    print(
        f"{'passed' if said.is_green else 'FAILED':9} {'(the code as it is)':22}           {said.summary}", flush=True
    )
    return [] if said.is_green else [f"the tests fail without any mutation: {said.summary}"]


@contextmanager
def _mutated(mutant: Mutant) -> Iterator[Path]:
    """An interpreter that finds the mutated package first, and everything else where it was."""
    source = ROOT / mutant.path
    text = source.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: the rule is no longer where it was in {mutant.path}; write the mutant anew")
    package = next(folder for folder in source.parents if folder.name == "src")
    folder = Path(tempfile.mkdtemp(prefix="imagetron-mutant-"))
    try:
        shutil.copytree(package, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "src" / source.relative_to(package)).write_text(text.replace(mutant.old, mutant.new))
        venv.create(folder / "venv", symlinks=True)
        python = folder / "venv" / "bin" / "python"
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
        original = sysconfig.get_path("purelib")
        # In this order: the mutated package, then what the real environment has, its editable packages included.
        (site / "mutant.pth").write_text(f"{folder / 'src'}\nimport site; site.addsitedir({original!r})\n")
        yield python
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(python: Path, tests: Sequence[str], *, stop_at_first: bool) -> _Run:
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-x"] if stop_at_first else []), *tests]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_ONE_RUN_SECONDS * len(tests)
        )
    except subprocess.TimeoutExpired:
        return _Run(is_green=False, summary="did not come to an end")
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["said nothing"]
    # 0: all passed; 1: some failed. Anything else is no verdict on the rule.
    if done.returncode not in {0, 1}:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return _Run(is_green=done.returncode == 0, summary=lines[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="mutant", help="default: all")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without mutation first")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
