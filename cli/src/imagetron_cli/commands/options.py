"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[Path, typer.Option("--state", help="The folder of the embedded stack's data and logs.")]
PortBaseOption = Annotated[
    int | None,
    typer.Option(
        "--port-base",
        envvar="IMAGETRON_PORT_BASE",
        min=1024,
        max=32_757,
        help="Move the whole stack to eleven ports that start here (the gateway's first).",
    ),
]
