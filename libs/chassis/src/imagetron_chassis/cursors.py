"""Cursors of lists that are sorted by a time, ties by id: opaque to callers, and nothing but our own are read back."""

import base64
import binascii
import json
import uuid
from datetime import datetime, timedelta
from typing import Final

_FOREIGN: Final = "the cursor was not made by this API; start again without one"
Place = tuple[datetime, str]


class InvalidCursor(ValueError):
    """The cursor was not made by this API."""


def closed(place: Place) -> str:
    """The cursor of the page after this place."""
    text = json.dumps([place[0].isoformat(timespec="milliseconds"), place[1]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def opened(cursor: str | None) -> Place | None:
    """The place that a cursor stands for. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        at, identifier = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = datetime.fromisoformat(at), str(uuid.UUID(identifier))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise InvalidCursor(_FOREIGN) from error
    # Only what this API wrote reads back the same: no other time zone, precision or way to write an id gets through.
    if place[0].utcoffset() != timedelta(0) or closed(place) != cursor:
        raise InvalidCursor(_FOREIGN)
    return place
