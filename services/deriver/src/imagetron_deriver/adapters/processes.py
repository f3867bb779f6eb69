"""Child processes that cut pictures, one order at a time each; the cutter of a running deriver. Pillow is not imported here.

Not concurrent.futures: there one dead child breaks the pool for all, one child cannot be killed, and children outlive
a parent that was killed.
"""

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Annotated, Final

from opentelemetry import metrics, trace
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from imagetron_chassis import semconv
from imagetron_chassis.errors import Transient
from imagetron_chassis.logs import log
from imagetron_contracts.media import Dimensions
from imagetron_deriver.adapters.orders import LENGTH, MAX_HEADER_BYTES, Order, OrderedPicture, pack
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.encoding import PARAMETERS
from imagetron_deriver.ports import CutterDied, CutterTooSlow, Cutting, Picture, RenderUnreadable

# The largest allowed render (40 megapixels) needs 0.4 GB.
MEMORY_BYTES: Final = 1 << 30
CPU_SECONDS: Final = 20
# A picture on a busy machine has less than a whole core.
DEADLINE_SECONDS: Final = 60.0
# A new process costs a tenth of a second; whatever a codec leaks goes with the old one.
ORDERS_EACH: Final = 500
_START_SECONDS: Final = 30.0
_MAX_PICTURE_BYTES: Final = 64 << 20


class CutterCannotStart(Transient):
    """No child process can be started now: the machine is out of processes or memory."""


class _Answer(BaseModel):
    """What a child says; it decoded foreign bytes, so nothing of it is taken on trust."""

    ready: bool = False
    unreadable: str | None = Field(default=None, max_length=500)
    exhausted: str | None = Field(default=None, max_length=500)
    seconds: float = Field(default=0, ge=0)
    digests: list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]] = []
    lengths: list[Annotated[int, Field(ge=0, le=_MAX_PICTURE_BYTES)]] = []


class PillowProcesses:
    """A fixed number of children. One that dies or overruns is replaced; the others do not notice."""

    def __init__(
        self,
        count: int,
        *,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: int = CPU_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
        orders_each: int = ORDERS_EACH,
    ) -> None:
        self._count = count
        self._arguments = (str(memory_bytes), str(cpu_seconds))
        self._deadline_seconds = deadline_seconds
        self._orders_each = orders_each
        # None stands for a child that is to be started by whoever takes its place.
        self._idle: asyncio.Queue[_Child | None] = asyncio.Queue()
        self._children: set[_Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._seconds = metrics.get_meter(__name__).create_histogram(*semconv.ENCODE_SECONDS)

    @property
    def process_ids(self) -> list[int]:
        return [child.process_id for child in self._children]

    async def start(self) -> None:
        """Every child is ready before the first order comes."""
        for child in await asyncio.gather(*(self._new_child() for _ in range(self._count))):
            self._idle.put_nowait(child)

    async def stop(self) -> None:
        for child in tuple(self._children):
            self._retire(child)
        if self._ending:
            await asyncio.wait(self._ending)

    async def cut(self, render: bytes, size: Dimensions, cuts: Sequence[Cut]) -> Cutting:
        order = _order(size, cuts)
        child, kept = await self._idle.get(), None
        try:
            child = child or await self._new_child()
            with trace.get_tracer(__name__).start_as_current_span("cut and encode"):
                answer, pictures = await self._answer(child, order, render)
            if child.orders < self._orders_each and answer.exhausted is None:
                kept = child
        finally:
            # Cancelled in the middle, a child's next answer would be the last order's: only a finished one is kept.
            if child is not None and kept is None:
                self._retire(child)
            self._idle.put_nowait(kept)
        return self._checked(answer, pictures, len(cuts))

    async def _answer(self, child: "_Child", order: Order, render: bytes) -> tuple[_Answer, list[bytes]]:
        started = time.monotonic()
        about = f"a render of {order.render[0]}x{order.render[1]}"
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await child.ask(order, render)
        except TimeoutError as error:
            raise CutterTooSlow(f"cutting {about} took more than {self._deadline_seconds:g} s") from error
        except (OSError, asyncio.IncompleteReadError, ValidationError) as error:
            seconds = time.monotonic() - started
            raise CutterDied(f"the process that cut {about} ended after {seconds:.1f} s without an answer") from error

    def _checked(self, answer: _Answer, pictures: list[bytes], wanted: int) -> Cutting:
        if answer.unreadable is not None:
            raise RenderUnreadable(answer.unreadable)
        if answer.exhausted is not None:
            raise CutterDied(answer.exhausted)
        if not len(answer.digests) == len(pictures) == wanted:
            raise CutterDied(f"{wanted} pictures were ordered and {len(pictures)} came back")
        self._seconds.record(answer.seconds)
        return Cutting(tuple(map(Picture, pictures, answer.digests)), answer.seconds)

    async def _new_child(self) -> "_Child":
        # No environment: what decodes foreign bytes needs no passwords.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = (sys.executable, "-P", "-m", "imagetron_deriver.adapters.child", *self._arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=environment, limit=MAX_HEADER_BYTES
            )
        except OSError as error:
            raise CutterCannotStart(f"no process for cutting can be started: {error.strerror}") from error
        child = _Child(process)
        self._children.add(child)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child.answer()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValidationError) as error:
            self._retire(child)
            raise CutterCannotStart("a process for cutting ended before it was ready") from error
        return child

    def _retire(self, child: "_Child") -> None:
        self._children.discard(child)
        task = asyncio.create_task(child.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Child:
    """One process and the pipes to it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.orders = 0

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def ask(self, order: Order, render: bytes) -> tuple[_Answer, list[bytes]]:
        self.orders += 1
        stdin = self._process.stdin
        if stdin is None:
            raise BrokenPipeError
        stdin.write(pack(order.header(), [render]))
        stdin.write(render)
        await stdin.drain()
        return await self.answer()

    async def answer(self) -> tuple[_Answer, list[bytes]]:
        stdout = self._process.stdout
        if stdout is None:
            raise BrokenPipeError
        (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
        answer = _Answer.model_validate_json(await stdout.readexactly(min(length, MAX_HEADER_BYTES)))
        return answer, [await stdout.readexactly(part) for part in answer.lengths]

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.communicate()
        log().debug("cutter_process_ended", pid=self.process_id, orders=self.orders)


def _order(size: Dimensions, cuts: Sequence[Cut]) -> Order:
    pictures = tuple(
        OrderedPicture(
            box=cut.window.box,
            size=(cut.size.width, cut.size.height),
            format=cut.format.name,
            parameters=dict(PARAMETERS[cut.format]),
        )
        for cut in cuts
    )
    return Order(render=(size.width, size.height), pictures=pictures)
