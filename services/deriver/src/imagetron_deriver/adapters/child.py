"""The child process: limits itself, then answers orders until its input ends, which is also how it notices a dead parent.

Started as `python -m imagetron_deriver.adapters.child MEMORY_BYTES CPU_SECONDS`.
"""

import math
import os
import resource
import signal
import sys
import time

from imagetron_deriver.adapters import orders, pillow


def main(memory_bytes: int, cpu_seconds: int) -> None:
    # The parent decides when to stop: signals to the whole group must not break work that it is still draining.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pillow.prepare()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    try:
        orders.write(sink, {"ready": True})
        while frame := orders.read(source):
            header, (render,) = frame
            # Counted over a process's whole life, which is many orders long.
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + cpu_seconds, most))
            orders.write(sink, *_answer(render, orders.Order.of(header)))
    except BrokenPipeError:
        # Nobody waits for the answer any more. Without the exit that would try to flush it once again.
        os._exit(0)


def _answer(render: bytes, order: orders.Order) -> tuple[dict[str, object], list[bytes]]:
    started = time.perf_counter()
    try:
        pictures = pillow.cut(render, order)
    except pillow.Unreadable as error:
        return {"unreadable": str(error)}, []
    except MemoryError:
        return {"exhausted": f"cutting a render of {order.render[0]}x{order.render[1]} needs too much memory"}, []
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "digests": [digest for _, digest in pictures]}, [data for data, _ in pictures]


if __name__ == "__main__":
    main(memory_bytes=int(sys.argv[1]), cpu_seconds=int(sys.argv[2]))
