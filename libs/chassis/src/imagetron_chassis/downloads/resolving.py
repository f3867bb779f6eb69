"""From a name to its addresses, once for each visit. Whether they may be visited is decided elsewhere."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from imagetron_chassis.downloads.addresses import IPAddress


class Resolver(Protocol):
    """Raises OSError when the name has no address or nobody answers."""

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        """Every address of the name, the preferred one first."""
        ...


class SystemResolver:
    """As the operating system is set up, except for its search domains and its hosts file: nobody but the DNS answers for a
    provider's name. A look-up that outlives the download ends by itself, in a thread.
    """

    def __init__(self, *, lookup: Callable[..., list[tuple[Any, ...]]] = socket.getaddrinfo) -> None:
        self._lookup = lookup

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        found = await asyncio.to_thread(self._lookup, f"{host}.", None, type=socket.SOCK_STREAM)
        return [ip_address(place[0]) for *_, place in found]
