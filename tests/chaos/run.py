"""SIGKILL to every service, the relay and the broker while clients work, then the question whether anything was lost.

A cluster of real processes is started on free ports in a temporary folder: RabbitMQ, Triton with its preview model, and
every service in several copies. The exit status is 0 only if every invariant holds and every named fault point that a
service can reach was hit. After a bad run the folder stays, with logs, stores and ledger.
"""

import argparse
import asyncio
import random
import signal
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from chaos.campaign import Outcome, carry_out, judge, new_plan  # noqa: E402 - this line needs the one before
from chaos.plan import Plan  # noqa: E402
from imagetron_cli.errors import Trouble  # noqa: E402

# 300 jobs have ten minutes on two cores; more have more.
_JOBS_IN_TEN_MINUTES = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="SIGKILLs in all (default 60)")
    parser.add_argument("--jobs", type=int, default=300, help="jobs that clients submit (default 300)")
    parser.add_argument("--seed", type=int, help="repeats the plan of a run that printed it (default: a new one)")
    parser.add_argument(
        "--minutes", type=float, help="the run fails when it takes longer (default 10 for each 300 jobs)"
    )
    parser.add_argument("--folder", type=Path, help="where everything lies, and stays (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep a temporary folder after a good run too")
    parser.add_argument("--judge", type=Path, metavar="LEDGER", help="run nothing; judge the ledger of an earlier run")
    given = parser.parse_args()
    try:
        return 0 if _outcome(given).is_good else 1
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything that was started is stopped\n")
        return 130


def _outcome(given: argparse.Namespace) -> Outcome:
    if given.judge:
        return judge(given.judge)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    plan = new_plan(seed, kills=given.kills, jobs=given.jobs)
    minutes = given.minutes or 10 * max(1.0, given.jobs / _JOBS_IN_TEN_MINUTES)
    return asyncio.run(_interruptible(plan, given, minutes))


async def _interruptible(plan: Plan, given: argparse.Namespace, minutes: float) -> Outcome:
    """SIGTERM as Ctrl-C: what was started is stopped."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await carry_out(plan, folder=given.folder, minutes=minutes, keep=given.keep)


if __name__ == "__main__":
    sys.exit(main())
