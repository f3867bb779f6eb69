"""What a variation may be called: its name is a path segment of a public URL."""

import re
from typing import Final

MAX_LENGTH: Final = 100
# Paths of the same API begin with these words; a variation of that name could not be reached.
RESERVED: Final = frozenset({"variations", "health", "models", "jobs", "imagine"})
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
