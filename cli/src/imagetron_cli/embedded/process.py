"""One supervised child process: started, watched until ready, restarted when it dies, stopped. What to run is not known here."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LineReader, LogBook
from imagetron_cli.errors import Trouble

EX_CONFIG: Final = 78
"""A wrong configuration: starting again would only say the same again."""

_POLL_SECONDS: Final = 0.1
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 60.0
"""After a minute without a death the pause before a restart is short again."""


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to run, and how to tell that it works. `prepare` runs before every start, restarts included."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    ready_within_seconds: float = 60
    grace_seconds: float = 25
    folder: Path | None = None
    prepare: Callable[[], None] | None = None


class StartFailed(Trouble):
    """A process ended or hung before it was ready; the message shows the last lines it printed."""

    def __init__(self, name: str, what: str, logs: LogBook) -> None:
        shown = "\n".join(f"  {line}" for line in logs.last_lines(name)) or "  (it printed nothing)"
        super().__init__(f"{name} {what}. Its last lines ({logs.path(name)}):\n{shown}")


class SupervisedProcess:
    """Leads a process group of its own. An unexpected death is announced; with `restarts` it is also mended."""

    def __init__(
        self,
        spec: ProcessSpec,
        *,
        logs: LogBook,
        guardian: Guardian,
        announce: Callable[[str], None],
        restarts: bool,
    ) -> None:
        self.spec = spec
        self._logs = logs
        self._guardian = guardian
        self._announce = announce
        self._restarts = restarts
        self._process: Process | None = None
        self._output: tuple[asyncio.BaseTransport, LineReader] | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._has_been_ready = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """The group's number too. None while nothing runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Return when it is ready; raise StartFailed, with nothing left behind, when it will not be."""
        self._stopping.clear()
        self._has_been_ready = False
        await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")
        try:
            await self._until_ready(self._supervisor)
        except BaseException:
            await self.stop()
            raise
        self._has_been_ready = True

    async def stop(self) -> None:
        """SIGTERM to the leader, SIGKILL to its whole group when the grace is over. Safe to repeat."""
        self._stopping.set()
        if self._supervisor is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._supervisor], timeout=self.spec.grace_seconds)
        if not done:
            self._announce(f"{self.name} did not stop within {self.spec.grace_seconds:g} s: killing it")
            self.kill()
            await asyncio.wait([self._supervisor])
        self._supervisor = None

    def kill(self) -> None:
        """SIGKILL to the whole group: an accident, unless `stop` is under way."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def ended(self) -> None:
        """Return when the process has ended for good."""
        if self._supervisor is not None:
            await asyncio.wait([self._supervisor])

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _spawn(self) -> None:
        if self.spec.prepare:
            self.spec.prepare()
        # A pipe of our own: asyncio's would keep `wait` from returning while a grandchild holds it open.
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self.spec.environment),
                cwd=self.spec.folder,
                stdin=DEVNULL,
                stdout=writing,
                stderr=STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            os.close(reading)
            raise Trouble(f"{self.name} cannot be started: {self.spec.argv[0]}: {error.strerror}") from error
        finally:
            os.close(writing)
        self._guardian.watch(self._process.pid)
        name, logs = self.name, self._logs
        self._output = await asyncio.get_running_loop().connect_read_pipe(
            lambda: LineReader(lambda line: logs.write(name, line)), os.fdopen(reading, "rb")
        )

    async def _supervise(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            status = await self._finish()
            if self._stopping.is_set() or not self._has_been_ready:
                return
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            if not self._restarts or status == EX_CONFIG:
                self._announce(f"{self.name} {how}")
                return
            if time.monotonic() - started > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._announce(f"{self.name} {how}; starting it again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            await self._spawn()
            if self._stopping.is_set():
                # Asked to stop while it was being started: the signal went nowhere.
                self.kill()

    async def _finish(self) -> int:
        """Wait for the end; nothing of the group survives it."""
        process, output = self._process, self._output
        if process is None or output is None:
            raise AssertionError(f"{self.name} was never spawned")
        status = await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._guardian.forget(process.pid)
        transport, reader = output
        # What it printed last is still in the pipe; a process that left its group may hold the pipe open for ever.
        await asyncio.wait([reader.closed], timeout=1)
        transport.close()
        return status

    async def _until_ready(self, supervisor: asyncio.Task[None]) -> None:
        deadline = time.monotonic() + self.spec.ready_within_seconds
        while not await self.spec.is_ready():
            if self._process and self._process.returncode is not None:
                # Until it has been ready its supervisor gives up with it, when the last line is read.
                await asyncio.wait([supervisor])
                ended = f"ended with status {self._process.returncode} before it was ready"
                raise StartFailed(self.name, ended, self._logs)
            if time.monotonic() > deadline:
                waited = f"was not ready within {self.spec.ready_within_seconds:g} s"
                raise StartFailed(self.name, waited, self._logs)
            await asyncio.sleep(_POLL_SECONDS)
