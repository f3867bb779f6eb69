"""A kept prompt, its labels, and how it changes."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from imagetron_contracts.rpc import Prompt

DEFAULT_STATUSES: Final = "draft,approved,used,rejected"
MAX_STATUSES: Final = 20
# Of one that is older a repeat finds nothing: a person has retitled the prompt very many times since.
_REMEMBERED_CALLS: Final = 100
_STATUS: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")


@dataclass(frozen=True, slots=True)
class KeptPrompt:
    """A prompt and what its reader does not see: whose it is, and which paid calls have given it a title."""

    owner: str
    prompt: Prompt
    retitled_by: tuple[str, ...] = ()

    def changed(self, *, title: str | None, text: str | None, status: str | None, now: datetime) -> "KeptPrompt":
        """What is given replaces what was there."""
        given = {"title": title, "text": text, "status": status}
        return self._next({name: value for name, value in given.items() if value is not None}, now)

    def retitled(self, title: str, call_id: str, now: datetime) -> "KeptPrompt":
        remembered = (*self.retitled_by, call_id)[-_REMEMBERED_CALLS:]
        return replace(self._next({"title": title}, now), retitled_by=remembered)

    def _next(self, changes: dict[str, str], now: datetime) -> "KeptPrompt":
        changed = self.prompt.model_copy(update={**changes, "version": self.prompt.version + 1, "updated_at": now})
        return replace(self, prompt=changed)


def parse_statuses(text: str) -> tuple[str, ...]:
    """The labels, separated by commas; the first is that of a new prompt. Raises ValueError."""
    words = tuple(word.strip() for word in text.split(","))
    if wrong := [word for word in words if not _STATUS.fullmatch(word)]:
        raise ValueError(f"{wrong[0]!r} is no label: up to 30 small letters, digits and hyphens, a letter first")
    if len(set(words)) < len(words):
        raise ValueError("names a label twice")
    if len(words) > MAX_STATUSES:
        raise ValueError(f"names {len(words)} labels; at most {MAX_STATUSES}")
    return words
