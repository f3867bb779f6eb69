"""Connections to addresses that have been judged, whatever name the request carries."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import httpcore

from imagetron_chassis.downloads.addresses import IPAddress


class Dialer(Protocol):
    """Raises OSError, or httpcore's own errors, when the address takes no connection."""

    async def dial(self, address: IPAddress, port: int) -> httpcore.AsyncNetworkStream: ...


class SystemDialer:
    """Plain TCP. No proxy, whatever the environment says."""

    async def dial(self, address: IPAddress, port: int) -> httpcore.AsyncNetworkStream:
        return await httpcore.AnyIOBackend().connect_tcp(str(address), port)


class Pinned(httpcore.AsyncNetworkBackend):
    """For one connection: goes to the given addresses, one after the other, and never asks for the name again."""

    def __init__(self, dialer: Dialer, addresses: Sequence[IPAddress], *, seconds_each: float) -> None:
        self._dialer = dialer
        self._addresses = addresses
        self._seconds_each = seconds_each
        self._streams: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name is for TLS and the Host header
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - ours is for each address
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        for address in self._addresses:
            try:
                async with asyncio.timeout(self._seconds_each):
                    stream = await self._dialer.dial(address, port)
            except (OSError, httpcore.NetworkError, httpcore.TimeoutException):
                continue
            self._streams.append(stream)
            return stream
        raise httpcore.ConnectError("no address takes a connection")

    async def aclose(self) -> None:
        """Also what a broken or cancelled TLS handshake left open."""
        for stream in self._streams:
            await stream.aclose()
