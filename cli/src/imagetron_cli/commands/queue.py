"""`imagetron queue`: how full it is, what is in it, pausing, clearing away, asking again."""

from typing import Annotated, Any

import typer
from rich.text import Text

from imagetron_cli.api import Gateway
from imagetron_cli.commands.operating import (
    GATEWAY,
    Answer,
    JsonOption,
    UrlOption,
    age,
    ask,
    confirm_or_leave,
    say,
    span,
)
from imagetron_cli.telling import table, told_in_a_sentence
from imagetron_contracts.stages import Lane

queue = typer.Typer(no_args_is_help=True, help="The queue: look at it, pause it, clear it, ask again for what failed.")
LaneOption = Annotated[Lane | None, typer.Option(help="Default: all lanes.")]
LimitOption = Annotated[int, typer.Option(min=1, max=200, help="Jobs at once.")]


@queue.command(epilog="Example: imagetron queue status --json | jq '.lanes[] | select(.paused)'")
@told_in_a_sentence
def status(context: typer.Context, url: UrlOption = GATEWAY, as_json: JsonOption = False) -> None:
    """Lanes, work queues, dead letters. Exit status: 0, or 1 if the gateway does not answer."""
    answer = ask(context, url, lambda gateway: gateway.admin("GET", "queue"), as_json=as_json)
    say(answer, _status(answer), as_json=as_json)


@queue.command("list", epilog="Example: imagetron queue list --lane batch --newest --limit 10")
@told_in_a_sentence
def list_jobs(
    context: typer.Context,
    lane: LaneOption = None,
    newest: Annotated[bool, typer.Option("--newest", help="The last submitted first, instead of the oldest.")] = False,
    limit: LimitOption = 50,
    after: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Jobs that have not ended."""
    wanted: dict[str, Any] = {"order": "newest" if newest else "oldest", "limit": limit}
    wanted |= {name: value for name, value in (("lane", lane and lane.value), ("after", after)) if value}
    answer = ask(context, url, lambda gateway: gateway.admin("GET", "queue/jobs", params=wanted), as_json=as_json)
    say(answer, _jobs(answer), as_json=as_json)


@queue.command(epilog='Example: imagetron queue pause --lane batch --reason "a new model is being loaded"')
@told_in_a_sentence
def pause(
    context: typer.Context,
    lane: LaneOption = None,
    reason: Annotated[str, typer.Option(help="Shown to operators and to callers who wait.")] = "",
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Admit nothing more, in every replica and over restarts. What was admitted finishes; submitting goes on."""
    answer = ask(context, url, lambda gateway: _each(gateway, lane, "pause", json={"reason": reason}), as_json=as_json)
    lines = [f"{item['lane']} {_paused(item['paused'])}" for item in answer["lanes"]]
    say(answer, "\n".join(lines), as_json=as_json)


@queue.command(epilog="Example: imagetron queue resume --lane batch")
@told_in_a_sentence
def resume(
    context: typer.Context, lane: LaneOption = None, url: UrlOption = GATEWAY, as_json: JsonOption = False
) -> None:
    """Admit again."""
    answer = ask(context, url, lambda gateway: _each(gateway, lane, "resume"), as_json=as_json)
    lines = [
        f"{item['lane']} is open again" if item["wasPaused"] else f"{item['lane']} was not paused"
        for item in answer["lanes"]
    ]
    say(answer, "\n".join(lines), as_json=as_json)


@queue.command(epilog="Example: imagetron queue clear --older-than 24 --yes")
@told_in_a_sentence
def clear(
    context: typer.Context,
    older_than: Annotated[float, typer.Option("--older-than", min=0, max=87_600, help="Hours since they ended.")] = 0,
    limit: LimitOption = 100,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them. Without it: show which they are.")] = False,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Remove failed jobs that left no pictures. Exit status 2 without --yes: nothing was done."""
    body = {"olderThanHours": older_than, "limit": limit, "dryRun": not yes}
    answer = ask(context, url, lambda gateway: gateway.admin("POST", "queue/clear", json=body), as_json=as_json)
    say(answer, _round(answer, "removed", "to remove"), as_json=as_json)
    confirm_or_leave(f"{answer['done']} jobs would be removed.", yes=yes)


@queue.command(
    epilog="Examples: imagetron queue retry 019b7a6e-0c00-7000-8000-000000000001; "
    "imagetron queue retry --within 24 --dry-run"
)
@told_in_a_sentence
def retry(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Jobs; or give --within.")] = None,
    within: Annotated[
        float | None,
        typer.Option(min=0.001, max=87_600, help="All that ended failed or partial in the last so many hours."),
    ] = None,
    limit: LimitOption = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which they are.")] = False,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Ask again for the failed families of jobs. Exit status 1 if one of them could not be asked again."""
    if bool(ids) == (within is not None):
        raise typer.BadParameter("name jobs, or give --within, one of the two")
    body: dict[str, Any] = {"ids": list(dict.fromkeys(ids))} if ids else {"withinHours": within}
    body |= {"limit": limit, "dryRun": dry_run}
    answer = ask(context, url, lambda gateway: gateway.admin("POST", "queue/retry", json=body), as_json=as_json)
    say(answer, _round(answer, "asked again", "to ask again"), as_json=as_json)
    if answer["done"] < len(answer["items"]):
        raise typer.Exit(1)


async def _each(gateway: Gateway, lane: Lane | None, verb: str, **arguments: Any) -> Answer:  # noqa: ANN401 - httpx's
    lanes = [lane] if lane else list(Lane)
    return {"lanes": [await gateway.admin("POST", f"queue/lanes/{each.value}/{verb}", **arguments) for each in lanes]}


def _status(answer: Answer) -> Text:
    lanes = table(
        ("LANE", "WAITING JOBS", "OLDEST", "IN FLIGHT", "WINDOW", "STATE"),
        [
            (
                lane["lane"],
                str(lane["waitingJobs"]),
                age(lane["oldestWaitingSince"]),
                str(lane["familiesInFlight"]),
                str(lane["window"]),
                _paused(lane["paused"]) if lane["paused"] else lane["closed"] or "open",
            )
            for lane in answer["lanes"]
        ],
    )
    if answer["queues"] is None:
        return Text.assemble(lanes, "\n\n", ("The broker does not answer; its queues cannot be seen.", "red"))
    queues = table(
        ("QUEUE", "READY", "CONSUMERS", "DEAD LETTERS"),
        [
            (item["queue"], str(item["messages"]), str(item["consumers"]), str(item["deadLetters"]))
            for item in answer["queues"]
        ],
    )
    return Text.assemble(lanes, "\n\n", queues)


def _jobs(answer: Answer) -> Text:
    rows = [
        (
            item["id"],
            item["name"],
            item["status"],
            item["lane"],
            item["owner"],
            span(item["ageSeconds"]),
            f"{item['familiesDone']}/{item['familiesTotal']}",
        )
        for item in answer["items"]
    ]
    if not rows:
        return Text("No job is waiting or running.")
    more = f"\n\nMore: --after {answer['next']}" if answer["next"] else ""
    return Text.assemble(table(("ID", "NAME", "STATUS", "LANE", "OWNER", "AGE", "FAMILIES"), rows), more)


def _paused(pause: Answer) -> str:
    why = f": {pause['reason']}" if pause["reason"] else ""
    return f"is paused by {pause['by']} since {pause['at']}{why}"


def _round(answer: Answer, done: str, would_be: str) -> Text:
    rows = [
        (item["id"], item["name"] or "-", item["refused"] or ", ".join(item["families"])) for item in answer["items"]
    ]
    verb = would_be if answer["dryRun"] else done
    summary = f"{answer['done']} of {len(rows)} jobs {verb}." if rows else "There is nothing of the kind."
    more = "" if answer["complete"] else " There may be more: ask again."
    shown = Text.assemble(table(("ID", "NAME", "FAMILIES"), rows), "\n\n") if rows else Text()
    return Text.assemble(shown, summary, more)
