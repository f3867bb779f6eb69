"""Requests to the prompt service and its replies: the only messages that may carry prompts, hence short-lived."""

from typing import ClassVar, Final

from imagetron_contracts.message import Message


class DescribePrompts(Message):
    """Who answers prompt requests, and from what?"""

    TYPE: ClassVar[str] = "DESCRIBE_PROMPTS"
    ROUTING_KEY: ClassVar[str] = "prompt.describe"


class PromptsDescribed(Message):
    """The prompt service's answer about itself. `source` is `offline` until a language model is configured."""

    TYPE: ClassVar[str] = "PROMPTS_DESCRIBED"
    ROUTING_KEY: ClassVar[str] = "prompt.described"
    service_version: str
    source: str


class RequestRefused(Message):
    """The request could not be answered; the sentence says why."""

    TYPE: ClassVar[str] = "REQUEST_REFUSED"
    ROUTING_KEY: ClassVar[str] = "prompt.refused"
    message: str
    retryable: bool


RPC: Final[tuple[type[Message], ...]] = (DescribePrompts, PromptsDescribed, RequestRefused)
