"""Where the output of our processes goes: one file each, one file for all, and whoever listens. No formatting of ours."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

Listener = Callable[[str, str], None]
_LAST_LINES: Final = 15
"""Enough to hold a short traceback in an error message."""


class LogBook:
    """Lines by process name. The files of the run before are kept once, under `<name>.previous.log`."""

    def __init__(self, folder: Path, listener: Listener | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._listener = listener
        self._files: dict[str, IO[str]] = {}
        self._last: dict[str, deque[str]] = {}
        self._all = _fresh(folder / "all.log")

    def write(self, name: str, line: str) -> None:
        if name not in self._files:
            self._files[name] = _fresh(self.path(name))
            self._last[name] = deque(maxlen=_LAST_LINES)
        self._last[name].append(line)
        self._files[name].write(f"{line}\n")
        self._all.write(f"{name:<10} | {line}\n")
        if self._listener:
            self._listener(name, line)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def last_lines(self, name: str) -> list[str]:
        return list(self._last.get(name, ()))

    def close(self) -> None:
        for file in (self._all, *self._files.values()):
            file.close()


def _fresh(path: Path) -> IO[str]:
    if path.exists():
        path.replace(path.with_suffix(".previous.log"))
    return path.open("w", encoding="utf-8", buffering=1)


class LineReader(asyncio.Protocol):
    """Cuts what a process prints into lines, of any length."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        self._sink = sink
        self._rest = b""
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._sink(line.decode(errors="replace").rstrip("\r"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        if self._rest:
            self._sink(self._rest.decode(errors="replace"))
            self._rest = b""
        if not self.closed.done():
            self.closed.set_result(None)
