"""The child process: limits itself, then answers orders until its input ends, which is also how it notices a dead parent.

Started as `python -m imagetron_chassis.pictures.child MEMORY_BYTES CPU_SECONDS`.
"""

import hashlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from PIL import Image

from imagetron_chassis.pictures import decoding, drawing, frames

_DIGEST_BYTES: Final = 32


def main(memory_bytes: int, cpu_seconds: int) -> None:
    # The parent decides when to stop: signals to the whole group must not break work that it is still draining.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    decoding.prepare()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # nothing here writes files
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    try:
        frames.write(sink, {"ready": True})
        while frame := frames.read(source):
            # Counted over a process's whole life, which is many orders long.
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + cpu_seconds, most))
            header, parts = frame
            del frame
            _answer(sink, header, parts)
    except BrokenPipeError:
        # Nobody waits for the answer any more. Without the exit that would try to flush it once again.
        os._exit(0)


def _answer(sink: Any, order: dict[str, Any], parts: list[bytes]) -> None:  # noqa: ANN401 - a binary stream
    try:
        image = _image(order, parts)
    except decoding.Unreadable as error:
        frames.write(sink, {"unreadable": str(error)})
    except decoding.TooLarge as error:
        frames.write(sink, {"too_large": str(error)})
    except MemoryError:
        frames.write(sink, {"exhausted": True})
    else:
        size = {"width": image.width, "height": image.height}
        lengths = [3 * image.width * image.height, _DIGEST_BYTES]
        frames.write(sink, {"size": size}, lengths, _with_digest(image))


def _image(order: dict[str, Any], parts: list[bytes]) -> Image.Image:
    # Popped: the bytes that came are let go as soon as they are an image.
    if order["do"] == "resize":
        return decoding.resized(parts.pop(), tuple(order["size"]), tuple(order["to"]))
    if order["do"] == "draw":
        return drawing.drawn(parts.pop(), order)
    return decoding.decoded(parts.pop(), order["max_side"], order["max_pixels"])


def _with_digest(image: Image.Image) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for strip in decoding.strips(image):
        digest.update(strip)
        yield strip
    yield digest.digest()


if __name__ == "__main__":
    main(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
