"""The public events, for every subscriber: frozen models, published by the gateway on `imagetron.events`.

Payload names are a contract: they are only ever added to. A removal or a change of meaning is a new major version,
published beside the old one until nobody binds the old routing key.
"""

from typing import ClassVar, Final

from pydantic import Field

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.ids import JobId
from imagetron_contracts.message import Message, Value


class VariationEvent(Message):
    """What all public events say: which variation, and which run of it (regenerating starts the next revision)."""

    variation_id: JobId
    revision: int = Field(default=1, ge=1)


class VariationStarted(VariationEvent):
    """The first family of a variation was handed to a generator."""

    TYPE: ClassVar[str] = "VARIATION_STARTED"
    ROUTING_KEY: ClassVar[str] = "image.variation.started.v1"
    name: str
    family_count: int = Field(ge=1)


class PublishedImage(Value):
    """One image of a family: its URLs, or why it has none."""

    index: int = Field(ge=0)
    url: str | None = None
    derivatives: dict[str, str] = Field(default_factory=dict)
    error: str | None = None


class FamilyCompleted(VariationEvent):
    """A family's pictures are published. `publicUrl` is the master of the lowest good image; `images` has them all."""

    TYPE: ClassVar[str] = "FAMILY_COMPLETED"
    ROUTING_KEY: ClassVar[str] = "image.family.completed.v1"
    family_name: str
    public_url: str
    derivatives: dict[str, str] = Field(default_factory=dict)
    images: tuple[PublishedImage, ...] = ()


class FamilyFailed(VariationEvent):
    """No picture of this family could be made. Others of the same variation may still succeed."""

    TYPE: ClassVar[str] = "FAMILY_FAILED"
    ROUTING_KEY: ClassVar[str] = "image.family.failed.v1"
    family_name: str
    stage: Stage
    code: FailureCode
    message: str
    retryable: bool


class VariationCompleted(VariationEvent):
    """Every family is published. `publicUrls`: family -> picture name -> URL; a master has its family's name."""

    TYPE: ClassVar[str] = "VARIATION_COMPLETED"
    ROUTING_KEY: ClassVar[str] = "image.variation.completed.v1"
    name: str
    category: str
    public_urls: dict[str, dict[str, str]]


class VariationPartial(VariationEvent):
    """Some families are published, others failed. `errors`: family -> message."""

    TYPE: ClassVar[str] = "VARIATION_PARTIAL"
    ROUTING_KEY: ClassVar[str] = "image.variation.partial.v1"
    partial_urls: dict[str, dict[str, str]]
    errors: dict[str, str]


class VariationFailed(VariationEvent):
    """All families failed."""

    TYPE: ClassVar[str] = "VARIATION_FAILED"
    ROUTING_KEY: ClassVar[str] = "image.variation.failed.v1"
    error_message: str
    errors: dict[str, str] = Field(default_factory=dict)


class VariationCancelled(VariationEvent):
    """Somebody cancelled it; what was already published stays readable."""

    TYPE: ClassVar[str] = "VARIATION_CANCELLED"
    ROUTING_KEY: ClassVar[str] = "image.variation.cancelled.v1"
    partial_urls: dict[str, dict[str, str]] = Field(default_factory=dict)


EVENTS: Final[tuple[type[Message], ...]] = (
    VariationStarted,
    FamilyCompleted,
    FamilyFailed,
    VariationCompleted,
    VariationPartial,
    VariationFailed,
    VariationCancelled,
)
