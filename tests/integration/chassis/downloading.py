"""Hosts on loopback that a download may meet: one that speaks TLS, one that answers as a test wants, and a trap."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imagetron_chassis.downloads import IPAddress, SystemDialer

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Host:
    """Listens on a free port of loopback; remembers what it was asked and by which name TLS asked for it."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.server_names: list[str] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a.png"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def a_host(answering: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    host = Host()
    ended: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ended.add(task)
        host.connections += 1
        try:
            host.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await answering(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has seen enough, or the test has
        finally:
            writer.transport.abort()

    if tls is not None:
        tls.sni_callback = lambda _, name, __: host.server_names.append(name or "")
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended)
        await server.wait_closed()


def answers(*pieces: bytes) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return answer


def answers_for_ever(head: bytes, piece: bytes, *, seconds_between: float = 0) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(seconds_between)

    return answer


class To:
    """A dialer that brings every address to one port of loopback, and remembers the addresses."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.dialled: list[str] = []

    async def dial(self, address: IPAddress, port: int) -> httpcore.AsyncNetworkStream:
        self.dialled.append(f"{address} {port}")
        return await SystemDialer().dial(ip_address("127.0.0.1"), self._port)


class Authority:
    """A certificate authority that nobody but the test trusts."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority for one test")])
        self._certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))

    def trusted(self) -> ssl.SSLContext:
        """As a client has it."""
        return ssl.create_default_context(cadata=self._certificate.public_bytes(serialization.Encoding.PEM).decode())

    def server(self, name: str, folder: Path) -> ssl.SSLContext:
        """As the server of that name has it."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
        certificate = self._signed(x509.Name([]), key, x509.BasicConstraints(ca=False, path_length=None), alternative)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / f"{name}.pem"
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(days=1),
            not_valid_after=now + dt.timedelta(days=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(self._key, hashes.SHA256())
