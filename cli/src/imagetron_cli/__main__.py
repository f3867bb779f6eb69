"""The `imagetron` command: its sub-commands, and how trouble is told."""

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.commands.demo import demo
from imagetron_cli.commands.doctor import doctor
from imagetron_cli.commands.generate import generate
from imagetron_cli.commands.up import up
from imagetron_cli.errors import Trouble

P = ParamSpec("P")


def _told_in_a_sentence(command: Callable[P, None]) -> Callable[P, None]:
    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except Trouble as error:
            Console(stderr=True, highlight=False).print(Text(str(error), style="bold red"), soft_wrap=True)
            raise typer.Exit(1) from None

    return told


app = typer.Typer(
    name="imagetron",
    help="Run the stack on one machine, generate pictures, find out what is wrong.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for _command in (up, generate, demo, doctor):
    app.command()(_told_in_a_sentence(_command))


if __name__ == "__main__":
    app()
