"""Downloads over real sockets: certificates, bombs, hosts without an end, and a trap that must stay empty."""

import asyncio
import gzip
import socket
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any

import httpcore
import pytest

from imagetron_chassis.downloads import (
    DownloadFailed,
    DownloadRefused,
    DownloadRules,
    DownloadTooLarge,
    GuardedDownloads,
    NotAPicture,
    SystemResolver,
)
from imagetron_contracts.media import ImageFormat
from integration.chassis.downloading import Authority, Host, To, a_host, answers, answers_for_ever
from unit.chassis.downloads.internet import PNG, PUBLIC, Internet, ok, redirect
from unit.chassis.downloads.vectors import VECTORS

URL = "https://good.example/a.png"
TLS = httpcore.default_ssl_context()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def from_loopback(host: Host, **rules: Any) -> GuardedDownloads:
    return GuardedDownloads(DownloadRules((), dangerously_allow_plain_http_on_loopback=(host.place,), **rules))


def by_name(dialer: To, *, tls: ssl.SSLContext = TLS, **rules: Any) -> GuardedDownloads:
    """From hosts on the internet, which the dialer brings to loopback."""
    names = Internet({"good.example": [[PUBLIC]], "other.example": [[PUBLIC]]})
    return GuardedDownloads(DownloadRules(tuple(names.names), **rules), resolver=names, dialer=dialer, tls=tls)


@contextmanager
def no_more_memory_than(most_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most_bytes


def a_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_a_picture_is_fetched_from_a_loopback_double_that_is_named():
    async with a_host(answers(ok())) as host:
        picture = await from_loopback(host).fetch(host.url)

    assert (picture.data, picture.format) == (PNG, ImageFormat.PNG)


async def test_no_vector_reaches_a_trap_on_loopback_and_the_trap_works():
    async with a_host(answers(ok())) as trap:
        for vector in VECTORS:
            internet = Internet(vector.names, vector.pages, beyond=To(trap.port))
            downloads = GuardedDownloads(DownloadRules(vector.allowed), resolver=internet, dialer=internet, tls=TLS)
            with pytest.raises((DownloadRefused, DownloadFailed)):
                await downloads.fetch(vector.url)
        assert trap.connections == 0

        stream = await Internet(beyond=To(trap.port)).dial(ip_address("10.0.0.1"), 443)
        await stream.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await stream.read(100)
        await stream.aclose()
        assert trap.connections == 1


async def test_a_certificate_is_checked_against_the_name_while_the_connection_goes_to_the_judged_address(tmp_path):
    authority = Authority()
    async with a_host(answers(ok()), tls=authority.server("good.example", tmp_path)) as host:
        dialer = To(host.port)
        picture = await by_name(dialer, tls=authority.trusted()).fetch(URL)

    assert picture.data == PNG
    assert dialer.dialled == [f"{PUBLIC} 443"]
    assert host.server_names == ["good.example"]
    assert b"\r\nhost: good.example\r\n" in host.heads[0].lower()


async def test_every_hop_has_a_connection_and_a_certificate_of_its_own(tmp_path):
    authority = Authority()
    there = answers(redirect("https://other.example/b.png"))
    async with a_host(there, tls=authority.server("good.example", tmp_path)) as host:
        # The same address and port answer, but with the first host's certificate.
        with pytest.raises(DownloadFailed, match=r"certificate of other\.example does not prove its name"):
            await by_name(To(host.port), tls=authority.trusted()).fetch(URL)

    assert host.server_names == ["good.example", "other.example"]
    assert len(host.heads) == 1


@pytest.mark.parametrize("name", ["other.example", "sub.good.example", PUBLIC])
async def test_nothing_is_asked_of_a_host_whose_certificate_is_for_another_name(tmp_path, name):
    authority = Authority()
    async with a_host(answers(ok()), tls=authority.server(name, tmp_path)) as host:
        with pytest.raises(DownloadFailed, match="does not prove its name"):
            await by_name(To(host.port), tls=authority.trusted()).fetch(URL)

    assert host.heads == []


async def test_nothing_is_asked_of_a_host_whose_authority_nobody_trusts(tmp_path):
    async with a_host(answers(ok()), tls=Authority().server("good.example", tmp_path)) as host:
        with pytest.raises(DownloadFailed, match="does not prove its name"):
            await by_name(To(host.port)).fetch(URL)

    assert host.heads == []


class Silent(asyncio.Protocol):
    """Takes connections and says nothing."""


class Greeting(asyncio.Protocol):
    """Speaks first, and no TLS."""

    def connection_made(self, transport):
        transport.write(b"220 mail.example ESMTP\r\n")


@asynccontextmanager
async def a_port(protocol: type[asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_host_that_does_not_speak_tls_fails_for_now():
    async with a_port(Greeting) as port:
        with pytest.raises(DownloadFailed, match=r"good\.example failed \(ConnectError\)"):
            await by_name(To(port)).fetch(URL)


@pytest.mark.parametrize("limit", [{"connect_seconds": 0.2}, {"total_deadline_seconds": 0.2}])
async def test_a_handshake_that_never_ends_is_ended_and_leaves_nothing_open(limit):
    async with a_port(Silent) as port:
        with pytest.raises(DownloadFailed, match=r"good\.example"):
            await by_name(To(port), **limit).fetch(URL)


async def test_a_host_that_drips_a_byte_a_second_is_left_at_the_deadline():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + PNG
    async with a_host(answers_for_ever(head, b"a", seconds_between=1)) as host:
        started = time.monotonic()
        with pytest.raises(DownloadFailed, match=r"did not come from 127\.0\.0\.1 within 1\.5 s"):
            await from_loopback(host, total_deadline_seconds=1.5).fetch(host.url)

    # Far below the quarter of an hour that the host would take.
    assert time.monotonic() - started < 60


async def test_a_host_that_sends_headers_without_end_is_left():
    async with a_host(answers_for_ever(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n")) as host:
        with pytest.raises(DownloadFailed, match="failed"):
            await from_loopback(host).fetch(host.url)


async def test_a_host_that_announces_an_answer_for_ever_is_left_at_the_deadline():
    async with a_host(answers_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", seconds_between=0.01)) as host:
        with pytest.raises(DownloadFailed, match="did not come"):
            await from_loopback(host, total_deadline_seconds=0.5).fetch(host.url)


async def test_a_body_without_end_is_left_at_the_limit_and_costs_no_more_memory():
    async with a_host(answers_for_ever(CHUNKED + a_chunk(PNG), a_chunk(bytes(1 << 16)))) as host:
        with no_more_memory_than(20 << 20), pytest.raises(DownloadTooLarge, match="more than 8388608 bytes"):
            await from_loopback(host, max_bytes=8 << 20).fetch(host.url)


async def test_a_length_beyond_the_limit_is_believed_before_a_byte_of_the_body_came():
    async with a_host(answers_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"")) as host:
        with pytest.raises(DownloadTooLarge):
            await from_loopback(host).fetch(host.url)


async def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(64 << 20))
    encoded = ok(bomb, "Content-Encoding: gzip", "Content-Type: image/png")
    async with a_host(answers(encoded)) as declared, a_host(answers(ok(bomb))) as hidden:
        with no_more_memory_than(8 << 20):
            with pytest.raises(DownloadRefused, match="content encoding"):
                await from_loopback(declared).fetch(declared.url)
            with pytest.raises(NotAPicture):
                await from_loopback(hidden).fetch(hidden.url)


async def test_what_is_no_picture_is_left_after_its_first_bytes():
    async with a_host(answers_for_ever(CHUNKED, a_chunk(b"<html><script>alert(1)</script>"))) as host:
        with pytest.raises(NotAPicture):
            await from_loopback(host).fetch(host.url)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + PNG, CHUNKED + a_chunk(PNG)],
    ids=["length", "chunks"],
)
async def test_a_body_that_ends_too_early_fails_for_now(answer):
    async with a_host(answers(answer)) as host:
        with pytest.raises(DownloadFailed, match="failed"):
            await from_loopback(host).fetch(host.url)


async def test_a_picture_with_a_web_page_inside_is_a_picture_whatever_the_host_calls_it():
    page = PNG + b"<html><script>alert(1)</script></html>"
    async with a_host(answers(ok(page, "Content-Type: text/html"))) as host:
        picture = await from_loopback(host).fetch(host.url)

    assert picture.content_type == "image/png"


async def test_a_download_that_is_cancelled_lets_its_connection_go():
    async with a_host(answers_for_ever(CHUNKED + a_chunk(PNG), a_chunk(b"a"), seconds_between=0.01)) as host:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await from_loopback(host).fetch(host.url)


async def test_a_port_where_nobody_listens_fails_for_now():
    async with a_host(answers()) as host:
        pass
    with pytest.raises(DownloadFailed, match="ConnectError"):
        await from_loopback(host).fetch(host.url)


async def test_the_system_is_asked_for_absolute_names_and_for_nothing_else():
    asked = []

    def lookup(host, port, **options):
        asked.append(host)
        return socket.getaddrinfo("localhost", port, **options)

    assert {address.is_loopback for address in await SystemResolver(lookup=lookup).resolve("good.example")} == {True}
    assert asked == ["good.example."]
    with pytest.raises(OSError, match=r".+"):
        await SystemResolver().resolve("no-such-name.invalid")


async def test_a_name_that_the_system_resolves_to_loopback_is_refused():
    def lookup(_, port, **options):
        return socket.getaddrinfo("localhost", port, **options)

    async with a_host(answers(ok())) as trap:
        rules = DownloadRules(("good.example",), ports=frozenset({trap.port}))
        downloads = GuardedDownloads(rules, resolver=SystemResolver(lookup=lookup), tls=TLS)
        with pytest.raises(DownloadRefused, match="outside the public internet"):
            await downloads.fetch(f"https://good.example:{trap.port}/")

        assert trap.connections == 0
