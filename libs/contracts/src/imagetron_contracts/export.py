"""`python -m imagetron_contracts.export [--check] [--page docs/events.md]` writes what is generated from the models.

The schemas and both AsyncAPI documents go into this package's `schemas` folder; they are committed and travel in the
wheel. `--check` writes nothing and fails if anything there is not what the models say.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from imagetron_contracts.asyncapi import private_document, public_document
from imagetron_contracts.events_page import events_page
from imagetron_contracts.json_schemas import all_schemas

SCHEMAS: Final = Path(__file__).parent / "schemas"


def rendered_schemas() -> dict[str, str]:
    """File name -> text, of everything in the `schemas` folder."""
    documents = {
        **all_schemas(),
        "asyncapi": public_document(),
        "asyncapi-private": private_document(),
    }
    return {
        f"{name}.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def differences(expected: dict[Path, str], folder: Path) -> list[str]:
    """One sentence for each file that is missing, not what is expected, or in the folder without being expected."""
    problems = [
        f"{path} is {'out of date' if path.exists() else 'missing'}"
        for path, text in expected.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    return problems + [f"{path} belongs to no message" for path in _strangers(expected, folder)]


def write(expected: dict[Path, str], folder: Path) -> None:
    """Make the files what is expected, and remove what is not."""
    for stranger in _strangers(expected, folder):
        stranger.unlink()
    for path, text in expected.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 unless `--check` found a difference."""
    parser = argparse.ArgumentParser(prog="python -m imagetron_contracts.export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not what the models say")
    parser.add_argument("--folder", type=Path, default=SCHEMAS, help="where the schemas lie (default: in the package)")
    parser.add_argument("--page", type=Path, help="also the page about the events, in Markdown")
    options = parser.parse_args(arguments)
    expected = {options.folder / name: text for name, text in rendered_schemas().items()}
    if options.page is not None:
        expected[options.page] = events_page()
    if not options.check:
        write(expected, options.folder)
        return 0
    problems = differences(expected, options.folder)
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


def _strangers(expected: dict[Path, str], folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path not in expected)


if __name__ == "__main__":
    raise SystemExit(main())
