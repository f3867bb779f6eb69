"""Follow variations until they have ended, and show how far their families are. Nothing is fetched or stored here."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from imagetron_cli.api import Gateway, Unreachable, Variation

POLL_SECONDS: Final = 0.4
_PATIENCE_SECONDS: Final = 30.0
"""A gateway that restarts is back sooner; the job does not depend on it."""

_COLOURS: Final = {"complete": "green", "completed": "green", "partial": "yellow", "failed": "red", "cancelled": "red"}


async def follow(
    gateway: Gateway,
    submitted: Sequence[Variation],
    show: Callable[[Sequence[Variation]], None],
    *,
    poll_seconds: float = POLL_SECONDS,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> list[Variation]:
    """The variations as they ended. Raises Unreachable when the gateway stays away."""
    variations = list(submitted)
    last_answer = time.monotonic()
    while True:
        try:
            for index, variation in enumerate(variations):
                if not variation.has_ended or not variation.families:
                    variations[index] = await gateway.variation(variation.id)
            last_answer = time.monotonic()
        except Unreachable:
            if time.monotonic() - last_answer > patience_seconds:
                raise
        show(variations)
        if all(variation.has_ended for variation in variations):
            return variations
        await asyncio.sleep(poll_seconds)


@contextmanager
def shown_live(console: Console) -> Iterator[Callable[[Sequence[Variation]], None]]:
    """Bars that move on a terminal, and the last state of them where there is none."""
    try:
        with Live(console=console, refresh_per_second=8) as live:
            yield lambda variations: live.update(board(variations))
    finally:
        if not console.is_terminal:
            # Live leaves the end of its last line to a cursor that is not there.
            console.print()


def board(variations: Sequence[Variation]) -> Table:
    """One bar for each family."""
    table = Table.grid(padding=(0, 2))
    for variation in variations:
        table.add_row(Text(variation.name, style="bold"), "", "", status_text(variation.status))
        for name, family in variation.families.items():
            failed = family.status == "failed"
            bar = ProgressBar(
                total=1.0,
                completed=family.progress,
                width=30,
                complete_style="red" if failed else "cyan",
                finished_style="red" if failed else "green",
            )
            why = Text(f" {family.error.message}", style="red") if family.error else Text()
            row = Text.assemble(status_text(family.status), why)
            table.add_row(f"  {name}", bar, f"{family.progress:4.0%}", row)
    return table


def status_text(status: str) -> Text:
    return Text(status, style=_COLOURS.get(status, "cyan"))
