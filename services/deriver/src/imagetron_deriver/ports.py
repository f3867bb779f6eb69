"""What the deriver needs from outside, besides object storage: somebody who looks at renders, cuts and encodes them."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from imagetron_chassis.errors import Permanent, ResourceExhausted
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.subjects import Found


class RenderUnreadable(Permanent):
    """The bytes are not a render: not an image, not the promised size, or not safe to decode."""

    failure_code = FailureCode.RENDER_UNREADABLE


class CutterDied(ResourceExhausted):
    """The process that had the render was killed, crashed or ran out of memory. A new one takes its place."""

    failure_code = FailureCode.OUT_OF_MEMORY


class CutterTooSlow(ResourceExhausted):
    """The render took longer than it may; its process was killed and replaced."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, and the sha256 of its bytes in hex."""

    data: bytes = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True)
class Cutting:
    """Pictures of one render, in the order of the cuts, and the seconds since the last of them, decoding included."""

    pictures: tuple[Picture, ...]
    seconds: float


class OpenRender(Protocol):
    """A render whose pixels are kept as long as it is open. Errors: as `Cutter` has them."""

    async def look(self) -> Found: ...

    async def cut(self, cuts: Sequence[Cut]) -> Cutting: ...


class Cutter(Protocol):
    """Decodes a render once, for looking at it and making pictures of it. The render's bytes are not to be trusted.

    One at a time: who opens a second render while the first is open may wait for ever. Errors: RenderUnreadable
    (Permanent); CutterDied, CutterTooSlow (ResourceExhausted); Transient when no process starts.
    """

    def opened(self, render: bytes, size: Dimensions) -> AbstractAsyncContextManager[OpenRender]: ...
