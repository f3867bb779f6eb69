"""The cutter's twin for unit tests: makes no pictures, remembers what was asked, fails where it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.ports import Cutting, OpenRender, Picture, RenderUnreadable

NOTHING: Found = Found("twin 1")


class InMemoryCutter:
    """A picture's bytes say what it shows: the render's own bytes, and the cut. One render is open at a time."""

    def __init__(self) -> None:
        self.opened_renders: list[bytes] = []
        self.looked_at: list[bytes] = []
        self.asked: list[tuple[bytes, tuple[Cut, ...]]] = []
        self._place = asyncio.Lock()
        self._failures: dict[bytes, ChassisError] = {}
        self._findings: dict[bytes, Found] = {}
        self._sizes: dict[bytes, Dimensions] = {}

    def fail(self, render: bytes, error: ChassisError) -> None:
        """Every opening of this render raises the error from now on."""
        self._failures[render] = error

    def recover(self) -> None:
        self._failures.clear()

    def find(self, render: bytes, found: Found) -> None:
        """What a look at this render finds; nothing, unless told."""
        self._findings[render] = found

    def measure(self, render: bytes, size: Dimensions) -> None:
        """A render of another size than is promised is refused; all are of the promised one, unless told."""
        self._sizes[render] = size

    @contextlib.asynccontextmanager
    async def opened(self, render: bytes, size: Dimensions) -> AsyncIterator[OpenRender]:
        async with self._place:
            self.opened_renders.append(render)
            if failure := self._failures.get(render):
                raise failure
            if self._sizes.get(render, size) != size:
                raise RenderUnreadable(f"the render is {self._sizes[render]} and should be {size}")
            yield _InMemoryRender(self, render, self._findings.get(render, NOTHING))


class _InMemoryRender:
    def __init__(self, cutter: InMemoryCutter, render: bytes, found: Found) -> None:
        self._cutter = cutter
        self._render = render
        self._found = found

    async def look(self) -> Found:
        self._cutter.looked_at.append(self._render)
        return self._found

    async def cut(self, cuts: Sequence[Cut]) -> Cutting:
        self._cutter.asked.append((self._render, tuple(cuts)))
        files = [b"%s %r" % (self._render, cut) for cut in cuts]
        return Cutting(tuple(Picture(data, sha256(data).hexdigest()) for data in files), seconds=0.5)
