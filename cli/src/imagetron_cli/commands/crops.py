"""`imagetron crops`: how a family's pictures were cut from their renders; to look at, and to cut again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from imagetron_cli.api import Gateway
from imagetron_cli.commands.operating import GATEWAY, Answer, JsonOption, UrlOption, ask, say
from imagetron_cli.telling import table

_TAKEN_BACK: Final = "none"


def crops(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="The job's id.")],
    family: Annotated[str, typer.Argument(help="A family of it, by its name or an alias.")],
    safe_zone: Annotated[
        str | None,
        typer.Option(
            metavar="L,T,R,B", help="Stays whole, in shares of the picture from its top left; `none` takes it back."
        ),
    ] = None,
    focal_point: Annotated[
        str | None, typer.Option(metavar="X,Y", help="Stays near the middle; `none` takes it back.")
    ] = None,
    misfit: Annotated[
        str | None,
        typer.Option(help="Where a size cannot hold all that must stay: `cut`, `pad`, `borrow`; `none` takes it back."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Cut again as it is, for instance after a failure.")] = False,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Save the render with everything drawn on it, as PNG.")
    ] = None,
    image: Annotated[int, typer.Option(min=0, help="The image of --out.")] = 0,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """How a family's pictures were cut, and why there. With a subject, they are cut again; no model is asked."""
    subject: dict[str, Any] = {}
    if safe_zone is not None:
        subject["safeZone"] = _shares("--safe-zone", safe_zone, ("left", "top", "right", "bottom"))
    if focal_point is not None:
        subject["focalPoint"] = _shares("--focal-point", focal_point, ("x", "y"))
    if misfit is not None:
        subject["misfit"] = None if misfit == _TAKEN_BACK else misfit

    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)

    async def work(gateway: Gateway) -> Answer:
        if subject or again:
            await gateway.cut_again(job, family, subject)
        if out is not None:
            out.write_bytes(await gateway.crops_drawn(job, family, image))
        return await gateway.crops(job, family)

    answer = ask(context, url, work, as_json=as_json)
    say(answer, _told(answer, out), as_json=as_json)


def _shares(option: str, text: str, names: Sequence[str]) -> dict[str, float] | None:
    if text == _TAKEN_BACK:
        return None
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != len(names):
        expected = ",".join(names)
        raise typer.BadParameter(
            f"is {text!r}; write {expected} as shares from 0 to 1, or {_TAKEN_BACK}", param_hint=option
        )
    return dict(zip(names, shares, strict=True))


def _told(answer: Answer, out: Path | None) -> Text:
    files = [(image, file) for image in answer["images"] for file in image["files"]]
    lines = table(
        ("image", "picture", "format", "size", "window", "evidence", "fit"),
        [_row(image, file) for image, file in files],
    )
    if recut := answer["recut"]:
        lines.append(f"\ncutting again, derivation {answer['derivation']}: {_recut(recut)}")
    if out is not None:
        lines.append(f"\ndrawn in {out}")
    return lines


def _row(image: Answer, file: Answer) -> tuple[str, ...]:
    size, crop = file["size"], file["crop"]
    cut = ("-", "-", "-") if crop is None else (_window(crop["window"]), crop["evidence"], _fit(crop))
    return (str(image["index"]), file["name"], file["format"], f"{size['width']}x{size['height']}", *cut)


def _window(window: Answer) -> str:
    return f"{window['width']}x{window['height']}{window['left']:+}{window['top']:+}"


def _fit(crop: Answer) -> str:
    return f"{crop['fit']} from {crop['family']}" if crop["family"] else str(crop["fit"])


def _recut(recut: Answer) -> str:
    errors = [f"image {image['index']}: {image['error']['message']}" for image in recut["images"] if image["error"]]
    return "; ".join(errors) or "under way"
