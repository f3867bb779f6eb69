"""An internet in memory: names with their answers, hosts with their pages, and a record of every address that was dialled."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import httpcore

from imagetron_chassis.downloads import Dialer, IPAddress

PUBLIC = "93.184.215.14"
OTHER_PUBLIC = "151.101.1.69"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
ON_THE_INTERNET = {PUBLIC, OTHER_PUBLIC, PUBLIC_V6}

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR and the rest of a picture"
JPEG = b"\xff\xd8\xff\xe0 and the rest of a picture"
WEBP = b"RIFF\x40\0\0\0WEBPVP8 and the rest of a picture"


def ok(body: bytes = PNG, *headers: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def status(code: int, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {code} So", "Content-Length: 0", *headers, "", "")).encode("latin-1")


def redirect(location: str, code: int = 302) -> bytes:
    return status(code, f"Location: {location}")


@dataclass(frozen=True)
class Request:
    address: str
    port: int
    server_name: str | None
    """What TLS was asked to prove; None without TLS."""
    head: str

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@dataclass
class Internet:
    """`names`: the answers to a name's first, second ... lookup; the last one stays. `pages`: by host and path."""

    names: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    pages: Mapping[str, bytes] = field(default_factory=dict)
    dead: frozenset[str] = frozenset()
    """Addresses that take no connection."""
    beyond: Dialer | None = None
    """Who connects to addresses that are not on the internet; nobody, usually."""
    lookups: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    open_streams: int = 0

    async def resolve(self, host: str) -> list[IPAddress]:
        if host not in self.names:
            raise OSError(-2, "Name or service not known")
        answers = self.names[host]
        answer = answers[min(self.lookups.count(host), len(answers) - 1)]
        self.lookups.append(host)
        return [ip_address(text) for text in answer]

    async def dial(self, address: IPAddress, port: int) -> httpcore.AsyncNetworkStream:
        self.dialled.append(str(address))
        if str(address) in self.dead:
            raise ConnectionRefusedError
        if self.beyond is not None and str(address) not in ON_THE_INTERNET:
            return await self.beyond.dial(address, port)
        self.open_streams += 1
        return _Stream(self, str(address), port)

    def page(self, request: Request) -> bytes:
        return self.pages.get(request.headers["host"] + request.path, ok())


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, internet: Internet, address: str, port: int) -> None:
        self._internet = internet
        self._address = address
        self._port = port
        self._server_name: str | None = None
        self._asked = b""
        self._answer: bytes | None = None
        self._is_open = True

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        self._server_name = server_hostname
        return self

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's interface
        self._asked += buffer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        if self._answer is None:
            head = self._asked.decode().removesuffix("\r\n\r\n")
            request = Request(self._address, self._port, self._server_name, head)
            self._internet.requests.append(request)
            self._answer = self._internet.page(request)
        piece, self._answer = self._answer[:max_bytes], self._answer[max_bytes:]
        return piece

    async def aclose(self) -> None:
        if self._is_open:
            self._internet.open_streams -= 1
        self._is_open = False
