"""Prints a line for each public event while it runs. Needs aio-pika alone; stops after EVENTS_LIMIT events, if set.

AMQP_URL names the broker; `make up` prints that of its own.
"""

import asyncio
import json
import os
import sys

import aio_pika


def urls_in(data: object) -> set[str]:
    if isinstance(data, dict | list):
        return set[str]().union(*map(urls_in, data.values() if isinstance(data, dict) else data))
    return {data} if isinstance(data, str) and data.startswith(("http://", "https://")) else set()


async def main() -> None:
    limit, handled = int(os.environ.get("EVENTS_LIMIT", "0")), set[str]()
    async with await aio_pika.connect_robust(os.environ["AMQP_URL"]) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        # Exclusive: this one only watches. Its queue goes with its connection, and nothing piles up while it is away.
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("imagetron.events", routing_key="image.#")
        print("listening", file=sys.stderr, flush=True)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():  # acknowledged when the block ends, dropped when it raises
                    event = json.loads(message.body)
                    if event["id"] not in handled:
                        handled.add(event["id"])
                        print(event["type"], event["data"]["variationId"], len(urls_in(event["data"])), flush=True)
                if len(handled) == limit:
                    break


asyncio.run(main())
