"""Which ports the embedded stack uses, whether they are free, and who has them otherwise. Nothing listens here."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from imagetron_cli.errors import Trouble

LOOPBACK: Final = "127.0.0.1"
BROKER: Final = ("rabbitmq", "rabbitmq_distribution", "rabbitmq_epmd")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All on loopback, all below 32768: the kernel hands out those above to outgoing connections."""

    gateway: int = 8015
    prompt: int = 8016
    generator: int = 8017
    deriver: int = 8018
    publisher: int = 8019
    triton_grpc: int = 8002
    triton_http: int = 8003
    triton_metrics: int = 8004
    rabbitmq: int = 28015
    rabbitmq_distribution: int = 28016
    rabbitmq_epmd: int = 28017

    @classmethod
    def from_base(cls, base: int | None) -> Self:
        """The default ports, or a block of eleven that starts at `base` (the gateway's)."""
        if base is None:
            return cls()
        names = list(asdict(cls()))
        return cls(**{name: base + offset for offset, name in enumerate(names)})

    def named(self, *, with_broker: bool = True) -> dict[str, int]:
        return {name: port for name, port in asdict(self).items() if with_broker or name not in BROKER}


class PortsTaken(Trouble):
    """The message names each port, what it is for, who has it, and how to move."""

    def __init__(self, taken: dict[str, int]) -> None:
        lines = [f"  port {port} ({name.replace('_', ' ')}): {listener_on(port)}" for name, port in taken.items()]
        super().__init__(
            "These ports are taken:\n"
            + "\n".join(lines)
            + "\nStop what listens there, or move the whole stack: --port-base 18015 (or IMAGETRON_PORT_BASE=18015)."
        )


def check_free(ports: dict[str, int]) -> None:
    """Raise PortsTaken unless all can be listened on."""
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    if taken:
        raise PortsTaken(taken)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that was closed a minute ago is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listener_on(port: int) -> str:
    """Who listens there, as far as /proc tells us: other users' processes keep it to themselves."""
    inodes = set(_listening_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_socket_of(descriptor) in inodes for descriptor in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name}, process {process.name}"
    return "a process that cannot be seen from here"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                # proc(5): local address, state (0A is LISTEN), inode.
                if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                    yield columns[9]


def _socket_of(descriptor: Path) -> str | None:
    with contextlib.suppress(OSError):
        target = os.readlink(descriptor)  # noqa: PTH115 - the target is a name, not a path
        if target.startswith("socket:["):
            return target[8:-1]
    return None
