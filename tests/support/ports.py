"""Free TCP ports on loopback, below 32768: the kernel hands out those above to outgoing connections."""

import random
import socket


def free_port() -> int:
    """A port that nobody listened on a moment ago. Two parallel test workers draw from the same range, so it is random."""
    for port in random.sample(range(20_000, 32_000), k=200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port between 20000 and 32000")
