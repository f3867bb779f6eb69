"""`imagetron doctor`: look at this machine, say what is wrong and how to mend it."""

import asyncio
import dataclasses
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.table import Table

from imagetron_cli.checkout import triton_environment
from imagetron_cli.commands.options import PortBaseOption, StateOption
from imagetron_cli.diagnosis import Finding, Verdict, diagnose
from imagetron_cli.embedded import rabbitmq, triton
from imagetron_cli.embedded.ports import Ports, is_free, listener_on
from imagetron_cli.embedded.services import SERVICES
from imagetron_cli.embedded.state import State, holder

_COLOURS: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.PROBLEM: "bold red"}
_SECONDS: Final = 5.0


def doctor(
    state: StateOption = Path(".imagetron"),
    port_base: PortBaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Find out what is wrong with this installation. Exit status 1 if there is a problem."""
    ports = Ports.from_base(port_base)
    findings = asyncio.run(diagnose(ThisMachine(), state=state.absolute(), ports=ports, environ=os.environ))
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        Console(highlight=False).print(findings_table(findings))
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(1)


def findings_table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("what", "verdict", "found", "how to mend it"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        table.add_row(finding.subject, f"[{colour}]{finding.verdict}[/]", finding.detail, finding.mend)
    return table


class ThisMachine:
    """The real answers."""

    def python_version(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def rabbitmq_version(self) -> str | None:
        return rabbitmq.version()

    def missing_packages(self) -> list[str]:
        names = [f"imagetron_{name}" for name in SERVICES]
        return [name for name in names if importlib.util.find_spec(name) is None]

    def triton_objection(self) -> str | None:
        try:
            # In a folder that goes away: looking must not leave anything behind.
            with tempfile.TemporaryDirectory(prefix="imagetron-doctor-") as folder:
                triton.prepare(triton_environment(), Path(folder))
        except triton.MissingTriton as error:
            return str(error)
        return None

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(_existing(folder)).free

    def write_objection(self, folder: Path) -> str | None:
        existing = _existing(folder)
        return None if os.access(existing, os.W_OK) else f"{existing} cannot be written to"

    def running_stack(self, state: Path) -> int | None:
        return holder(State.at(state))

    def listener(self, port: int) -> str | None:
        return None if is_free(port) else listener_on(port)

    async def amqp_objection(self, url: str) -> str | None:
        return await rabbitmq.objection_to(url)

    async def http_status(self, url: str) -> int | None:
        try:
            async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
                return (await client.get(url)).status_code
        except httpx.HTTPError:
            return None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())
