"""Prints a line for each public event. Needs imagetron-contracts and aio-pika; stops after EVENTS_LIMIT events, if set.

AMQP_URL names the broker; `make up` prints that of its own.
"""

import asyncio
import os
import sys

import aio_pika

from imagetron_contracts import (
    EVENTS,
    Exchange,
    FamilyCompleted,
    UnreadableMessage,
    VariationCancelled,
    VariationCompleted,
    VariationEvent,
    VariationPartial,
    decode,
)


def urls_of(event: VariationEvent) -> list[str]:
    match event:
        case FamilyCompleted(public_url=master, derivatives=derivatives):
            return [master, *derivatives.values()]
        case (
            VariationCompleted(public_urls=families)
            | VariationPartial(partial_urls=families)
            | VariationCancelled(partial_urls=families)
        ):
            return [url for pictures in families.values() for url in pictures.values()]
        case _:
            return []


async def main() -> None:
    limit, handled = int(os.environ.get("EVENTS_LIMIT", "0")), set[str]()
    async with await aio_pika.connect_robust(os.environ["AMQP_URL"]) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        # Durable and named: events wait here while this program is away. Delete the queue when nobody needs it any more.
        queue = await channel.declare_queue("example.events", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(Exchange.EVENTS.value, routing_key="image.#")
        print("listening", file=sys.stderr, flush=True)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():  # acknowledged when the block ends, dropped when it raises
                    try:
                        event = decode(message.body, accept=EVENTS)
                    except UnreadableMessage as error:
                        print(error, file=sys.stderr, flush=True)
                        continue
                    if event.id not in handled and isinstance(event.data, VariationEvent):
                        handled.add(event.id)  # a real subscriber keeps the ids where it keeps its results
                        print(event.type, event.data.variation_id, len(urls_of(event.data)), flush=True)
                if len(handled) == limit:
                    break


asyncio.run(main())
