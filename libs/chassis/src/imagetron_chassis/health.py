"""Liveness (the loop turns) and readiness (each dependency answers), served over HTTP with the metrics. No business checks."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from imagetron_chassis.errors import ChassisError, Permanent

Check = Callable[[], Awaitable[None]]
_CHECK_SECONDS: Final = 2.0
_BACKLOG: Final = 2048  # uvicorn's own default
# Probes come from several places at once; asking the dependencies for each would be a load of its own.
_FRESH_SECONDS: Final = 1.0


class Health:
    """Named checks; a check that returns is well, one that raises says why not.

    What `told_only` looks at is reported, and does not decide: a service that is of use without it stays ready.
    """

    def __init__(self, checks: Mapping[str, Check], *, told_only: Mapping[str, Check] | None = None) -> None:
        self._told_only = frozenset(told_only or {})
        self._checks = {**checks, **(told_only or {})}
        self._ready = False
        self._result: dict[str, str] = {}
        self._checked_at = float("-inf")
        self._lock = asyncio.Lock()

    def set_ready(self, *, ready: bool) -> None:
        """Before start-up has ended, and from the first moment of stopping, no check makes a service ready."""
        self._ready = ready

    async def readiness(self) -> tuple[bool, dict[str, str]]:
        """Ready or not, and `ok` or the reason for each dependency."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _FRESH_SECONDS:
                checks = (self._check(check) for check in self._checks.values())
                results = await asyncio.gather(*checks, return_exceptions=True)
                said = (type(result).__name__ if isinstance(result, BaseException) else result for result in results)
                self._result = dict(zip(self._checks, said, strict=True))
                self._checked_at = time.monotonic()
        started = {} if self._ready else {"service": "starting or stopping"}
        result = {**self._result, **started}
        return all(value == "ok" for name, value in result.items() if name not in self._told_only), result

    @staticmethod
    async def _check(check: Check) -> str:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await check()
        except TimeoutError:
            return f"no answer within {_CHECK_SECONDS:g} s"
        except (ChassisError, OSError) as error:
            return str(error) or type(error).__name__
        return "ok"


def health_routes(health: Health) -> list[Route]:
    """`/healthz`, `/readyz` and `/metrics`, for the gateway's own application and for the workers' probes."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        ready, checks = await health.readiness()
        return JSONResponse({"ready": ready, "checks": checks}, status_code=200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", healthz, include_in_schema=False),
        Route("/readyz", readyz, include_in_schema=False),
        Route("/metrics", metrics, include_in_schema=False),
    ]


def probes_application(health: Health) -> Starlette:
    """A worker's whole HTTP surface."""
    return Starlette(routes=health_routes(health))


class HttpServer:
    """uvicorn inside our own loop and under our own signals."""

    def __init__(self, application: Starlette, *, host: str, port: int) -> None:
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            server_header=False,
            date_header=True,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self._host = host
        self._port = port

    async def start(self) -> None:
        """Return when the port is open; raise PortTaken if somebody else has it."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            # Two sockets may both bind with SO_REUSEADDR; only one may listen.
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise PortTaken(f"cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await asyncio.wait([self._task])
            self._task = None


class PortTaken(Permanent):
    """The message names the address."""


class _Server(uvicorn.Server):
    """Without uvicorn's signal handlers: lifecycle.py owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
