"""Who answers, and from what."""

from imagetron_contracts.rpc import DescribePrompts, PromptsDescribed, Source


async def describe_prompts(
    _: DescribePrompts, *, service_version: str, model: str | None, statuses: tuple[str, ...]
) -> PromptsDescribed:
    """Who answers: a language model, or without one our own templates."""
    source = Source.OFFLINE if model is None else Source.MODEL
    return PromptsDescribed(service_version=service_version, source=source.value, model=model, statuses=statuses)
