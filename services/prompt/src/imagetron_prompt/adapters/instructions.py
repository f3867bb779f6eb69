"""The instructions that a language model works by: released data files, each named with its version.

A released file is never changed, so a kept `enhance@1` says for ever what led to a text. A change is a new file.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_REMARKS: Final = re.compile(r"\A<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Instructions:
    """What is sent, without the remarks for maintainers that may begin the file."""

    name: str
    version: int
    text: str

    @property
    def template(self) -> str:
        return f"{self.name}@{self.version}"


def load(name: str, version: int) -> Instructions:
    """Those of this name and version; FileNotFoundError where none were released."""
    file = files("imagetron_prompt.adapters") / "templates" / f"{name}.v{version}.md"
    return Instructions(name, version, _REMARKS.sub("", file.read_text(encoding="utf-8")).strip())
