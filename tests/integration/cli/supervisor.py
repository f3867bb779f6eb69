"""A program that supervises one child and its grandchild, to be killed by a test. Prints their numbers, then waits."""

import asyncio
import sys
from pathlib import Path

from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.process import ProcessSpec, SupervisedProcess

FAMILY = "sleep 300 & echo $! $$; trap '' TERM; wait; sleep 300"


async def main() -> None:
    told = asyncio.Event()

    def tell(_: str, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        told.set()

    async def is_ready() -> bool:
        return told.is_set()

    process = SupervisedProcess(
        ProcessSpec(
            name="family", argv=("/bin/sh", "-c", FAMILY), environment={"PATH": "/usr/bin:/bin"}, is_ready=is_ready
        ),
        logs=LogBook(Path(sys.argv[1]), tell),
        guardian=Guardian(),
        announce=lambda _: None,
        restarts=False,
    )
    await process.start()
    await asyncio.Event().wait()


asyncio.run(main())
