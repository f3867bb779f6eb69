"""Embedded mode is for one machine: nothing listens where another could reach it."""

from pathlib import Path

LISTEN = "0A"
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def test_every_listening_socket_of_the_stack_is_on_loopback(stack):
    inodes = {inode for process in stack.process_ids() for inode in _sockets(process)}

    listening = [line for table in ("tcp", "tcp6") for line in _table(table) if line[3] == LISTEN and line[9] in inodes]

    assert len(listening) >= 8
    assert {line[1].partition(":")[0] for line in listening} <= LOOPBACK


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


def _table(name: str) -> list[list[str]]:
    lines = Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]
    return [line.split() for line in lines]
