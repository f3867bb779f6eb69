"""`imagetron events tail`: the public events of all jobs as they happen, told by the gateway."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.api import Gateway, Refused, Unreachable
from imagetron_cli.commands.operating import GATEWAY, UrlOption, console, stop, transport_of
from imagetron_cli.telling import told_in_a_sentence
from imagetron_contracts import EVENTS

events = typer.Typer(no_args_is_help=True, help="The public events.")
_RECONNECT_SECONDS: Final = 1.0
_COLOURS: Final = {"COMPLETED": "green", "PARTIAL": "yellow", "FAILED": "red", "CANCELLED": "red"}


@events.callback()
def group() -> None:
    """Keep `tail` a command of the group, though it is the only one."""


@events.command(
    epilog="Examples: imagetron events tail --type VARIATION_FAILED; imagetron events tail --count 1 --json | jq .data"
)
@told_in_a_sentence
def tail(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Come back when the gateway was away, or end then.")
    ] = True,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", help=f"Only these; repeat it: {', '.join(event.TYPE for event in EVENTS)}."),
    ] = None,
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    url: UrlOption = GATEWAY,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object a line.")] = False,
) -> None:
    """Follow the public events from now on. Ctrl-C ends it. What happens while it is away is not told later."""
    wanted: dict[str, Any] = {"type": kind} if kind else {}
    wanted |= {"job": job} if job else {}

    async def tailed() -> None:
        async with Gateway(url, transport=transport_of(context)) as gateway:
            await _tail(gateway, wanted, count=count, follow=follow, as_json=as_json)

    try:
        asyncio.run(tailed())
    except (Refused, Unreachable) as error:
        stop(error, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _tail(gateway: Gateway, wanted: Mapping[str, Any], *, count: int | None, follow: bool, as_json: bool) -> None:
    """Raises Refused, and Unreachable unless a stream that had begun is to be followed."""
    seen = 0
    begun = asyncio.Event()

    def begin() -> None:
        if not begun.is_set():
            _remark(f"Following the public events of {gateway.url}; Ctrl-C ends it.", "dim")
        begun.set()

    while True:
        try:
            async for event in gateway.events(wanted, begin):
                _tell(event, as_json=as_json)
                seen += 1
                if seen == count:
                    return
        except Unreachable:
            if not (follow and begun.is_set()):
                raise
        if not follow:
            return
        _remark("The stream ended; coming back. Events may be missing here.", "yellow")
        await asyncio.sleep(_RECONNECT_SECONDS)


def _remark(text: str, style: str) -> None:
    """Beside the events, not among them."""
    Console(stderr=True, highlight=False).print(Text(text, style=style), soft_wrap=True)


def _tell(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        # At once, also into a pipe.
        print(json.dumps(event), flush=True)
    else:
        console().print(line(event), soft_wrap=True)


def line(event: Mapping[str, Any]) -> Text:
    """Time, type, job, and what a person asks next: whose name, which family, why, where."""
    data = event.get("data", {})
    details = [
        str(data[name])
        for name in ("name", "familyName", "code", "message", "errorMessage", "publicUrl")
        if data.get(name)
    ]
    kind = str(event.get("type", "?"))
    colour = _COLOURS.get(kind.rpartition("_")[2], "cyan")
    return Text.assemble(
        f"{event.get('time', '')}  ", (f"{kind:<20}", colour), f"  {event.get('subject', '-')}  ", "  ".join(details)
    )
