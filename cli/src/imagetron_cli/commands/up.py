"""`imagetron up`: the whole stack on this machine, until Ctrl-C."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from imagetron_cli.commands.options import PortBaseOption, StateOption
from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.services import SERVICES
from imagetron_cli.embedded.stack import Stack
from imagetron_cli.signals import stop_signal

_COLOURS: Final = dict(zip(SERVICES, ("cyan", "magenta", "yellow", "green", "blue"), strict=True))
# Whoever waits for a variation asks several times a second: nothing else would be left to see.
_GOOD_READ: Final = re.compile(r"\brequest_handled\b.*\bmethod=(?:GET|HEAD)\b.*\bstatus=[23]")
_BODY: Final = (
    '{"name": "lighthouse", "category": "demo", "families": ["square", "hero"], '
    '"generation": {"prompt": "A lighthouse above a stormy sea at dusk"}}'
)


def up(state: StateOption = Path(".imagetron"), port_base: PortBaseOption = None) -> None:
    """Start everything on this machine and follow its log until Ctrl-C."""
    asyncio.run(run_until_stopped(state, Ports.from_base(port_base), Console(highlight=False)))


async def run_until_stopped(state: Path, ports: Ports, console: Console) -> None:
    """Return after SIGINT or SIGTERM, when everything has stopped; raise Trouble when it cannot start."""
    follower = Follower(console)
    stack = Stack(
        state,
        environ=os.environ,
        ports=ports,
        restarts=True,
        announce=lambda sentence: console.print(Text(sentence, style="bold yellow")),
        listener=follower.line,
    )
    with stop_signal() as stop:
        starting = asyncio.create_task(stack.start())
        stopping = asyncio.create_task(stop.wait())
        with console.status("starting RabbitMQ, Triton and five services"):
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            console.print("stopping before it was ready")
            starting.cancel()
            await asyncio.wait({starting})
            return
        try:
            seconds = await starting
            console.print(welcome(stack), Text(f"stack ready in {seconds:.1f} s", style="bold green"))
            # Lines to copy: a line break of ours inside one would break the command.
            console.print(_hints(stack), soft_wrap=True)
            follower.is_following = True
            await stopping
            console.print("\nstopping: services finish what they have in hand")
        finally:
            stopping.cancel()
            await stack.stop()
        console.print("stopped")


class Follower:
    """Shows the services' lines on the terminal; their neighbours', and good answers to readers, are in files only."""

    def __init__(self, console: Console) -> None:
        self.is_following = False
        self._console = console

    def line(self, name: str, line: str) -> None:
        if self.is_following and name in _COLOURS and not _GOOD_READ.search(line):
            self._console.print(Text.assemble((f"{name:>9} ", _COLOURS[name]), line), soft_wrap=True)


def welcome(stack: Stack) -> Table:
    """What listens where."""
    ports = stack.ports
    table = Table(box=None, pad_edge=False)
    for column in ("part", "listens on", "what for"):
        table.add_column(column, header_style="bold")
    table.add_row("gateway", stack.url, "the API, /healthz, /readyz, /metrics")
    for name in SERVICES[1:]:
        table.add_row(name, f"http://127.0.0.1:{ports.named()[name]}", "/healthz, /readyz, /metrics")
    where = f"127.0.0.1:{ports.rabbitmq}" if stack.node else "the broker that AMQP_URL names"
    table.add_row("rabbitmq", where, stack.node.url if stack.node else "not ours: never stopped")
    table.add_row(
        "triton", f"127.0.0.1:{ports.triton_grpc}", f"gRPC; HTTP {ports.triton_http}, metrics {ports.triton_metrics}"
    )
    return table


def _hints(stack: Stack) -> Text:
    return Text(
        f"\nAPI description  {stack.url}/docs\n"
        f"Pictures, data   {stack.state.folder}\n"
        f"Logs             {stack.state.logs}\n\n"
        f"Try it:\n  {_command()} generate 'A lighthouse above a stormy sea at dusk' --url {stack.url}\nor\n"
        f"  curl -s {stack.url}/api/images/variations -H 'Content-Type: application/json' \\\n    -d '{_BODY}'\n\n"
        "Ctrl-C stops everything.\n"
    )


def _command() -> str:
    """How a person who stands here calls this program."""
    if shutil.which("imagetron"):
        return "imagetron"
    program = Path(sys.executable).with_name("imagetron")
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)
