"""What the doubles of outside image providers share: a server on loopback, answers good and bad, pictures, a ledger.

Their error messages quote what the caller wrote, the prompt and the key with it, as those of real servers may.
"""

import asyncio
import hashlib
import io
import itertools
import json
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs

import uvicorn
from PIL import Image

from support.eventually import eventually_sync

Operation = Literal["submit", "look", "find", "cancel"]

METADATA_URL: Final = "http://169.254.169.254/latest/meta-data/"
HTML: Final = b"<html><body>Welcome to the network</body></html>"
_FORMATS: Final = ("PNG", "JPEG", "WEBP")


class Reply(Enum):
    """How one request is answered."""

    GOOD = auto()
    DROPPED = auto()
    """Done, but the connection breaks before the answer is there."""
    BROKEN = auto()
    """Done, but the answer is a 500."""
    HANGS = auto()
    """Done, but no answer comes."""
    TRICKLES = auto()
    """Done, and the answer comes at a byte now and then."""
    HTML = auto()
    """Done, but a proxy's page with a good status comes back."""
    MISSHAPEN = auto()
    """Done, but the answer is JSON of another shape."""
    ENDLESS = auto()
    """Done, but the answer is bigger than any that is promised."""
    UNAVAILABLE = auto()
    """Not done: 503."""
    RATE_LIMITED = auto()
    """Not done: 429 with Retry-After."""
    OUT_OF_QUOTA = auto()
    """Not done: 429 with a code that speaks of quota."""
    UNPAID = auto()
    """Not done: 402."""
    UNAUTHORISED = auto()
    """Not done: 401."""
    FORBIDDEN = auto()
    """Not done: 403."""
    AGAINST_POLICY = auto()
    """Not done: 400 with a code that speaks of policy."""
    REFUSED = auto()
    """Not done: 422."""
    MOVED = auto()
    """Not done: 302 to another host."""

    @property
    def is_done(self) -> bool:
        return self.value <= Reply.ENDLESS.value


class Pictures(Enum):
    """What a finished task's pictures are like."""

    GOOD = auto()
    ONE_FAILED = auto()
    """The second has an error in place of a URL."""
    ONE_MISSING = auto()
    """The URL of the second answers 404."""
    ONE_BOMB = auto()
    """The second is a PNG of 20 000 x 20 000 in few bytes."""
    ONE_HTML = auto()
    """The second is a page, sent as image/png."""
    ONE_METADATA = auto()
    """The second lies at the address where clouds keep a machine's credentials."""
    ONE_INTERNAL = auto()
    """The second lies on loopback, at the double's own `/internal`."""


@dataclass(frozen=True)
class Submission:
    """A line of the ledger: what the provider charges for."""

    task: str
    reference: str | None
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Asked:
    """One request as it came; `body` is None where it was no JSON object."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] | None


class Refusal(Exception):
    """An answer with an error status, by the double's own judgement."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Exchange:
    """One request under way, and the ways to answer it."""

    def __init__(self, asked: Asked, receive, send) -> None:
        self.asked = asked
        self._receive = receive
        self._send = send

    async def says(self, status: int, body: Any, *, headers: dict[str, str] | None = None) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.starts(status, len(payload), headers or {})
        await self._send({"type": "http.response.body", "body": payload})

    async def fails(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        quoted = f"{message} You sent: {json.dumps(self.asked.body)[:3000]} with {self.asked.headers}"
        await self.says(status, {"error": {"code": code, "message": quoted}}, headers=headers)

    async def starts(self, status: int, length: int, headers: dict[str, str]) -> None:
        head = {"content-type": "application/json", "content-length": str(length), **headers}
        lines = [(name.encode(), value.encode()) for name, value in head.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def trickles(self) -> None:
        await self.starts(200, 1_000_000, {})
        while True:
            await self._send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.02)

    async def overflows(self, total: int) -> None:
        await self.starts(200, total, {})
        chunk = b" " * 65_536
        for _ in range(total // len(chunk)):
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def until_the_caller_leaves(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class ProviderDouble:
    """`requests` holds all that came, `submissions` all that is charged for; with a `ledger` each of these is also a line of
    JSON in that file, appended before anything else happens.

    Wire format and tasks are the subclass's: `_dispatch` does what is asked and returns the good answer.
    """

    key_header: str
    key_prefix: str = ""
    endless_bytes: int = 2 << 20

    def __init__(self, ledger: Path | None = None) -> None:
        self.base_url = ""
        self.api_key = "key-double-0123456789"
        self.pictures_url: str | None = None
        """Where pictures are said to be; by default the double's own address. A test's own names may lead there."""
        self.retry_after: float | None = 7.0
        self.requests: list[Asked] = []
        self.submissions: list[Submission] = []
        self.internal_hits = 0
        self._ledger = ledger
        self._numbers = itertools.count(1)
        self._scripts: dict[Operation, deque[Reply]] = {
            "submit": deque(),
            "look": deque(),
            "find": deque(),
            "cancel": deque(),
        }
        self._shelf: dict[str, Picture] = {}

    # What a test does.

    def replies(self, reply: Reply, *, to: Operation, times: int = 1) -> None:
        """To the next `times` of them, after those already scripted."""
        self._scripts[to].extend([reply] * times)

    def submissions_of(self, reference: str) -> list[Submission]:
        return [submission for submission in self.submissions if submission.reference == reference]

    def reset(self) -> None:
        """As new: nothing scripted and nothing seen. What its earlier tasks still do is told and noted no more."""
        for script in self._scripts.values():
            script.clear()
        self.retry_after = 7.0
        self.requests.clear()
        self.submissions.clear()

    # What a subclass does.

    def operation_of(self, asked: Asked) -> Operation | None:
        raise NotImplementedError

    async def _dispatch(self, operation: Operation, asked: Asked) -> Any:
        """Do it, and return the body of the good answer. Raises Refusal."""
        raise NotImplementedError

    def _accepted(self, task: str, reference: str | None) -> None:
        submission = Submission(task, reference, time.time())
        if self._ledger is not None:
            with self._ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(submission)) + "\n")
        self.submissions.append(submission)

    def _new_task_id(self) -> str:
        # Unlike any number that another run's double has given away.
        return (
            f"task-{next(self._numbers)}-{hashlib.sha256(repr((id(self), time.time_ns())).encode()).hexdigest()[:12]}"
        )

    def _shelved(self, task: str, position: int, picture: "Picture") -> str:
        """The picture's URL from now on."""
        path = f"/pictures/{task}/{position}.{picture.format.lower()}"
        self._shelf[path] = picture
        return f"{self.pictures_url or self.origin}{path}"

    @property
    def origin(self) -> str:
        return self.base_url.removesuffix("/v1")

    # The server.

    async def __call__(self, scope, receive, send) -> None:
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        asked = Asked(scope["method"], scope["path"], query, headers, _parsed(await _read(receive)))
        exchange = Exchange(asked, receive, send)
        if asked.path.startswith("/pictures/"):
            await self._show(exchange)
        elif asked.path.startswith("/internal"):
            self.internal_hits += 1
            await exchange.says(200, {"credentials": "canary"})
        else:
            self.requests.append(asked)
            await self._serve(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        operation = self.operation_of(exchange.asked)
        if operation is None:
            await exchange.fails(404, "not_found", "There is no such address.")
            return
        if exchange.asked.headers.get(self.key_header) != f"{self.key_prefix}{self.api_key}":
            await exchange.fails(401, "invalid_api_key", "The key is wrong.")
            return
        script = self._scripts[operation]
        reply = script.popleft() if script else Reply.GOOD
        if not reply.is_done:
            await self._refuse(exchange, reply)
            return
        try:
            body = await self._dispatch(operation, exchange.asked)
        except Refusal as refusal:
            await exchange.fails(refusal.status, refusal.code, str(refusal))
            return
        await self._answer(exchange, reply, body)

    async def _answer(self, exchange: Exchange, reply: Reply, body: Any) -> None:
        match reply:
            case Reply.DROPPED:
                # Returning without the body makes uvicorn close the connection.
                await exchange.starts(200, 4096, {})
            case Reply.BROKEN:
                await exchange.fails(500, "internal_error", "Something broke.")
            case Reply.HANGS:
                await exchange.until_the_caller_leaves()
            case Reply.TRICKLES:
                await exchange.trickles()
            case Reply.HTML:
                await exchange.says(200, HTML, headers={"content-type": "text/html"})
            case Reply.MISSHAPEN:
                await exchange.says(200, {"unexpected": [exchange.asked.body]})
            case Reply.ENDLESS:
                await exchange.overflows(self.endless_bytes)
            case _:
                await exchange.says(200, body, headers=self.good_headers(body))

    def good_headers(self, body: Any) -> dict[str, str]:
        return {}

    async def _refuse(self, exchange: Exchange, reply: Reply) -> None:
        headers = {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}
        match reply:
            case Reply.UNAVAILABLE:
                await exchange.fails(503, "unavailable", "Come back later.")
            case Reply.RATE_LIMITED:
                await exchange.fails(429, "rate_limit_exceeded", "Too many requests.", headers=headers)
            case Reply.OUT_OF_QUOTA:
                await exchange.fails(429, "insufficient_quota", "Your plan is used up.")
            case Reply.UNPAID:
                await exchange.fails(402, "unpaid", "Pay first.")
            case Reply.UNAUTHORISED:
                await exchange.fails(401, "invalid_api_key", "The key is wrong.")
            case Reply.FORBIDDEN:
                await exchange.fails(403, "forbidden", "Not with this key.")
            case Reply.AGAINST_POLICY:
                await exchange.fails(400, "content_policy_violation", "We do not paint this.")
            case Reply.REFUSED:
                await exchange.fails(422, "invalid_size", "We do not paint like this.")
            case _:
                await exchange.says(302, b"", headers={"location": "http://127.0.0.1:9/elsewhere"})

    async def _show(self, exchange: Exchange) -> None:
        picture = self._shelf.get(exchange.asked.path)
        if picture is None:
            await exchange.fails(404, "not_found", "There is no such picture.")
            return
        data = await asyncio.to_thread(picture.data)
        await exchange.says(200, data, headers={"content-type": f"image/{picture.format.lower()}"})


@dataclass(frozen=True)
class Picture:
    """What can be drawn again at any time: a colour that follows from `of`, with a square of another one in it."""

    of: tuple[object, ...]
    width: int
    height: int
    format: str = "PNG"
    is_bomb: bool = False
    is_html: bool = False

    def data(self) -> bytes:
        if self.is_bomb:
            return a_bomb()
        if self.is_html:
            return HTML
        digest = hashlib.sha256(repr(self.of).encode()).digest()
        image = Image.new("RGB", (self.width, self.height), tuple(digest[:3]))
        image.paste(tuple(digest[3:6]), (0, 0, self.width // 2, self.height // 2))
        file = io.BytesIO()
        image.save(file, self.format)
        return file.getvalue()


def format_at(position: int) -> str:
    """Providers are not asked which: PNG, JPEG and WebP in turn."""
    return _FORMATS[position % len(_FORMATS)]


@cache
def a_bomb() -> bytes:
    """A PNG of 400 million pixels, one bit each, in some 50 kB."""
    side = 20_000
    rows = bytes(side * (1 + side // 8))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@contextmanager
def served(double: ProviderDouble, *, port: int = 0) -> Iterator[None]:
    """In a thread with its own loop: callers that block their loop do not block it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    double.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    config = uvicorn.Config(
        double, loop="asyncio", ws="none", lifespan="off", access_log=False, log_config=None, log_level="critical"
    )
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    serving.start()
    try:
        eventually_sync(lambda: server.started or not serving.is_alive())
        assert server.started, "the double did not start"
        yield
    finally:
        server.should_exit = True
        server.force_exit = True  # callers that still hang are not waited for
        serving.join(10)


async def _read(receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
