"""What the parent and its processes say to each other: a JSON header and plain bytes, in frames. The standard library alone.

Never pickle: a process that decodes foreign bytes may end up saying what these bytes want.
"""

import json
import struct
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Final

LENGTH: Final = struct.Struct(">I")
MAX_HEADER_BYTES: Final = 1 << 16


def packed(header: dict[str, Any], lengths: Sequence[int]) -> bytes:
    """The beginning of a frame; parts of these lengths follow."""
    text = json.dumps({**header, "lengths": lengths}).encode()
    return LENGTH.pack(len(text)) + text


def write(stream: BinaryIO, header: dict[str, Any], lengths: Sequence[int] = (), pieces: Iterable[bytes] = ()) -> None:
    """The pieces add up to the parts, however they are cut: a large part need not exist as a whole."""
    stream.write(packed(header, lengths))
    stream.writelines(pieces)
    stream.flush()


def read(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next frame, or None when the other side is gone."""
    start = stream.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(stream.read(LENGTH.unpack(start)[0]))
    parts = [stream.read(length) for length in header["lengths"]]
    return (header, parts) if [len(part) for part in parts] == header["lengths"] else None
