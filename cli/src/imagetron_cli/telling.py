"""How commands tell trouble, and tables that can be read on a terminal and cut by programs. Nothing is asked here."""

import functools
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.errors import Trouble

P = ParamSpec("P")
_GAP: Final = "  "


def told_in_a_sentence(command: Callable[P, None]) -> Callable[P, None]:
    """Trouble becomes one sentence on stderr and exit status 1."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Trouble as error:
            Console(stderr=True, highlight=False).print(Text(str(error), style="bold red"), soft_wrap=True)
            raise typer.Exit(1) from None

    return told


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Text:
    """Aligned columns that are never cut or wrapped: ids in them are there to be copied."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    lines = [_line(head, widths), *(_line(row, widths) for row in rows)]
    text = Text("\n".join(lines))
    text.stylize("bold", 0, len(lines[0]))
    return text


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
