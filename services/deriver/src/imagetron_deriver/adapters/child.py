"""The child process: limits itself, then answers orders until its input ends, which is also how it notices a dead parent.

Started as `python -m imagetron_deriver.adapters.child MEMORY_BYTES CPU_SECONDS`.
"""

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from PIL import Image

from imagetron_chassis.pictures import frames
from imagetron_deriver.adapters import orders
from imagetron_deriver.adapters.imaging import decoding, detecting, making


def main(memory_bytes: int, cpu_seconds: int) -> None:
    # The parent decides when to stop: signals to the whole group must not break work that it is still draining.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for part in (decoding, detecting, making):
        part.prepare()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # nothing here writes files
    source = sys.stdin.buffer
    # Whatever a library prints goes where errors go: between our frames it would make nonsense of them.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    workbench = _Workbench()
    try:
        frames.write(sink, {"ready": True})
        while frame := frames.read(source):
            # Counted over a process's whole life, which is many orders long.
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + cpu_seconds, most))
            header, parts = frame
            del frame
            if header["do"] == orders.CLOSE:
                workbench.pixels = None
            else:
                answer, pieces = _answer(workbench, header, parts)
                frames.write(sink, answer, [len(piece) for piece in pieces], pieces)
    except BrokenPipeError:
        # Nobody waits for the answer any more. Without the exit that would try to flush it once again.
        os._exit(0)


class _Workbench:
    """What is in hand: the pixels of the render that is open."""

    def __init__(self) -> None:
        self.pixels: Image.Image | None = None


def _answer(workbench: _Workbench, order: dict[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], Sequence[bytes]]:
    started = time.perf_counter()
    try:
        answer, pieces = _done(workbench, order, parts)
    except decoding.Unreadable as error:
        return {"unreadable": str(error)}, ()
    except MemoryError:
        workbench.pixels = None
        return {"exhausted": True}, ()
    return {**answer, "seconds": time.perf_counter() - started}, pieces


def _done(workbench: _Workbench, order: dict[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], Sequence[bytes]]:
    if order["do"] == orders.OPEN:
        # Popped: the bytes that came are let go as soon as they are pixels.
        workbench.pixels = decoding.open_render(parts.pop(), tuple(order["size"]))
        return {"opened": True}, ()
    if workbench.pixels is None:
        raise ValueError("no render is open")
    if order["do"] == orders.LOOK:
        return {"found": detecting.detect(workbench.pixels)}, ()
    return {"made": True}, [making.make(workbench.pixels, orders.OrderedPicture.of(order["picture"]))]


if __name__ == "__main__":
    main(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
