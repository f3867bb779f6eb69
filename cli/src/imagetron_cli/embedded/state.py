"""The state folder of one embedded stack: where things lie, and that only one stack uses it at a time."""

import contextlib
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from imagetron_cli.errors import Trouble

_KEPT: Final = ("triton", "lock")
"""Triton's prepared backends depend on the wheel alone, and copying them takes a second."""


@dataclass(frozen=True)
class State:
    """Absolute paths: the processes have other working folders."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "State":
        return cls(folder.absolute())

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def spans(self) -> Path:
        return self.folder / "spans"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    @property
    def broker(self) -> Path:
        return self.folder / "rabbitmq"

    def create(self) -> None:
        for folder in (self.logs, self.spans, self.documents, self.objects):
            folder.mkdir(parents=True, exist_ok=True)

    def wipe(self) -> None:
        """Forget jobs, pictures and messages. Only while nothing runs on it: hold the lock."""
        for entry in self.folder.iterdir():
            if entry.name in _KEPT:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


class AlreadyRunning(Trouble):
    """Another stack has this state folder."""

    def __init__(self, folder: Path, process: str) -> None:
        super().__init__(
            f"A stack is already running on {folder} (process {process}). Use it, stop it with Ctrl-C where it runs "
            "or with SIGTERM, or choose another folder with --state."
        )


class Lock:
    """Held as long as the process lives: the kernel lets go of it even after SIGKILL."""

    def __init__(self, state: State) -> None:
        state.folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (state.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise AlreadyRunning(state.folder, holder) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def holder(state: State) -> int | None:
    """The process that runs a stack on this folder, if one does."""
    path = state.folder / "lock"
    if not path.exists():
        return None
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):
                return int(file.read())
    return None
