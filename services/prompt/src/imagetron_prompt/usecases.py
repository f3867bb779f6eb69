"""What the prompt service can do."""

from typing import Final

from imagetron_contracts.rpc import PromptsDescribed

OFFLINE: Final = "offline"


async def describe_prompts(*, service_version: str) -> PromptsDescribed:
    """Who answers, and from what."""
    return PromptsDescribed(service_version=service_version, source=OFFLINE)
