"""The HTTP server inside our own loop: open when start returns, closed when stop returns, and a taken port is said."""

import signal
import socket

import httpx
import pytest

from imagetron_chassis.health import Health, HttpServer, PortTaken, probes_application
from support.ports import free_port


def a_server(port: int) -> HttpServer:
    return HttpServer(probes_application(Health({})), host="127.0.0.1", port=port)


async def answers(port: int) -> bool:
    async with httpx.AsyncClient(timeout=2) as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        except httpx.ConnectError:
            return False


async def test_the_server_answers_from_start_to_stop_and_not_after():
    port = free_port()
    server = a_server(port)

    await server.start()
    assert await answers(port)
    await server.stop()

    assert not await answers(port)


async def test_a_port_that_somebody_listens_on_is_an_error_that_names_the_address():
    port = free_port()
    first = a_server(port)
    await first.start()

    with pytest.raises(PortTaken, match=f"127.0.0.1:{port}"):
        await a_server(port).start()

    assert await answers(port)
    await first.stop()


async def test_a_port_that_somebody_bound_a_moment_ago_is_an_error_too():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        server = a_server(port)

        await server.start()
        with pytest.raises(OSError, match="in use"):
            other.listen()

        assert await answers(port)
        await server.stop()


async def test_a_host_that_is_not_ours_is_an_error_that_names_the_address():
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1:8015"):
        await HttpServer(probes_application(Health({})), host="192.0.2.1", port=8015).start()


async def test_a_server_that_never_started_can_be_stopped():
    await a_server(free_port()).stop()


async def test_the_port_is_free_again_for_the_next_process():
    port = free_port()
    for _ in range(3):
        server = a_server(port)
        await server.start()
        await server.stop()


async def test_the_server_leaves_the_signals_to_the_lifecycle():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = a_server(free_port())

    await server.start()
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    await server.stop()

    assert during == before
