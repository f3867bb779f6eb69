"""The `imagetron` command: its sub-commands, and how trouble is told."""

import typer

from imagetron_cli.commands.crops import crops
from imagetron_cli.commands.demo import demo
from imagetron_cli.commands.dlq import dlq
from imagetron_cli.commands.doctor import doctor
from imagetron_cli.commands.events import events
from imagetron_cli.commands.generate import generate
from imagetron_cli.commands.queue import queue
from imagetron_cli.commands.up import up
from imagetron_cli.telling import told_in_a_sentence

app = typer.Typer(
    name="imagetron",
    help="Run the stack on one machine, generate pictures, operate the queue, find out what is wrong.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for _command in (up, generate, demo, doctor, crops):
    app.command()(told_in_a_sentence(_command))
for _group, _name in ((queue, "queue"), (dlq, "dlq"), (events, "events")):
    app.add_typer(_group, name=_name)


if __name__ == "__main__":
    app()
