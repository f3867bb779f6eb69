"""A TCP proxy that can be told to misbehave, with Toxiproxy's vocabulary.

`Direction.UPSTREAM` is what the client sends, `Direction.DOWNSTREAM` is what the server sends. A toxic may be added and
removed at any time; it holds for connections that are open already. No byte is ever lost in mid-stream or overtakes
another: TCP would not do that either. The proxy turns in a thread of its own, so that synchronous and asynchronous
tests control it alike: every method has happened when it returns.

    with toxic_proxy("127.0.0.1", 5672) as proxy:
        service = start(AMQP_URL=proxy.redirect(amqp_url))
        with proxy.toxic(Timeout()):
            ...
"""

import asyncio
import math
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from support.ports import free_port
from support.rabbitmq import LoopThread

T = TypeVar("T")
AnyToxic = TypeVar("AnyToxic", bound="Toxic")

_CHUNK_BYTES: Final = 64 * 1024
# What one direction holds back before it stops reading, as a kernel's buffers would: 64 chunks are at most 4 MiB.
_HELD_CHUNKS: Final = 64
_SLICES_PER_SECOND: Final = 20
# Linger for zero seconds: closing the socket sends a reset instead of an orderly end.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Direction(Flag):
    UPSTREAM = auto()
    DOWNSTREAM = auto()
    BOTH = UPSTREAM | DOWNSTREAM


@dataclass(frozen=True, eq=False)
class Toxic:
    """Compared by identity: two equal ones are added and removed apart."""

    def delay(self, parcel: "_Parcel") -> float:
        """The least time, in seconds, between arrival and departure."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Latency(Toxic):
    """Everything comes later, by `seconds` plus or minus up to `jitter`; throughput stays."""

    seconds: float
    jitter: float = 0.0

    def delay(self, parcel: "_Parcel") -> float:
        return self.seconds + self.jitter * parcel.luck


@dataclass(frozen=True, eq=False)
class Timeout(Toxic):
    """A black hole: connections are accepted, nothing passes, not even an end. What was held passes when it is removed."""

    def delay(self, parcel: "_Parcel") -> float:
        return math.inf


@dataclass(frozen=True, eq=False)
class SlowClose(Toxic):
    """The end of a connection comes later than its last byte."""

    seconds: float

    def delay(self, parcel: "_Parcel") -> float:
        return self.seconds if parcel.is_end else 0.0


@dataclass(frozen=True, eq=False)
class Bandwidth(Toxic):
    bytes_per_second: int


@dataclass(frozen=True, eq=False)
class LimitData(Toxic):
    """Each connection ends, both ways, instead of passing more than so many bytes since the toxic was added."""

    max_bytes: int


@dataclass(frozen=True, eq=False)
class ResetPeer(Toxic):
    """Connections, open and new, are reset: upstream the server sees it, downstream the client; the other one an end."""


@dataclass(frozen=True)
class _Parcel:
    """What one read gave: bytes, or no bytes for the sender's end."""

    data: bytes
    arrived: float
    luck: float
    was_reset: bool = False

    @property
    def is_end(self) -> bool:
        return not self.data


class ToxicProxy:
    """Listens at `host`:`port`, on loopback. `accepted`, `open` and `passed` count connections and bytes."""

    def __init__(self, upstream_host: str, upstream_port: int, loop: LoopThread, *, seed: int = 0) -> None:
        self.host: Final = "127.0.0.1"
        self.port: Final = free_port()
        self.accepted = 0
        self.luck = random.Random(seed)
        self.passed_bytes: Counter[Direction] = Counter()
        self.upstream: Final = (upstream_host, upstream_port)
        self._loop = loop
        self._toxics: dict[Toxic, Direction] = {}
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that this proxy has not ended yet."""
        return len(self._links)

    def passed(self, direction: Direction) -> int:
        """Bytes handed on so far; those that a toxic holds back are not among them."""
        return sum(self.passed_bytes[way] for way in direction)

    def redirect(self, url: str) -> str:
        """The same URL, through this proxy."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}{self.host}:{self.port}"))

    def add(self, toxic: AnyToxic, direction: Direction = Direction.BOTH) -> AnyToxic:
        def added() -> None:
            self._toxics[toxic] = direction
            self._wake()
            if isinstance(toxic, ResetPeer):
                self._reset_all(direction)

        self._loop.call(added)
        return toxic

    def remove(self, toxic: Toxic) -> None:
        def removed() -> None:
            del self._toxics[toxic]
            self._wake()

        self._loop.call(removed)

    def heal(self) -> None:
        """Remove every toxic; listen again if it was down."""

        def healed() -> None:
            self._toxics.clear()
            self._wake()

        self._loop.call(healed)
        self.up()

    @contextmanager
    def toxic(self, toxic: AnyToxic, direction: Direction = Direction.BOTH) -> Iterator[AnyToxic]:
        """The toxic for the length of a block."""
        self.add(toxic, direction)
        try:
            yield toxic
        finally:
            self.remove(toxic)

    def up(self) -> None:
        self._loop.run(self._listen())

    def down(self) -> None:
        """Nobody listens, new connections are refused, open ones are reset; until `up`."""
        self._loop.run(self._close())

    # Everything below turns in the loop's thread.

    def active(self, kind: type[AnyToxic], direction: Direction) -> list[AnyToxic]:
        return [toxic for toxic, ways in self._toxics.items() if isinstance(toxic, kind) and direction in ways]

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until the toxics have changed."""
        changed = self._changed
        with suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _reset_all(self, direction: Direction) -> None:
        for link in self._links:
            link.reset(direction)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all(Direction.BOTH)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._serve(_End(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: "_End") -> None:
        try:
            server = _End(*await asyncio.open_connection(*self.upstream))
        except asyncio.CancelledError:
            client.reset()
            raise
        except OSError:
            client.reset()  # nobody listens upstream; the client was accepted already and cannot be refused any more
            return
        link = _Link(self, client, server)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.remove(link)


class _End:
    """One of the two sockets of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def reset(self) -> None:
        end = self.writer.get_extra_info("socket")
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()

    def end(self) -> None:
        with suppress(OSError):
            self.writer.write_eof()


class _Link:
    """One client's connection and ours to the server."""

    def __init__(self, proxy: ToxicProxy, client: _End, server: _End) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server

    async def run(self) -> None:
        pumps = [
            _Pump(self._proxy, self, Direction.UPSTREAM, self._client, self._server),
            _Pump(self._proxy, self, Direction.DOWNSTREAM, self._server, self._client),
        ]
        readers = [asyncio.create_task(pump.read()) for pump in pumps]
        writers = [asyncio.create_task(pump.write()) for pump in pumps]
        for direction in Direction.BOTH:
            if self._proxy.active(ResetPeer, direction):
                self.reset(direction)
        try:
            await asyncio.gather(*writers)
        finally:
            for task in [*readers, *writers]:
                task.cancel()
            await asyncio.gather(*readers, *writers, return_exceptions=True)
            self.close()

    def reset(self, direction: Direction) -> None:
        for way, end in ((Direction.UPSTREAM, self._server), (Direction.DOWNSTREAM, self._client)):
            if way in direction:
                end.reset()
            else:
                end.writer.close()

    def close(self) -> None:
        self._client.writer.close()
        self._server.writer.close()


class _Pump:
    """One direction of one connection: what was read waits in a queue until no toxic holds it any more."""

    def __init__(self, proxy: ToxicProxy, link: _Link, direction: Direction, source: _End, target: _End) -> None:
        self._proxy = proxy
        self._link = link
        self._direction = direction
        self._source = source
        self._target = target
        self._parcels: asyncio.Queue[_Parcel] = asyncio.Queue(_HELD_CHUNKS)
        self._passed_since: Counter[LimitData] = Counter()

    async def read(self) -> None:
        while True:
            parcel = await self._receive()
            await self._parcels.put(parcel)
            if parcel.is_end:
                return

    async def write(self) -> None:
        while True:
            parcel = await self._parcels.get()
            if parcel.is_end:
                await self._until_due(parcel)
                self._target.reset() if parcel.was_reset else self._target.end()
                return
            try:
                if not await self._pass_on(parcel):
                    self._link.close()
                    return
            except ConnectionError:
                pass  # the target is gone; its own end travels the other way, and the rest of this way is for nobody

    async def _receive(self) -> _Parcel:
        was_reset = False
        try:
            data = await self._source.reader.read(_CHUNK_BYTES)
        except ConnectionError:
            data, was_reset = b"", True
        return _Parcel(data, _now(), self._proxy.luck.uniform(-1, 1), was_reset)

    async def _until_due(self, parcel: _Parcel) -> None:
        while True:
            delay = sum(toxic.delay(parcel) for toxic in self._proxy.active(Toxic, self._direction))
            left = parcel.arrived + delay - _now()
            if left <= 0:
                return
            await self._proxy.pause(left)

    async def _pass_on(self, parcel: _Parcel) -> bool:
        """False when a limit was reached before everything had passed."""
        data = parcel.data
        while data:
            await self._until_due(parcel)
            slowest = self._at_most(Bandwidth, lambda toxic: toxic.bytes_per_second)
            allowance = self._at_most(LimitData, lambda toxic: toxic.max_bytes - self._passed_since[toxic])
            piece = data[: int(min(len(data), allowance, max(1, slowest / _SLICES_PER_SECOND)))]
            if not piece:
                return False
            await self._send(piece)
            data = data[len(piece) :]
            if not math.isinf(slowest):
                await self._proxy.pause(len(piece) / slowest)
        return True

    async def _send(self, piece: bytes) -> None:
        self._target.writer.write(piece)
        await self._target.writer.drain()
        self._proxy.passed_bytes[self._direction] += len(piece)
        self._passed_since.update({toxic: len(piece) for toxic in self._proxy.active(LimitData, self._direction)})

    def _at_most(self, kind: type[AnyToxic], limit: Callable[[AnyToxic], float]) -> float:
        return min((limit(toxic) for toxic in self._proxy.active(kind, self._direction)), default=math.inf)


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def toxic_proxy(upstream_host: str, upstream_port: int, *, seed: int = 0) -> Iterator[ToxicProxy]:
    """A proxy of one's own, listening and healthy; at the end its connections are reset and nobody listens."""
    loop = LoopThread()
    proxy = ToxicProxy(upstream_host, upstream_port, loop, seed=seed)
    try:
        proxy.up()
        yield proxy
    finally:
        proxy.down()
        loop.close()
