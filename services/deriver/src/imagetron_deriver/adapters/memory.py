"""The cutter's twin for unit tests: makes no pictures, remembers what was asked, fails where it is told to."""

from collections.abc import Sequence
from hashlib import sha256

from imagetron_chassis.errors import ChassisError
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.ports import Cutting, Picture


class InMemoryCutter:
    """A picture's bytes say what it shows: the render's own bytes, the box and the size."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, Dimensions, tuple[Cut, ...]]] = []
        self._failures: dict[bytes, ChassisError] = {}

    def fail(self, render: bytes, error: ChassisError) -> None:
        """Every cut of this render raises the error from now on."""
        self._failures[render] = error

    def recover(self) -> None:
        self._failures.clear()

    async def cut(self, render: bytes, size: Dimensions, cuts: Sequence[Cut]) -> Cutting:
        self.asked.append((render, size, tuple(cuts)))
        if failure := self._failures.get(render):
            raise failure
        files = [b"%s %r %r" % (render, cut.window.box, str(cut.size)) for cut in cuts]
        return Cutting(tuple(Picture(data, sha256(data).hexdigest()) for data in files), seconds=0.5)
