"""The fault tests trust this proxy: each toxic does what it says, to open connections too, and can be taken away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from support.eventually import eventually, eventually_sync
from support.ports import free_port
from support.rabbitmq import LoopThread
from support.toxics import (
    Bandwidth,
    Direction,
    Latency,
    LimitData,
    ResetPeer,
    SlowClose,
    Timeout,
    ToxicProxy,
    toxic_proxy,
)

_SOON = 10.0
# How long nothing may happen before a test believes that nothing will.
_A_WHILE = 0.3


class EchoServer:
    """Answers every byte with the same byte, and its client's end with its own; knows how each connection ended."""

    def __init__(self) -> None:
        self.port = 0
        self.received = bytearray()
        self.ends: list[str] = []
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._echo(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(64 * 1024):
                self.received += data
                writer.write(data)
                await writer.drain()
            self.ends.append("orderly")
        except ConnectionError:
            self.ends.append("reset")
        finally:
            writer.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def says(self, data: bytes) -> bytes:
        """The echo."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), _SOON)

    async def hears(self) -> bytes:
        """Whatever comes next; nothing at the end."""
        return await asyncio.wait_for(self.reader.read(64 * 1024), _SOON)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), _A_WHILE)
        except TimeoutError:
            return True
        return False


Connect = Callable[[], Awaitable[Client]]


@pytest.fixture
def server() -> Iterator[EchoServer]:
    """One for each test: the ends of a test's connections may come late, and must not be taken for those of the next."""
    loop = LoopThread()
    echo = EchoServer()
    loop.run(echo.start())
    yield echo
    loop.run(echo.stop())
    loop.close()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[ToxicProxy]:
    with toxic_proxy("127.0.0.1", server.port) as healthy:
        yield healthy


@pytest.fixture
async def connect(proxy: ToxicProxy) -> AsyncIterator[Connect]:
    """More clients, each closed at the end."""
    clients: list[Client] = []

    async def connected() -> Client:
        clients.append(await _connect(proxy))
        return clients[-1]

    yield connected
    for each in clients:
        each.writer.close()


@pytest.fixture
async def client(connect: Connect) -> Client:
    return await connect()


async def _connect(proxy: ToxicProxy) -> Client:
    return Client(*await asyncio.open_connection(proxy.host, proxy.port))


async def test_without_toxics_every_byte_passes_both_ways_and_is_counted(proxy, client):
    data = bytes(range(256)) * 4096

    assert await client.says(data) == data

    assert proxy.accepted == proxy.open == 1
    # Counted just after the bytes have left, which their receiver may overtake.
    await eventually(lambda: proxy.passed(Direction.BOTH) == 2 * len(data))
    assert proxy.passed(Direction.UPSTREAM) == proxy.passed(Direction.DOWNSTREAM) == len(data)


async def test_an_orderly_end_passes_both_ways(proxy, client, server):
    await client.says(b"hello")
    client.writer.write_eof()

    assert await client.hears() == b""
    assert server.ends == ["orderly"]
    await eventually(lambda: proxy.open == 0)


async def test_a_client_that_resets_is_seen_as_such_by_the_server(proxy, client, server):
    with proxy.toxic(Timeout(), Direction.DOWNSTREAM):
        client.writer.write(b"never read")
        await eventually(lambda: bytes(server.received) == b"never read")
        client.writer.transport.abort()

        await eventually(lambda: bool(server.ends))


@pytest.mark.parametrize("direction", [Direction.UPSTREAM, Direction.DOWNSTREAM])
async def test_latency_delays_every_byte_until_it_is_removed(proxy, client, direction):
    await client.says(b"warm")
    with proxy.toxic(Latency(seconds=0.4), direction):
        began = time.monotonic()
        await client.says(b"slow")
        assert time.monotonic() - began >= 0.4

    with proxy.toxic(Latency(seconds=3600), direction):
        client.writer.write(b"held")
        assert await client.hears_nothing()
    assert await client.hears() == b"held"


async def test_latency_does_not_lower_throughput(proxy, client):
    with proxy.toxic(Latency(seconds=0.3), Direction.DOWNSTREAM):
        began = time.monotonic()
        for _ in range(20):
            client.writer.write(b"x")
            await asyncio.sleep(0.01)
        await asyncio.wait_for(client.reader.readexactly(20), _SOON)

        assert time.monotonic() - began < 20 * 0.3


async def test_jitter_varies_the_delay_and_keeps_the_order(proxy, client):
    delays = []
    with proxy.toxic(Latency(seconds=0.1, jitter=0.1), Direction.DOWNSTREAM):
        for _ in range(8):
            began = time.monotonic()
            await client.says(b"x")
            delays.append(time.monotonic() - began)
        for number in range(50):
            client.writer.write(bytes([number]))
            await asyncio.sleep(0.002)

        assert await asyncio.wait_for(client.reader.readexactly(50), _SOON) == bytes(range(50))
    assert max(delays) - min(delays) > 0.02


async def test_a_black_hole_passes_nothing_to_open_connections_and_lets_everything_through_when_it_is_gone(
    proxy, client, server
):
    await client.says(b"before")
    with proxy.toxic(Timeout()):
        client.writer.write(b"held")

        assert await client.hears_nothing()
        assert bytes(server.received) == b"before"

    assert await client.hears() == b"held"


async def test_a_black_hole_accepts_new_connections(proxy, connect):
    with proxy.toxic(Timeout()):
        late = await connect()
        late.writer.write(b"hello?")

        assert await late.hears_nothing()

    assert await late.hears() == b"hello?"


async def test_a_black_hole_in_one_direction_lets_the_server_act_on_what_it_never_answers(proxy, client, server):
    with proxy.toxic(Timeout(), Direction.DOWNSTREAM):
        client.writer.write(b"do it")

        await eventually(lambda: bytes(server.received) == b"do it")
        assert await client.hears_nothing()


async def test_a_black_hole_keeps_the_connection_half_open_after_one_side_has_gone(proxy, client, server):
    await client.says(b"hello")
    with proxy.toxic(Timeout()):
        client.writer.close()
        await client.writer.wait_closed()

        with pytest.raises(AssertionError):
            await eventually(lambda: bool(server.ends), within_seconds=_A_WHILE)
        assert proxy.open == 1

    await eventually(lambda: bool(server.ends))


async def test_reset_peer_resets_open_and_new_connections_until_it_is_removed(proxy, client, connect):
    await client.says(b"hello")
    with proxy.toxic(ResetPeer()):
        with pytest.raises(ConnectionResetError):
            await client.hears()
        with pytest.raises(ConnectionResetError):
            await (await connect()).hears()

    assert await (await connect()).says(b"again") == b"again"


async def test_a_reset_in_one_direction_is_an_orderly_end_for_the_other_side(proxy, client, server):
    await client.says(b"hello")
    with proxy.toxic(ResetPeer(), Direction.UPSTREAM):
        assert await client.hears() == b""

    await eventually(lambda: server.ends == ["reset"])


@pytest.mark.parametrize("direction", [Direction.UPSTREAM, Direction.DOWNSTREAM])
async def test_limited_data_ends_each_connection_after_exactly_so_many_bytes(proxy, client, server, connect, direction):
    await client.says(b"unlimited before")
    server.received.clear()
    with proxy.toxic(LimitData(max_bytes=5), direction):
        client.writer.write(b"0123456789")
        heard = await client.hears()

        assert heard == (b"01234" if direction is Direction.DOWNSTREAM else heard)
        await eventually(lambda: len(server.received) == (5 if direction is Direction.UPSTREAM else 10))
        await eventually(lambda: proxy.open == 0)

    assert await (await connect()).says(b"0123456789") == b"0123456789"


async def test_no_data_at_all_down_means_applied_but_never_answered(proxy, client, server):
    with proxy.toxic(LimitData(max_bytes=0), Direction.DOWNSTREAM):
        client.writer.write(b"charge me")

        assert await client.hears() == b""
        assert bytes(server.received) == b"charge me"


async def test_slow_close_delays_the_end(proxy, client):
    with proxy.toxic(SlowClose(seconds=0.4), Direction.DOWNSTREAM):
        began = time.monotonic()
        client.writer.write_eof()

        assert await client.hears() == b""
        assert time.monotonic() - began >= 0.4


async def test_slow_close_delays_no_bytes_and_ends_at_once_when_it_is_removed(proxy, client):
    with proxy.toxic(SlowClose(seconds=3600)):
        await client.says(b"hello")
        client.writer.write_eof()
        assert await client.hears_nothing()

    assert await client.hears() == b""


@pytest.mark.parametrize("direction", [Direction.UPSTREAM, Direction.DOWNSTREAM])
async def test_bandwidth_is_bytes_a_second_until_it_is_removed(proxy, client, direction):
    with proxy.toxic(Bandwidth(bytes_per_second=10_000), direction):
        began = time.monotonic()
        await client.says(bytes(5_000))

        assert time.monotonic() - began >= 0.4
        client.writer.write(bytes(1_000_000))
        assert await client.hears()

    await asyncio.wait_for(client.reader.readexactly(900_000), _SOON)


async def test_a_black_hole_stops_a_slow_transfer_in_the_middle(proxy, client):
    proxy.add(Bandwidth(bytes_per_second=10_000), Direction.DOWNSTREAM)
    client.writer.write(bytes(100_000))
    assert await client.hears()
    with proxy.toxic(Timeout(), Direction.DOWNSTREAM):
        so_far = proxy.passed(Direction.DOWNSTREAM)

        assert await client.hears_nothing() or proxy.passed(Direction.DOWNSTREAM) < so_far + 2_000

    assert proxy.passed(Direction.DOWNSTREAM) < 100_000


async def test_what_is_down_refuses_connections_and_comes_back_on_the_same_port(proxy, client, connect):
    await client.says(b"hello")
    proxy.down()

    with pytest.raises(ConnectionResetError):
        await client.hears()
    with pytest.raises(ConnectionRefusedError):
        await connect()
    assert proxy.open == 0

    proxy.up()
    assert await (await connect()).says(b"again") == b"again"


async def test_a_healed_proxy_has_no_toxic_left_and_listens(proxy, connect):
    proxy.add(Timeout())
    proxy.add(Latency(seconds=3600))
    proxy.down()

    proxy.heal()

    assert await (await connect()).says(b"again") == b"again"


async def test_two_equal_toxics_add_up_and_are_removed_apart(proxy, client):
    first = proxy.add(Latency(seconds=0.3), Direction.DOWNSTREAM)
    second = proxy.add(Latency(seconds=0.3), Direction.DOWNSTREAM)
    began = time.monotonic()
    await client.says(b"x")
    assert time.monotonic() - began >= 0.6

    proxy.remove(first)
    began = time.monotonic()
    await client.says(b"x")
    assert time.monotonic() - began >= 0.3

    proxy.remove(second)


def test_nobody_listens_and_nothing_is_open_after_the_end(server):
    with toxic_proxy("127.0.0.1", server.port) as proxy:
        pass

    async def refused() -> bool:
        try:
            await _connect(proxy)
        except ConnectionRefusedError:
            return True
        return False

    eventually_sync(lambda: asyncio.run(refused()))
    assert proxy.open == 0


async def test_a_server_that_is_gone_looks_like_one_to_the_client():
    async def hears_something(proxy: ToxicProxy) -> None:
        client = await _connect(proxy)
        try:
            await client.hears()
        finally:
            client.writer.close()

    with toxic_proxy("127.0.0.1", free_port()) as proxy, pytest.raises(ConnectionResetError):
        await hears_something(proxy)


def test_a_url_is_redirected_with_its_credentials_and_path():
    with toxic_proxy("127.0.0.1", 5672) as proxy:
        assert proxy.redirect("amqp://guest:a%40b@127.0.0.1:5672/jobs?heartbeat=5") == (
            f"amqp://guest:a%40b@127.0.0.1:{proxy.port}/jobs?heartbeat=5"
        )
