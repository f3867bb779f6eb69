"""`imagetron demo`: a stack of its own makes two variations, and everything promised of them is checked.

It has a state folder of its own, wiped at each start: names are unique, and the demo's never change.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.api import Gateway, Generation, Order
from imagetron_cli.commands.options import PortBaseOption
from imagetron_cli.contact_sheet import save_contact_sheet
from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.stack import Stack
from imagetron_cli.errors import Trouble
from imagetron_cli.events import listening
from imagetron_cli.following import follow, shown_live
from imagetron_cli.gallery import SavedPicture, folder_for, save_pictures, shortfalls, unmarked
from imagetron_cli.signals import stop_signal
from imagetron_contracts import FAMILIES, Envelope

STATE: Final = Path(".imagetron/demo")
AS_PROMISED: Final = (
    "All {} pictures and all events are as promised, and every picture says that a model made it. Stack stopped."
)
_EVENT_SECONDS: Final = 10.0
_INTERRUPTED: Final = 130
_INHERITED: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "AMQP_URL")
"""The demo shows the product as it comes: settings in the caller's shell are not part of it, a broker may be."""

ORDERS: Final = (
    Order(
        name="hero-sunset-beach",
        category="marketing/seo",
        families=("square", "landscape", "facebook-og"),
        generation=Generation(
            prompt="Professional sunset beach scene, warm golden hour lighting, serene ocean waves",
            negative_prompt="people, text, watermark, low quality",
            seed=1234567890,
            model="photorealistic",
            inference_steps=30,
            guidance_scale=7.5,
        ),
        is_dx_job=True,
    ),
    Order(
        name="alpine-lake-dawn",
        category="demo/landscapes",
        families=tuple(FAMILIES),
        generation=Generation(
            prompt="A still alpine lake at dawn, snowy mountains mirrored in clear water, soft pink mist over pine woods",
            negative_prompt="people, text, watermark",
            seed=20_260,
        ),
    ),
)


def demo(
    out: Annotated[Path, typer.Option(help="Where the pictures and the contact sheet go.")] = Path("out"),
    port_base: PortBaseOption = None,
) -> None:
    """Start a stack, make two variations, check every picture and event, stop. Exit status 0 only if all was right."""
    console = Console(highlight=False)
    folder_for(out)
    raise typer.Exit(asyncio.run(run_demo(out.absolute(), Ports.from_base(port_base), console)))


async def run_demo(out: Path, ports: Ports, console: Console, *, state: Path = STATE) -> int:
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    stack = Stack(
        state,
        environ=environ,
        ports=ports,
        fresh=True,
        announce=lambda sentence: console.print(Text(sentence, style="bold red")),
    )
    with stop_signal() as stop:
        showing = asyncio.create_task(_show(stack, out, console))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not showing.done():
                console.print("stopping")
                return _INTERRUPTED
            problems = await showing
        finally:
            stopping.cancel()
            showing.cancel()
            await asyncio.wait({showing})
            await stack.stop()
    for problem in problems:
        console.print(Text(f"problem: {problem}", style="bold red"))
    if not problems:
        pictures = sum(1 + len(FAMILIES[family].derivatives) for order in ORDERS for family in order.families)
        console.print(Text(AS_PROMISED.format(pictures), style="bold green"), soft_wrap=True)
        console.print("Next: `make up` leaves a stack running, for `imagetron generate` and for your own calls.")
    return 1 if problems else 0


async def _show(stack: Stack, out: Path, console: Console) -> list[str]:
    with console.status("starting RabbitMQ, Triton and five services"):
        seconds = await stack.start()
    console.print(Text(f"stack ready in {seconds:.1f} s", style="bold green"))
    making = asyncio.create_task(_make(stack, out, console))
    dying = asyncio.create_task(stack.first_death())
    try:
        await asyncio.wait({making, dying}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise Trouble(f"{dying.result()} ended in the middle of the demo; see {stack.state.logs}")
        return await making
    finally:
        for task in (making, dying):
            task.cancel()
        await asyncio.wait({making, dying})


async def _make(stack: Stack, out: Path, console: Console) -> list[str]:
    """Both variations, everything about them on the console; what was wrong, in sentences."""
    problems: list[str] = []
    async with Gateway(stack.url) as gateway, listening(stack.amqp_url, Teller(console).tell) as heard:
        submitted = [await gateway.submit(order) for order in ORDERS]
        with shown_live(console) as show:
            variations = await follow(gateway, submitted, show)
        wanted = [(variation.id, order.families) for variation, order in zip(variations, ORDERS, strict=True)]
        missing = await heard.missing(wanted, within_seconds=_EVENT_SECONDS)
        problems += [f"event not heard: {what}" for what in missing]
        problems += [f"unreadable event: {what}" for what in heard.unreadable]
        gallery = {}
        for order, variation in zip(ORDERS, variations, strict=True):
            _forget(out / order.name)
            gallery[order.name] = await save_pictures(gateway, variation, out)
            found = [*shortfalls(order.families, gallery[order.name]), *unmarked(gallery[order.name])]
            problems += [f"{order.name}: {what}" for what in found]
            if variation.status != "complete":
                problems.append(f"{order.name} ended as {variation.status}: {variation.error or 'no reason given'}")
            console.print("\n", files_list(order.name, gallery[order.name], out), soft_wrap=True, sep="")
    sheet = out / "contact-sheet.png"
    await asyncio.to_thread(save_contact_sheet, gallery, sheet)
    console.print(f"\npictures:      {out}\ncontact sheet: {sheet}", soft_wrap=True)
    return problems


def _forget(folder: Path) -> None:
    """A picture of an earlier demo must not stand in for one that is missing now."""
    shutil.rmtree(folder, ignore_errors=True)


def files_list(name: str, saved: Sequence[SavedPicture], out: Path) -> Text:
    """A line for each file. No URLs: the stack that serves them is about to stop."""
    lines = [
        f"  {f'{item.picture.family}/{item.picture.name}':<29} {'{}x{}'.format(*item.size):<10} {item.path.relative_to(out)}"
        for item in saved
    ]
    return Text("\n".join([name, *lines]))


class Teller:
    """Prints a line for each event. Only a variation's first and last events name it, so names are kept by id."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: dict[str, str] = {}

    def tell(self, event: Envelope) -> None:
        data = event.data.model_dump(mode="json", by_alias=True, exclude_none=True)
        subject = str(event.subject)
        name = self._names.setdefault(subject, data["name"]) if "name" in data else self._names.get(subject, subject)
        shown = [f"{key}={data[key]}" for key in ("familyName", "familyCount") if key in data]
        what = (("event ", "dim"), (f"{event.type:<20}", "magenta"), f" {name:<18} ", " ".join(shown))
        self._console.print(Text.assemble(*what), soft_wrap=True)
