"""How long a proposed prompt takes, against a language model that answers, and one that hangs. `make bench-enhance`.

The stack is the embedded one, started here on free ports in a temporary folder, with nothing else to do. The language
model is the tests' double of OpenAI's API, on loopback, which waits as long as it is told. Compared in the same run with
asking that double directly, through one client without the product in between.

Promised: an answer within two seconds, whatever the language model does.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pipeline import commit, machine, percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from imagetron_cli.embedded.ports import Ports
from imagetron_cli.embedded.stack import Stack
from support.openai_double import OpenAIDouble, an_openai_double

PROMISED_SECONDS = 2.0
CARD = {"intent": "homepage category card", "prompt": "simple saas ui"}


def a_completion() -> dict[str, Any]:
    """What the prompt service asks, without its instructions."""
    schema = {
        "type": "object",
        "properties": {"finalPrompt": {"type": "string"}},
        "required": ["finalPrompt"],
        "additionalProperties": False,
    }
    return {
        "model": "any",
        "messages": [{"role": "user", "content": '{"intent": "card", "prompt": "ui"}'}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "enhance", "strict": True, "schema": schema},
        },
    }


async def crowd(
    ask: Callable[[], Awaitable[httpx.Response]], callers: int, rounds: int
) -> tuple[list[float], set[int]]:
    """Seconds of every call, `callers` of them at once, and the statuses that came back."""

    async def timed() -> tuple[float, int]:
        began = time.monotonic()
        answer = await ask()
        return time.monotonic() - began, answer.status_code

    found = [one for _ in range(rounds) for one in await asyncio.gather(*(timed() for _ in range(callers)))]
    return [seconds for seconds, _ in found], {status for _, status in found}


def row(name: str, seconds: Sequence[float], statuses: set[int]) -> float:
    p99 = percentile(list(seconds), 0.99)
    figures = f"{percentile(list(seconds), 0.5):.3f} s | {p99:.3f} s | {max(seconds):.3f} s"
    print(f"| {name} ({len(seconds)}) | {figures} | {', '.join(map(str, sorted(statuses)))} |")
    return p99


async def measure(arguments: argparse.Namespace, double: OpenAIDouble) -> bool:
    environ = dict(os.environ) | {"OPENAI_API_KEY": double.api_key, "OPENAI_BASE_URL": double.base_url}
    with tempfile.TemporaryDirectory(prefix="imagetron-bench-") as folder:
        ports = Ports.from_base(arguments.port_base)
        stack = Stack(Path(folder), environ=environ, ports=ports, log_format="json")
        await stack.start()
        try:
            async with httpx.AsyncClient(timeout=30, headers={"Authorization": f"Bearer {double.api_key}"}) as http:

                async def enhance() -> httpx.Response:
                    return await http.post(f"{stack.url}/image/enhance-prompt", json=CARD)

                async def directly() -> httpx.Response:
                    return await http.post(f"{double.base_url}/chat/completions", json=a_completion())

                await crowd(enhance, arguments.callers, 2)
                print(f"commit {commit()}, {datetime.now(UTC):%Y-%m-%d}, {machine()}")
                print(
                    f"\n| {arguments.callers} callers at once | p50 | p99 | most | answers |\n| --- | --- | --- | --- | --- |"
                )
                double.slow(arguments.seconds)
                row(
                    f"the model itself, {arguments.seconds:g} s",
                    *await crowd(directly, arguments.callers, arguments.rounds),
                )
                good = row(
                    f"through the product, {arguments.seconds:g} s",
                    *await crowd(enhance, arguments.callers, arguments.rounds),
                )
                double.hang()
                hung = row("through the product, hanging", *await crowd(enhance, arguments.callers, arguments.rounds))
        finally:
            await stack.stop()
    kept = max(good, hung) < PROMISED_SECONDS
    print(f"\np99 below {PROMISED_SECONDS:g} s: {'yes' if kept else 'NO'}")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=20, help="at once")
    parser.add_argument("--rounds", type=int, default=15, help="of that many callers")
    parser.add_argument("--seconds", type=float, default=1.0, help="what the language model takes for an answer")
    parser.add_argument("--port-base", type=int, default=27500, help="first of the stack's ports")
    arguments = parser.parse_args()
    with an_openai_double() as double:
        sys.exit(0 if asyncio.run(measure(arguments, double)) else 1)


if __name__ == "__main__":
    main()
