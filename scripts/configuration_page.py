"""Writes docs/configuration.md from the services' settings. `--check` fails if the committed page differs."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from pydantic_core import PydanticUndefined

from imagetron_chassis.settings import BaseServiceSettings, variables

PAGE: Final = Path(__file__).parents[1] / "docs" / "configuration.md"
SERVICES: Final = ("gateway", "prompt", "generator", "deriver", "publisher")
_HEAD: Final = """# Configuration

Generated from the settings classes by `make docs`; do not edit. Every service reads the environment once, at start. A wrong
configuration stops it with status 78 and lists every problem, unknown variables with a service's prefix included. Empty
means not set. Where two names are given, the first wins.
"""


def page() -> str:
    """The whole page."""
    sections = [_HEAD, "## All services\n", _table(BaseServiceSettings, set())]
    shared = set(BaseServiceSettings.model_fields)
    for service in SERVICES:
        settings = import_module(f"imagetron_{service}.settings").Settings
        own = _table(settings, shared)
        sections += [f"## {service}\n", own or "Nothing of its own.\n"]
    return "\n".join(sections)


def _table(settings: type[BaseServiceSettings], without: set[str]) -> str:
    rows = []
    for field, names in variables(settings).items():
        if field in without:
            continue
        info = settings.model_fields[field]
        default = info.default
        if default is PydanticUndefined:
            shown = "**required**" if info.is_required() else "computed"
        else:
            shown = "" if default is None else f"`{getattr(default, 'value', default)}`"
        rows.append(f"| {', '.join(f'`{name}`' for name in names)} | {shown} | {info.description} |")
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows, ""]) if rows else ""


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") != page():
            sys.exit("docs/configuration.md is not up to date: run `make docs`")
    else:
        PAGE.write_text(page(), encoding="utf-8")
