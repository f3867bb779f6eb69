"""Free TCP ports on loopback, below 32768: the kernel hands out those above to outgoing connections."""

import contextlib
import random
import socket
from typing import Final

# Not the module's own generator: it is seeded alike before each test, so all workers would draw the same ports.
_DRAW: Final = random.SystemRandom()
# A name in the kernel for each port that this process has drawn: no other worker gets it while this one lives,
# however long the server that is to listen there takes to start.
_CLAIMS: Final[list[socket.socket]] = []


def free_port() -> int:
    """A port that nobody listens on and that no other test process has been given."""
    for port in _DRAW.sample(range(20_000, 32_000), k=200):
        if not _somebody_listens(port) and _claim(port):
            return port
    raise AssertionError("no free port between 20000 and 32000")


def _somebody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _claim(port: int) -> bool:
    claim = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        claim.bind(f"\0imagetron-test-port-{port}")
        _CLAIMS.append(claim)
        return True
    claim.close()
    return False
