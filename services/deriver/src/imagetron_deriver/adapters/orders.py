"""What the service and its child processes say to each other: a JSON header and pictures as plain bytes, in frames.

Never pickle: a child decodes bytes that are not to be trusted, and its answers are not to be trusted either. Children
import this module, so it needs the standard library alone.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Final

LENGTH: Final = struct.Struct(">I")
MAX_HEADER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class OrderedPicture:
    """A picture to make: a box of the render, the size to bring it to, and the encoder's format and parameters."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    format: str
    parameters: dict[str, int | bool]


@dataclass(frozen=True, slots=True)
class Order:
    """One render's pictures. The render has exactly this size, or it is refused."""

    render: tuple[int, int]
    pictures: tuple[OrderedPicture, ...]

    def header(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, header: dict[str, Any]) -> "Order":
        pictures = tuple(
            OrderedPicture(tuple(item["box"]), tuple(item["size"]), item["format"], item["parameters"])
            for item in header["pictures"]
        )
        return cls(tuple(header["render"]), pictures)


def pack(header: dict[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """The beginning of a frame; the parts follow it as they are."""
    text = json.dumps({**header, "lengths": [len(part) for part in parts]}).encode()
    return LENGTH.pack(len(text)) + text


def write(stream: BinaryIO, header: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
    stream.write(pack(header, parts))
    stream.writelines(parts)
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next frame, or None when the other side is gone."""
    start = stream.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(stream.read(LENGTH.unpack(start)[0]))
    parts = [stream.read(length) for length in header["lengths"]]
    complete = [len(part) for part in parts] == header["lengths"]
    return (header, parts) if complete else None
