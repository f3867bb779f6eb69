"""Who listens where, as the kernel tells it: no tool has to be installed for that."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"
_LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


class Listening(NamedTuple):
    """A listening TCP socket."""

    port: int
    is_on_loopback: bool
    inode: str


def listening() -> list[Listening]:
    """Every listening socket of this machine."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return [
        Listening(int(row[1].rpartition(":")[2], 16), row[1].rpartition(":")[0] in _LOOPBACK, row[9])
        for row in rows
        if row[3] == _LISTEN
    ]


def listening_of(processes: Iterable[int]) -> list[Listening]:
    """Those that these processes hold."""
    inodes = {inode for process in processes for inode in _sockets(process)}
    return [entry for entry in listening() if entry.inode in inodes]


def _sockets(process: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
