"""A process that outlives us for a moment: when our end of its pipe closes, it ends the process groups we started.

It covers the one case in which we cannot clean up, our own SIGKILL, and reaches grandchildren too, which a parent-death
signal would not. Run as a script it is the guardian itself and imports nothing of ours.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

_GRACE_SECONDS: Final = 5.0
"""RabbitMQ needs about one second to stop cleanly, a service about as long."""


class Guardian:
    """Knows which process groups are ours and alive."""

    def __init__(self) -> None:
        # Isolated and without site-packages it is there in 20 ms. A session of its own keeps Ctrl-C away from it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__))], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Call it as soon as the group has ended: its number may belong to somebody else later."""
        self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """Whatever was not forgotten is ended now."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin, "opened with a pipe"  # noqa: S101 - a fact of the line that opened it
        return self._process.stdin

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._pipe.write(line.encode())
            self._pipe.flush()


def guard(lines: IO[str]) -> None:
    """Read until the other side is gone, then end what is left: politely, then not."""
    groups: set[int] = set()
    for line in lines:
        number = int(line[1:])
        groups.add(number) if line.startswith("+") else groups.discard(number)
    for group in groups:
        # The leader alone, as a supervisor would: it knows how to stop its own workers.
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while groups and time.monotonic() < deadline:
        groups = {group for group in groups if _exists(group)}
        time.sleep(0.05)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard(sys.stdin)
