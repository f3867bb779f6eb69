"""A few child processes that take one order at a time each. They start when they are first needed; Pillow is not imported here.

Not concurrent.futures: there one dead child breaks the pool for all, one child cannot be killed, and children outlive
a parent that was killed.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from pydantic import BaseModel, Field, ValidationError, model_validator

from imagetron_chassis.logs import log
from imagetron_chassis.pictures.errors import ReaderCannotStart, ReaderDied, ReaderTooSlow
from imagetron_chassis.pictures.frames import LENGTH, MAX_HEADER_BYTES, packed
from imagetron_chassis.pictures.values import BYTES_EACH, DIGEST_BYTES
from imagetron_contracts.media import Dimensions

COMMAND: Final = (sys.executable, "-P", "-m", "imagetron_chassis.pictures.child")
_START_SECONDS: Final = 30.0
_PIECE_BYTES: Final = 1 << 20


class Answer(BaseModel):
    """What a child says: one thing, and a picture's pixels and digest behind its size.

    The child decoded foreign bytes, so nothing of it is taken on trust.
    """

    ready: bool = False
    unreadable: str | None = Field(default=None, max_length=200)
    too_large: str | None = Field(default=None, max_length=200)
    exhausted: bool = False
    size: Dimensions | None = None
    lengths: list[int]

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Answer":
        said = (
            self.ready,
            self.unreadable is not None,
            self.too_large is not None,
            self.exhausted,
            self.size is not None,
        )
        parts = [] if self.size is None else [self.size.width * self.size.height * BYTES_EACH, DIGEST_BYTES]
        if sum(said) != 1 or self.lengths != parts:
            raise ValueError("neither one picture nor one reason against it")
        return self


class ReaderProcesses:
    """A fixed number of places for children. One that dies or overruns is replaced; the others do not notice."""

    def __init__(
        self,
        count: int,
        *,
        memory_bytes: int,
        cpu_seconds: int,
        deadline_seconds: float,
        orders_each: int,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._count = count
        self._command = (*command, str(memory_bytes), str(cpu_seconds))
        self._deadline_seconds = deadline_seconds
        self._orders_each = orders_each
        self._children: set[_Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        # None stands for a child that is to be started by whoever takes its place.
        self._places: asyncio.Queue[_Child | None] = asyncio.Queue()
        for _ in range(count):
            self._places.put_nowait(None)

    @property
    def process_ids(self) -> list[int]:
        return [child.process_id for child in self._children]

    async def stop(self) -> None:
        """What is under way fails at once; nothing starts any more."""
        self._stopped.set()
        for child in self._children:
            child.kill()
        for idle in [await self._places.get() for _ in range(self._count)]:
            if idle is not None:
                self._retire(idle)
        for _ in range(self._count):
            self._places.put_nowait(None)
        if self._ending:
            await asyncio.wait(self._ending)

    async def ask(
        self, order: dict[str, Any], data: bytes, *, fits: Callable[[Answer], bool]
    ) -> tuple[Answer, list[bytes]]:
        """A child's answer, if it fits what was asked; its parts come after that has been found.

        Raises ReaderDied, ReaderTooSlow, ReaderCannotStart.
        """
        child = await self._place()
        kept: _Child | None = None
        try:
            child = child or await self._new_child()
            answer = await self._answered(child, order, data, fits)
            if child.orders < self._orders_each and not answer[0].exhausted:
                kept = child
        finally:
            # Cancelled in the middle, a child's next answer would be the last order's: only a finished one is kept.
            if child is not None and kept is None:
                self._retire(child)
            self._places.put_nowait(kept)
        return answer

    async def _place(self) -> "_Child | None":
        if not self._stopped.is_set():
            child = await self._places.get()
            if not self._stopped.is_set():
                return child
            self._places.put_nowait(child)
        raise ReaderCannotStart("no picture is read: the reader has been stopped")

    async def _answered(
        self, child: "_Child", order: dict[str, Any], data: bytes, fits: Callable[[Answer], bool]
    ) -> tuple[Answer, list[bytes]]:
        try:
            async with asyncio.timeout(self._deadline_seconds):
                return await child.ask(order, data, fits)
        except TimeoutError:
            raise ReaderTooSlow(f"the picture took more than {self._deadline_seconds:g} s to read") from None
        except (OSError, asyncio.IncompleteReadError, ValidationError) as error:
            raise ReaderDied("the process that read the picture ended without an answer") from error

    async def _new_child(self) -> "_Child":
        # No environment: what decodes foreign bytes needs no passwords.
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, env=environment, limit=_PIECE_BYTES
            )
        except OSError as error:
            raise ReaderCannotStart(f"no process for reading pictures can be started: {error.strerror}") from error
        child = _Child(process)
        self._children.add(child)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child.answer(lambda answer: answer.ready)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValidationError, ReaderDied) as error:
            self._retire(child)
            raise ReaderCannotStart("a process for reading pictures ended before it was ready") from error
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
        self._is_killed = False
        # Both are pipes: that is how it was started.
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self.orders = 0

    @property
    def process_id(self) -> int:
        return self._process.pid

    async def ask(
        self, order: dict[str, Any], data: bytes, fits: Callable[[Answer], bool]
    ) -> tuple[Answer, list[bytes]]:
        self.orders += 1
        self._stdin.write(packed(order, [len(data)]))
        # Piece by piece: what does not fit into the pipe is copied.
        for start in range(0, len(data), _PIECE_BYTES):
            self._stdin.write(memoryview(data)[start : start + _PIECE_BYTES])
            await self._stdin.drain()
        return await self.answer(fits)

    async def answer(self, fits: Callable[[Answer], bool]) -> tuple[Answer, list[bytes]]:
        (length,) = LENGTH.unpack(await self._stdout.readexactly(LENGTH.size))
        answer = Answer.model_validate_json(await self._stdout.readexactly(min(length, MAX_HEADER_BYTES)))
        if not fits(answer):
            raise ReaderDied("the process that read the picture answered with something that was not asked for")
        return answer, [await self._stdout.readexactly(part) for part in answer.lengths]

    def kill(self) -> None:
        # Once: a second signal would reap the process before asyncio does, which then warns of an unknown child.
        if not self._is_killed:
            self._is_killed = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def end(self) -> None:
        self.kill()
        await self._process.communicate()
        log().debug("picture_process_ended", pid=self.process_id, orders=self.orders)
