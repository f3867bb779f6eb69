"""What a variation may be called, for its name is a path segment of a public URL; and what is called without being asked."""

import re
import uuid
from typing import Final

MAX_LENGTH: Final = 100
# Paths of the same API begin with these words; a variation of that name could not be reached.
RESERVED: Final = frozenset({"variations", "health", "models", "families", "jobs", "imagine", "sources"})
_SAFE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")


def objection_to(name: str) -> str | None:
    """Why this cannot be a variation's name, or None if it can."""
    if not name:
        return "must not be empty"
    if len(name) > MAX_LENGTH:
        return f"is {len(name)} characters long; at most {MAX_LENGTH} are allowed"
    if not _SAFE.fullmatch(name):
        return "must be URL-safe: letters, digits, '-' and '_', beginning and ending with a letter or digit"
    if name.lower() in RESERVED:
        return f"is reserved; these words cannot be names: {', '.join(sorted(RESERVED))}"
    return None


_REPLAY: Final = re.compile(r"-replay-[0-9a-f]{12}$")
_PIPELINE_ID: Final = re.compile(r"imgjob_([0-9a-f]{32})")


def pipeline_id(job_id: str) -> str:
    """How the two-step pipeline writes a job's id: `imgjob_` and 32 hexadecimal digits."""
    return f"imgjob_{uuid.UUID(job_id).hex}"


def job_id_of(text: str) -> str:
    """The id that is meant: the pipeline's way of writing it is understood everywhere. Anything else comes back as it is."""
    found = _PIPELINE_ID.fullmatch(text)
    return str(uuid.UUID(found[1])) if found else text


def name_for(kind: str, job_id: str) -> str:
    """The name of a job that was not given one."""
    return pipeline_id(job_id) if kind == "image" else f"{kind}-{uuid.UUID(job_id).hex}"


def name_of_replay(name: str, job_id: str) -> str:
    """Of the copy of a job with this name."""
    ending = f"-replay-{uuid.UUID(job_id).hex[-12:]}"
    original = _REPLAY.sub("", name)
    return original[: MAX_LENGTH - len(ending)].rstrip("-_") + ending
