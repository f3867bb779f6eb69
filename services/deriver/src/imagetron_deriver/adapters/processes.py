"""Child processes that have a render open, one at a time each; the cutter of a running deriver. Pillow is not imported here.

Not concurrent.futures: there one dead child breaks the pool for all, one child cannot be killed, and children outlive
a parent that was killed.
"""

import asyncio
import contextlib
import hashlib
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, cast

from opentelemetry import metrics, trace
from pydantic import ValidationError

from imagetron_chassis import semconv
from imagetron_chassis.errors import Transient
from imagetron_chassis.logs import log
from imagetron_chassis.pictures.frames import LENGTH, MAX_HEADER_BYTES, packed
from imagetron_contracts.media import Dimensions
from imagetron_deriver.adapters import orders
from imagetron_deriver.adapters.answers import Answer
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.findings import Finding
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.ports import CutterDied, CutterTooSlow, Cutting, OpenRender, Picture, RenderUnreadable

COMMAND: Final = (sys.executable, "-P", "-m", "imagetron_deriver.adapters.child")
# The largest allowed render (40 megapixels), looked at and cut in every format to the size of the table's largest picture
# (2.8 megapixels), needs less: a test does it. With such a render, 16 megapixels of AVIF do not fit.
MEMORY_BYTES: Final = 1 << 30
CPU_SECONDS: Final = 20
# A picture on a busy machine has less than a whole core.
DEADLINE_SECONDS: Final = 60.0
# Whatever a codec leaks goes with the old process.
RENDERS_EACH: Final = 500
_START_SECONDS: Final = 30.0
_PIECE_BYTES: Final = 1 << 20


class CutterCannotStart(Transient):
    """No child process can be started now: the machine is out of processes or memory."""


class PillowProcesses:
    """A fixed number of children. One that dies or overruns is replaced; the others do not notice.

    Processor time and deadline are for each order: opening, looking, one picture.
    """

    def __init__(
        self,
        count: int,
        *,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: int = CPU_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
        renders_each: int = RENDERS_EACH,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._count = count
        self._command = (*command, str(memory_bytes), str(cpu_seconds))
        self._deadline_seconds = deadline_seconds
        self._renders_each = renders_each
        # None stands for a child that is to be started by whoever takes its place.
        self._idle: asyncio.Queue[_Child | None] = asyncio.Queue()
        self._children: set[_Child] = set()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def process_ids(self) -> list[int]:
        return [child.process_id for child in self._children]

    async def start(self) -> None:
        """Every child is ready before the first render comes."""
        for child in await asyncio.gather(*(self._new_child() for _ in range(self._count))):
            self._idle.put_nowait(child)

    async def stop(self) -> None:
        for child in tuple(self._children):
            self._retire(child)
        if self._ending:
            await asyncio.wait(self._ending)

    @contextlib.asynccontextmanager
    async def opened(self, render: bytes, size: Dimensions) -> AsyncIterator[OpenRender]:
        child, kept = await self._idle.get(), None
        if child is not None and child.has_ended:
            # Killed while it had nothing to do: this render has no part in that.
            self._retire(child)
            child = None
        try:
            child = child or await self._new_child()
            with trace.get_tracer(__name__).start_as_current_span("cut and encode"):
                session = _Session(child, size, self._deadline_seconds)
                await session.open(render)
                yield session
        finally:
            # Cancelled in the middle, a child's next answer would be the last order's: only a finished one is kept.
            if child is not None and child.is_at_rest and child.renders < self._renders_each:
                child.close()
                kept = child
            elif child is not None:
                self._retire(child)
            self._idle.put_nowait(kept)

    async def _new_child(self) -> "_Child":
        # Nothing else: what decodes foreign bytes needs no passwords, and one thread for each process is enough.
        environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",
            "VIPS_CONCURRENCY": "1",
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, env=environment, limit=_PIECE_BYTES
            )
        except OSError as error:
            raise CutterCannotStart(f"no process for cutting can be started: {error.strerror}") from error
        child = _Child(process)
        self._children.add(child)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child.answer(Answer.is_ready)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValidationError, _Unasked) as error:
            self._retire(child)
            raise CutterCannotStart("a process for cutting ended before it was ready") from error
        except asyncio.CancelledError:
            self._retire(child)
            raise
        return child

    def _retire(self, child: "_Child") -> None:
        self._children.discard(child)
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Session:
    """A render that a child has open. Translates answers into values, and whatever goes wrong into errors."""

    def __init__(self, child: "_Child", size: Dimensions, deadline_seconds: float) -> None:
        self._child = child
        self._size = size
        self._deadline_seconds = deadline_seconds
        self._seconds = 0.0
        self._encode_seconds = metrics.get_meter(__name__).create_histogram(*semconv.ENCODE_SECONDS)

    async def open(self, render: bytes) -> None:
        self._child.renders += 1
        order = orders.opening((self._size.width, self._size.height))
        answer, _ = await self._answered(order, Answer.is_opened, render)
        if answer.unreadable is not None:
            raise RenderUnreadable(answer.unreadable)

    async def look(self) -> Found:
        answer, _ = await self._answered(orders.looking(), Answer.has_looked)
        return cast("Finding", answer.found).as_found()

    async def cut(self, cuts: Sequence[Cut]) -> Cutting:
        pictures = [await self._picture(cut) for cut in cuts]
        seconds, self._seconds = self._seconds, 0.0
        self._encode_seconds.record(seconds)
        return Cutting(tuple(pictures), seconds)

    async def _picture(self, cut: Cut) -> Picture:
        _, (data,) = await self._answered(orders.cutting(_ordered(cut)), lambda answer: answer.has_cut(cut))
        return Picture(data, hashlib.sha256(data).hexdigest())

    async def _answered(
        self, order: dict[str, Any], fits: Callable[[Answer], bool], render: bytes | None = None
    ) -> tuple[Answer, list[bytes]]:
        """Raises CutterDied and CutterTooSlow."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer, parts = await self._child.ask(order, fits, render)
        except TimeoutError as error:
            about = f"{_DOING[order['do']]} a render of {self._size}"
            raise CutterTooSlow(f"{about} took more than {self._deadline_seconds:g} s") from error
        except (OSError, asyncio.IncompleteReadError, ValidationError, _Unasked) as error:
            about = f"the process that had a render of {self._size} open"
            seconds = time.monotonic() - started
            raise CutterDied(f"{about} ended after {seconds:.1f} s without an answer that can be used") from error
        if answer.exhausted:
            self._child.is_at_rest = False
            raise CutterDied(
                f"{_DOING[order['do']]} a render of {self._size} needs more memory than a process may have"
            )
        self._seconds += answer.seconds
        return answer, parts


_DOING: Final = {orders.OPEN: "decoding", orders.LOOK: "looking at", orders.CUT: "cutting"}


class _Unasked(Exception):
    """A child answered with something that was not asked for."""


class _Child:
    """One process and the pipes to it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_killed = False
        # Both are pipes: that is how it was started.
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self.renders = 0
        self.is_at_rest = False
        """It has answered every order, and may have the next."""

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ask(
        self, order: dict[str, Any], fits: Callable[[Answer], bool], render: bytes | None = None
    ) -> tuple[Answer, list[bytes]]:
        self.is_at_rest = False
        self._stdin.write(packed(order, [] if render is None else [len(render)]))
        # Piece by piece: what does not fit into the pipe is copied.
        for start in range(0, len(render or b""), _PIECE_BYTES):
            self._stdin.write(memoryview(render or b"")[start : start + _PIECE_BYTES])
            await self._stdin.drain()
        return await self.answer(fits)

    async def answer(self, fits: Callable[[Answer], bool]) -> tuple[Answer, list[bytes]]:
        (length,) = LENGTH.unpack(await self._stdout.readexactly(LENGTH.size))
        answer = Answer.model_validate_json(await self._stdout.readexactly(min(length, MAX_HEADER_BYTES)))
        if not fits(answer):
            raise _Unasked
        parts = [await self._stdout.readexactly(part) for part in answer.lengths]
        self.is_at_rest = True
        return answer, parts

    def close(self) -> None:
        """Its render is let go. Not waited for: if it has died meanwhile, the next order says so."""
        self._stdin.write(packed(orders.closing(), []))

    async def end(self) -> None:
        # Once: a second signal would reap the process before asyncio does, which then warns of an unknown child.
        if not self._is_killed:
            self._is_killed = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.communicate()
        log().debug("cutter_process_ended", pid=self.process_id, renders=self.renders)


def _ordered(cut: Cut) -> orders.OrderedPicture:
    mark = cut.watermark
    return orders.OrderedPicture(
        box=cut.window.box,
        size=(cut.size.width, cut.size.height),
        format=cut.format.value,
        profile=cut.profile.value,
        watermark={"text": mark.text, "placement": mark.placement.value} if mark else None,
        prompt=cut.prompt,
    )
