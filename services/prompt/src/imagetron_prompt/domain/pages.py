"""How much of a list fits into one message."""

from collections.abc import Iterable
from typing import Final

from imagetron_contracts.envelope import MAX_BODY_BYTES
from imagetron_contracts.message import Value

# For the envelope around the list: ids, times, trace and cursor take well under half of this.
_MARGIN_BYTES: Final = 2048
ROOM_BYTES: Final = MAX_BODY_BYTES - _MARGIN_BYTES


def fitting(items: Iterable[Value]) -> int:
    """How many of them, from the first on, one reply can carry: at least one, since each is smaller than a message."""
    room, count = ROOM_BYTES, 0
    for item in items:
        room -= len(item.model_dump_json(by_alias=True, exclude_none=True).encode()) + 1
        if room < 0 and count:
            break
        count += 1
    return count
