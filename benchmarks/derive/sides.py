"""The two sides: the deriver's cutter as the service uses it, and Sharp. Both live in processes of their own and are warm."""

import asyncio
import json
import os
import shutil
import struct
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from derive.jobs import Job

FOLDER: Final = Path(__file__).parent
_LENGTH: Final = struct.Struct(">I")
_Answer = asyncio.Future[tuple[dict[str, Any], list[bytes]]]


class Side(Protocol):
    """Makes the derivatives of a job's render, which it is handed as bytes through a pipe, and hands them back."""

    @property
    def process_ids(self) -> Sequence[int]: ...

    async def make(self, job: Job, kind: str) -> list[bytes]: ...

    async def resized(self, job: Job, kind: str) -> list[bytes]:
        """What it would have encoded, without any loss."""


class Sharp:
    """Sharp in Node: several orders may be in flight at once."""

    def __init__(self, process: Process, about: dict[str, Any]) -> None:
        self._process = process
        self._last = 0
        self._waiting: dict[int, _Answer] = {}
        self._reader = asyncio.create_task(self._read())
        self.versions = {name: about[name] for name in ("sharp", "vips", "webp", "node")}

    @property
    def process_ids(self) -> list[int]:
        return [self._process.pid]

    async def ask(self, order: dict[str, Any], render: bytes) -> list[bytes]:
        self._last += 1
        number, stdin = self._last, self._process.stdin
        assert stdin is not None  # noqa: S101 it was asked for
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        text = json.dumps({**order, "id": number, "lengths": [len(render)]}).encode()
        stdin.write(_LENGTH.pack(len(text)) + text)
        stdin.write(render)
        await stdin.drain()
        header, parts = await answer
        if "error" in header:
            raise SystemExit(f"Sharp: {header['error']}")
        return parts

    async def _read(self) -> None:
        while True:
            header, parts = await _frame(self._process)
            self._waiting.pop(header["id"]).set_result((header, parts))

    async def end(self) -> None:
        self._reader.cancel()
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def sharp(cores: int) -> AsyncIterator[Sharp]:
    """A process with so many threads, and so many for each picture."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "sharp").exists():
        raise SystemExit("Sharp is missing: install Node 20 or newer, then npm ci --prefix benchmarks/derive")
    environment = {**os.environ, "SHARP_CONCURRENCY": str(cores), "UV_THREADPOOL_SIZE": str(cores)}
    process = await asyncio.create_subprocess_exec(
        node, str(FOLDER / "sharp.mjs"), stdin=PIPE, stdout=PIPE, env=environment, limit=1 << 20
    )
    about, _ = await _frame(process)
    side = Sharp(process, about)
    try:
        yield side
    finally:
        await side.end()


class SharpSide:
    """One way of using Sharp. `resized` gives the pixels that it would have encoded."""

    def __init__(self, sharp: Sharp, source: str, quality: int, effort: int) -> None:
        self._sharp = sharp
        self._order = {"source": source, "quality": quality, "effort": effort}

    @property
    def process_ids(self) -> list[int]:
        return self._sharp.process_ids

    async def make(self, job: Job, kind: str) -> list[bytes]:
        return await self._sharp.ask({**self._order, "sizes": job.shape.sizes}, job.inputs[kind])

    async def resized(self, job: Job, kind: str) -> list[bytes]:
        order = {**self._order, "sizes": job.shape.sizes, "resized": True}
        return await self._sharp.ask(order, job.inputs[kind])


async def _frame(process: Process) -> tuple[dict[str, Any], list[bytes]]:
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 it was asked for
    (length,) = _LENGTH.unpack(await stdout.readexactly(_LENGTH.size))
    header = json.loads(await stdout.readexactly(length))
    return header, [await stdout.readexactly(part) for part in header["lengths"]]
