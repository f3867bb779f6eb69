"""`imagetron generate`: from a prompt to pictures in a folder."""

import asyncio
import json
import math
import re
import secrets
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.text import Text

from imagetron_cli.api import Gateway, Generation, Order, Output, Refused, Unreachable, Variation, Watermark
from imagetron_cli.errors import Trouble
from imagetron_cli.following import POLL_SECONDS, follow, shown_live
from imagetron_cli.gallery import SavedPicture, folder_for, save_pictures
from imagetron_contracts import FAMILIES, ImageFormat
from imagetron_contracts.spec import Placement, Profile

_LONGEST_SLUG: Final = 40


class Outcome(IntEnum):
    """Exit codes, for scripts."""

    COMPLETE = 0
    BAD_INPUT = 2
    PARTIAL = 3
    FAILED = 4
    UNREACHABLE = 5


def generate(
    prompt: Annotated[str, typer.Argument(help="What to show.")],
    name: Annotated[str | None, typer.Option(help="Unique name of the variation. Default: from the prompt.")] = None,
    category: Annotated[str, typer.Option(help="Yours to choose; told in events.")] = "general",
    family: Annotated[
        list[str] | None, typer.Option(help=f"Repeat it for several: {', '.join(FAMILIES)}. Default: all.")
    ] = None,
    model: Annotated[str, typer.Option(help="One of GET /api/images/models.")] = "photorealistic",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same pictures.")] = None,
    steps: Annotated[int | None, typer.Option(help="Inference steps. Default: the model's.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale. Default: the model's.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What to leave out.")] = None,
    formats: Annotated[
        list[ImageFormat] | None,
        typer.Option("--format", help="Repeat it for several: each picture is made in every one. Default: webp."),
    ] = None,
    profile: Annotated[Profile | None, typer.Option(help="What encoding aims at. Default: quality.")] = None,
    watermark: Annotated[str | None, typer.Option(help="A line of text on every picture.")] = None,
    placement: Annotated[
        Placement | None, typer.Option(help="Where the watermark is written. Default: bottom_right.")
    ] = None,
    embed_prompt: Annotated[
        bool, typer.Option("--embed-prompt", help="Write the prompt into the files, for everybody who has them.")
    ] = False,
    dx: Annotated[bool, typer.Option("--dx", help="Somebody is waiting: the interactive lane.")] = False,
    out: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("out"),
    url: Annotated[str, typer.Option(envvar="IMAGETRON_URL", help="The gateway.")] = "http://127.0.0.1:8015",
    no_download: Annotated[bool, typer.Option("--no-download", help="Print the URLs only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object, no progress.")] = False,
) -> None:
    """Make pictures. Exit status: 0 complete, 2 bad input, 3 partial, 4 failed, 5 no gateway."""
    if guidance is not None and not math.isfinite(guidance):
        raise typer.BadParameter(f"{guidance} is not a number that JSON knows", param_hint="--guidance")
    if placement is not None and watermark is None:
        raise typer.BadParameter("there is nothing to place; say --watermark too", param_hint="--placement")
    if not no_download:
        folder_for(out)
    order = Order(
        name=name or name_from(prompt),
        category=category,
        families=tuple(family or FAMILIES),
        generation=Generation(
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            model=model,
            inference_steps=steps,
            guidance_scale=guidance,
        ),
        output=output_from(formats, profile, watermark, placement, embeds_prompt=embed_prompt),
        is_dx_job=dx,
    )
    console = Console(highlight=False, stderr=as_json, quiet=as_json)
    raise typer.Exit(asyncio.run(carry_out(order, url=url, out=None if no_download else out, console=console)))


def output_from(
    formats: Sequence[ImageFormat] | None,
    profile: Profile | None,
    watermark: str | None,
    placement: Placement | None,
    *,
    embeds_prompt: bool,
) -> Output | None:
    """What was asked of the files; None if that is nothing."""
    output = Output(
        formats=tuple(formats) if formats else None,
        profile=profile,
        watermark=Watermark(text=watermark, placement=placement) if watermark is not None else None,
        embed_prompt=embeds_prompt or None,
    )
    return None if output == Output() else output


async def carry_out(
    order: Order,
    *,
    url: str,
    out: Path | None,
    console: Console,
    poll_seconds: float = POLL_SECONDS,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Outcome:
    """Submit, follow, fetch, print. A quiet console means: print JSON instead."""
    saved: list[SavedPicture] = []
    try:
        async with Gateway(url, transport=transport) as gateway:
            submitted = await gateway.submit(order)
            try:
                with shown_live(console) as show:
                    [variation] = await follow(gateway, [submitted], show, poll_seconds=poll_seconds)
            except asyncio.CancelledError:
                place = f"{gateway.url}/api/images/variations/{submitted.id}"
                console.print(Text(f"Nobody waits any more, but the work goes on: {place}"), soft_wrap=True)
                raise
            if out:
                saved = await save_pictures(gateway, variation, out)
    except Refused as error:
        return _stop(error, Outcome.BAD_INPUT, console)
    except Unreachable as error:
        return _stop(error, Outcome.UNREACHABLE, console)
    if console.quiet:
        print(json.dumps(_machine_readable(variation, saved), indent=2))
    else:
        console.print(pictures_list(variation), soft_wrap=True)
        if saved and out:
            console.print(Text(f"{len(saved)} pictures are in {out / variation.name}"), soft_wrap=True)
        if variation.error:
            console.print(Text(variation.error, style="red"), soft_wrap=True)
    return outcome_of(variation)


def outcome_of(variation: Variation) -> Outcome:
    match variation.status:
        case "complete":
            return Outcome.COMPLETE
        case "partial":
            return Outcome.PARTIAL
        case _:
            return Outcome.FAILED


def pictures_list(variation: Variation) -> Text:
    """A line for each picture. No table: it would cut URLs into pieces that cannot be clicked or copied."""
    lines = [
        f"  {f'{picture.family}/{picture.name}':<29} {f'{picture.width}x{picture.height}':<10} {picture.url}"
        for picture in variation.derivatives
    ]
    return Text("\n".join([variation.name, *lines]))


def name_from(prompt: str) -> str:
    """Readable, and different each time: names are unique."""
    slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower())[:_LONGEST_SLUG].strip("-") or "picture"
    return f"{slug}-{secrets.token_hex(3)}"


def _machine_readable(variation: Variation, saved: Sequence[SavedPicture]) -> dict[str, object]:
    files = [
        {"family": item.picture.family, "name": item.picture.name, "image": item.picture.image, "path": str(item.path)}
        for item in saved
    ]
    return {**variation.model_dump(mode="json", by_alias=True), "files": files}


def _stop(error: Trouble, outcome: Outcome, console: Console) -> Outcome:
    if console.quiet:
        problem = error.problem.model_dump(mode="json", by_alias=True) if isinstance(error, Refused) else None
        print(json.dumps({"status": outcome.name.lower(), "detail": str(error), "problem": problem}, indent=2))
    else:
        console.print(Text(str(error), style="red"), soft_wrap=True)
    return outcome
