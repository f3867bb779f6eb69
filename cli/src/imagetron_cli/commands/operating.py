"""What the operators' commands share: their options, one way to ask the gateway, one way to answer. No command of its own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn

import httpx
import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.api import Gateway, Refused, Unreachable

Answer = dict[str, Any]
UrlOption = Annotated[str, typer.Option("--url", envvar="IMAGETRON_URL", help="The gateway.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines: one JSON document, nothing else.")]
GATEWAY: Final = "http://127.0.0.1:8015"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def console() -> Console:
    return Console(highlight=False)


def ask(context: typer.Context, url: str, work: Callable[[Gateway], Awaitable[Answer]], *, as_json: bool) -> Answer:
    """What the gateway answers; a refusal or silence ends the command with status 1."""

    async def asked() -> Answer:
        async with Gateway(url, transport=transport_of(context)) as gateway:
            return await work(gateway)

    try:
        return asyncio.run(asked())
    except (Refused, Unreachable) as error:
        stop(error, as_json=as_json)
    except (httpx.InvalidURL, ValueError) as error:
        raise typer.BadParameter(f"this cannot be asked: {error}") from None


def transport_of(context: typer.Context) -> httpx.AsyncBaseTransport | None:
    """How the gateway is reached: over the network, unless whoever runs the command hands in another way."""
    handed_in = context.obj
    return handed_in if isinstance(handed_in, httpx.AsyncBaseTransport) else None


def stop(error: Refused | Unreachable, *, as_json: bool) -> NoReturn:
    if as_json:
        problem = error.problem.model_dump(mode="json", by_alias=True) if isinstance(error, Refused) else None
        print(json.dumps({"error": str(error), "problem": problem}, indent=2))
    else:
        Console(stderr=True, highlight=False).print(Text(str(error), style="bold red"), soft_wrap=True)
    raise typer.Exit(1)


def say(answer: Answer, text: Text | str, *, as_json: bool) -> None:
    """The answer as it came, or in words."""
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        console().print(text if isinstance(text, Text) else Text(text), soft_wrap=True)


def confirm_or_leave(what: str, *, yes: bool) -> None:
    """Nothing that cannot be taken back happens without --yes; a script notices by status 2."""
    if not yes:
        Console(stderr=True, highlight=False).print(
            Text(f"{what} Nothing was done; add --yes to do it."), soft_wrap=True
        )
        raise typer.Exit(2)


def age(since: str | None, *, now: datetime | None = None) -> str:
    """How long ago, in one unit: `40 s`, `12 min`, `3 h`, `5 d`."""
    if since is None:
        return "-"
    return span(((now or datetime.now(UTC)) - datetime.fromisoformat(since)).total_seconds())


def span(seconds: float) -> str:
    if seconds < _MINUTE * 2:
        return f"{max(0, seconds):.0f} s"
    if seconds < _HOUR * 2:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h" if seconds < _DAY * 2 else f"{seconds / _DAY:.0f} d"
