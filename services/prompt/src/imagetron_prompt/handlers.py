"""Inbound: requests over the broker."""

from imagetron_chassis.broker import Broker
from imagetron_chassis.delivery import Facts
from imagetron_chassis.rpc import serve
from imagetron_contracts.message import Message
from imagetron_contracts.topology import PROMPT_DESCRIBE
from imagetron_prompt.usecases import describe_prompts


def serve_requests(broker: Broker, facts: Facts, *, service_version: str) -> None:
    """Answer every kind of request."""

    async def on_describe_prompts(_: Message) -> Message:
        return await describe_prompts(service_version=service_version)

    serve(broker, facts, PROMPT_DESCRIBE, on_describe_prompts)
