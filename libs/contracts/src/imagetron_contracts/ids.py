"""Identifiers that cross the wire: UUIDv7 for jobs (they sort by creation), UUIDv5 for messages (a repeat shows)."""

import secrets
import uuid
from typing import Annotated, Final

from pydantic import StringConstraints

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
JobId = Annotated[str, StringConstraints(pattern=_UUID)]
"""A job's id: a lower-case UUID in text."""

_MESSAGES: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "messages.imagetron")


def new_job_id(now_milliseconds: int, random_bits: int | None = None) -> str:
    """A UUIDv7 (RFC 9562 section 5.7): 48 bits of time, 74 random bits."""
    noise = secrets.randbits(74) if random_bits is None else random_bits
    value = (now_milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (noise >> 62) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def stage_message_id(job_id: str, revision: int, family: str, attempt: int, message_type: str, *detail: object) -> str:
    """The id of a private message: the same work gives the same id, however often it is done."""
    return str(uuid.uuid5(_MESSAGES, "/".join(map(str, (job_id, revision, family, attempt, message_type, *detail)))))


def event_id(job_id: str, sequence: int) -> str:
    """The id of a public event: a job's n-th event has one id for ever, however often it is sent."""
    return str(uuid.uuid5(_MESSAGES, f"{job_id}#{sequence}"))
