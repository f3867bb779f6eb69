"""What the deriver needs from outside, besides object storage: somebody who cuts and encodes pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imagetron_chassis.errors import Permanent, ResourceExhausted
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.cuts import Cut


class RenderUnreadable(Permanent):
    """The bytes are not a render: not an image, not the promised size, or not safe to decode."""

    failure_code = FailureCode.RENDER_UNREADABLE


class CutterDied(ResourceExhausted):
    """The process that cut the picture was killed, crashed or ran out of memory. A new one takes its place."""

    failure_code = FailureCode.OUT_OF_MEMORY


class CutterTooSlow(ResourceExhausted):
    """The picture took longer than it may; its process was killed and replaced."""

    failure_code = FailureCode.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, and the digest of its pixels and of the encoder's parameters."""

    data: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Cutting:
    """The pictures of one render, in the order of the cuts, and the seconds that they took."""

    pictures: tuple[Picture, ...]
    seconds: float


class Cutter(Protocol):
    """Decodes a render once and makes pictures of it. The render's bytes are not to be trusted.

    Errors: RenderUnreadable (Permanent); CutterDied, CutterTooSlow (ResourceExhausted); Transient when no process starts.
    """

    async def cut(self, render: bytes, size: Dimensions, cuts: Sequence[Cut]) -> Cutting: ...
