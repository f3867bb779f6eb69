"""One real service as a process of its own, and what it wrote. What it stands on is the test's to choose."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from support.eventually import eventually_sync
from support.ports import free_port

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
_START_SECONDS = 60
_NUMBERS = itertools.count()


class ServiceProcess:
    """`python -m imagetron_<name>` on loopback, in the embedded environment. `url` is where it answers."""

    def __init__(self, name: str, folder: Path, **environ: str) -> None:
        variable = "GATEWAY_PORT" if name == "gateway" else "PROBES_PORT"
        port = environ.pop(variable, None) or str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        self._output = folder / f"{name}-{next(_NUMBERS)}.log"
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        own = {variable: port, "ENVIRONMENT": "embedded"}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"imagetron_{name}"],
                env={**inherited, **own, "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1", **environ},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its children end with it, whatever happened
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until_ready(self) -> "ServiceProcess":
        eventually_sync(lambda: self._is_ready() or self.process.poll() is not None, within_seconds=_START_SECONDS)
        assert self.process.poll() is None, self.output
        return self

    def killed_itself(self, *, within_seconds: float = 60) -> bool:
        """Whether a fault point ended it; waits for the end."""
        eventually_sync(lambda: self.process.poll() is not None, within_seconds=within_seconds)
        return self.process.returncode == -signal.SIGKILL

    def said(self, event: str) -> int:
        """How many lines tell of this event."""
        return self.output.count(f'"event": "{event}"')

    def stop(self) -> int:
        """Ask it to; its exit status. What it had in hand is finished or back in its queue."""
        self.process.terminate()
        return self.process.wait(60)

    def end(self) -> None:
        """Whatever is left of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


StartService = Callable[..., ServiceProcess]


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[StartService]:
    """Starts services by name with these settings; ends them all."""
    started: list[ServiceProcess] = []

    def start(name: str, **environ: str) -> ServiceProcess:
        started.append(ServiceProcess(name, tmp_path, **environ))
        return started[-1]

    yield start
    for service in started:
        service.end()
