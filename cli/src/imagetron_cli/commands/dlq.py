"""`imagetron dlq`: dead letters, the messages that no consumer could handle. Look, send home, drop."""

import json
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.text import Text

from imagetron_cli.api import Gateway, Refused, Unreachable
from imagetron_cli.commands.operating import GATEWAY, Answer, JsonOption, UrlOption, age, ask, confirm_or_leave, say
from imagetron_cli.telling import table, told_in_a_sentence

dlq = typer.Typer(no_args_is_help=True, help="Dead letters: look at them, send them home, drop them.")
QueueArgument = Annotated[str, typer.Argument(help="A work queue, as `imagetron dlq list` names it.")]
IdsArgument = Annotated[list[str] | None, typer.Argument(help="Letters; or say --all.")]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, oldest first, up to the limit.")]
LimitOption = Annotated[int, typer.Option(min=1, help="Letters in all.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show which they are.")]
# What the gateway takes in one call.
_AT_ONCE: Final = 200


@dlq.command("list", epilog="Examples: imagetron dlq list; imagetron dlq list deriver.renders-generated --limit 5")
@told_in_a_sentence
def list_letters(
    context: typer.Context,
    queue: Annotated[str | None, typer.Argument(help="Show this queue's letters. Default: how many each has.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Letters to show.")] = 20,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """How many dead letters each queue has, or the oldest of one queue. Looking changes nothing."""
    if queue is None:
        answer = ask(context, url, lambda gateway: gateway.admin("GET", "dead-letters"), as_json=as_json)
        say(answer, _queues(answer), as_json=as_json)
        return
    path, wanted = _path(queue), {"limit": limit}
    answer = ask(context, url, lambda gateway: gateway.admin("GET", path, params=wanted), as_json=as_json)
    say(answer, _letters(answer), as_json=as_json)


@dlq.command(epilog="Example: imagetron dlq show deriver.renders-generated 2f1b7a52-5d3e-5f5c-9a61-0b8f6f6f7a11")
@told_in_a_sentence
def show(
    context: typer.Context,
    queue: QueueArgument,
    letter: Annotated[str, typer.Argument(help="Its id.")],
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """One letter: why it died, what it says, and the job that it is about."""
    answer = ask(context, url, lambda gateway: gateway.admin("GET", _path(queue, letter)), as_json=as_json)
    say(answer, _letter(answer), as_json=as_json)


@dlq.command(
    epilog="Examples: imagetron dlq replay deriver.renders-generated --all --dry-run; "
    "imagetron dlq replay deriver.renders-generated --all --rate 2"
)
@told_in_a_sentence
def replay(
    context: typer.Context,
    queue: QueueArgument,
    ids: IdsArgument = None,
    every: AllOption = False,
    limit: LimitOption = 100,
    rate: Annotated[float, typer.Option(min=0.5, max=100, help="Letters a second, at most.")] = 10,
    dry_run: DryRunOption = False,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Send letters home to their work queue, under their own event id: twice does no harm.

    Exit status 1 if the broker did not take one; it and those behind it stay.
    """
    body = {**_selection(ids, every=every), "dryRun": dry_run, "perSecond": rate}
    answer = ask(context, url, lambda gateway: _handle(gateway, queue, "replay", body, limit), as_json=as_json)
    say(answer, _handled(answer, "sent home", "to send home"), as_json=as_json)
    _all_or_nothing(answer)


@dlq.command(epilog="Example: imagetron dlq drop deriver.renders-generated 2f1b7a52-5d3e-5f5c-9a61-0b8f6f6f7a11 --yes")
@told_in_a_sentence
def drop(
    context: typer.Context,
    queue: QueueArgument,
    ids: IdsArgument = None,
    every: AllOption = False,
    limit: LimitOption = 100,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop them. Without it: show which they are.")] = False,
    url: UrlOption = GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Take letters away for good. Exit status 2 without --yes: nothing was done."""
    body = {**_selection(ids, every=every), "dryRun": dry_run or not yes}
    answer = ask(context, url, lambda gateway: _handle(gateway, queue, "drop", body, limit), as_json=as_json)
    say(answer, _handled(answer, "dropped", "to drop"), as_json=as_json)
    confirm_or_leave(f"{answer['inAll']} letters would be dropped.", yes=yes or dry_run)
    _all_or_nothing(answer)


def _selection(ids: list[str] | None, *, every: bool) -> dict[str, Any]:
    if bool(ids) == every:
        raise typer.BadParameter("name letters, or say --all, one of the two")
    return {"ids": list(dict.fromkeys(ids))} if ids else {"all": True}


async def _handle(gateway: Gateway, queue: str, verb: str, body: dict[str, Any], limit: int) -> Answer:
    """The gateway handles some at a time, for some seconds; ask until all is done or nothing moves any more."""
    path = _path(queue, verb)
    # Letters may die again and come back: those that are there now, and not a round more.
    left = min(limit, await _depth(gateway, queue)) if "all" in body else min(limit, len(body["ids"]))
    asked = {**body, "limit": max(1, min(left, _AT_ONCE))}
    whole = answer = await gateway.admin("POST", path, json=asked)
    whole["inAll"] = left if "all" in body and body["dryRun"] else answer["done"]
    left -= answer["done"]
    while answer["done"] and left > 0 and not body["dryRun"]:
        rest = {} if "all" in body else {"ids": [each for each in body["ids"] if each not in whole["ids"]]}
        if rest == {"ids": []}:
            break
        try:
            answer = await gateway.admin("POST", path, json={**asked, **rest, "limit": min(left, _AT_ONCE)})
        except (Refused, Unreachable) as error:
            # What was done before must not be forgotten over what came after.
            answer = {**whole, "ids": [], "done": 0, "stopped": str(error)}
        ids = [*whole["ids"], *answer["ids"]]
        whole = {**answer, "ids": ids, "done": len(ids), "inAll": len(ids)}
        left -= answer["done"]
    missing = [] if "all" in body else [each for each in body["ids"] if each not in whole["ids"]]
    is_all = not missing and (left <= 0 or whole["stopped"] is None)
    return {**whole, "missing": missing, "complete": is_all}


def _path(*parts: str) -> str:
    """What somebody typed must not lead to another address."""
    for part in parts:
        if part in {".", ".."} or "/" in part:
            raise typer.BadParameter(f"{part!r} names neither a queue nor a letter")
    return "/".join(["dead-letters", *(quote(part, safe="") for part in parts)])


async def _depth(gateway: Gateway, queue: str) -> int:
    name = queue.removesuffix(".dead")
    items = (await gateway.admin("GET", "queue"))["queues"] or []
    return next((int(item["deadLetters"]) for item in items if item["queue"] == name), 1)


def _all_or_nothing(answer: Answer) -> None:
    if not answer["complete"] and not (answer["dryRun"] and answer["ids"]):
        raise typer.Exit(1)


def _queues(answer: Answer) -> Text | str:
    rows = [
        (item["queue"], str(item["depth"]), age(item["oldestDiedAt"]), item["oldestReason"] or "-")
        for item in answer["items"]
        if item["depth"]
    ]
    return table(("QUEUE", "LETTERS", "OLDEST", "REASON"), rows) if rows else "There are no dead letters."


def _letters(answer: Answer) -> Text | str:
    rows = [
        (
            item["id"],
            item["type"] or "?",
            item["reason"] or "-",
            age(item["firstDiedAt"]),
            item["jobId"] or "-",
            item["jobStatus"] or "-",
            "yes" if item["unreadable"] is None else "no",
        )
        for item in answer["items"]
    ]
    if not rows:
        return f"{answer['queue']} has no dead letters."
    hints = sorted({item["hint"] for item in answer["items"] if item["hint"]})
    head = ("ID", "TYPE", "REASON", "AGE", "JOB", "JOB STATUS", "READABLE")
    more = [] if answer["complete"] else ["More lie behind these: --limit."]
    return Text.assemble(table(head, rows), *(f"\n\n{line}" for line in (*hints, *more)))


def _letter(answer: Answer) -> Text:
    facts = {
        "id": answer["id"],
        "queue": answer["queue"],
        "type": answer["type"],
        "died": f"{answer['reason']}, {answer['deaths']} times, first at {answer['firstDiedAt']}",
        "unreadable": answer["unreadable"],
        "job": answer["jobId"] and f"{answer['jobId']} ({answer['jobStatus'] or 'there is no such job'})",
        "hint": answer["hint"],
        "envelope": answer["envelope"] and json.dumps(answer["envelope"]),
        "headers": answer["headers"] and json.dumps(answer["headers"]),
        "content type": answer["contentType"],
        "body": f"{answer['bodyBytes']} bytes" + ("" if answer["bodyIsComplete"] else ", of which the first are"),
    }
    lines = [f"{name:<14}{value}" for name, value in facts.items() if value]
    return Text("\n".join([*lines, "", answer["body"]]))


def _handled(answer: Answer, done: str, would_be: str) -> str:
    lines = list(answer["ids"])
    verb = would_be if answer["dryRun"] else done
    lines.append(f"{answer['inAll']} letters {verb}." if answer["ids"] else f"No letter {verb}.")
    if answer["inAll"] > len(answer["ids"]):
        lines.append(f"Listed are the first {len(answer['ids'])}.")
    elif answer["stopped"]:
        lines.append(f"It ended there: {answer['stopped']}")
    if answer["missing"]:
        lines.append(f"Not found or not taken: {', '.join(answer['missing'])}")
    return "\n".join(lines)
