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
    """The variation, which is one job: all its events have this id."""
    revision: int = Field(default=1, ge=1)
    """Which run of the variation: 1, and one more each time it is regenerated."""


class VariationStarted(VariationEvent):
    """The first family of a variation was handed to a generator."""

    TYPE: ClassVar[str] = "VARIATION_STARTED"
    ROUTING_KEY: ClassVar[str] = "image.variation.started.v1"
    name: str
    """The name that its pictures are served under."""
    family_count: int = Field(ge=1)
    """How many families were asked for."""


class PublishedImage(Value):
    """One image of a family: its URLs, or why it has none."""

    index: int = Field(ge=0)
    """The image's position in its family, from 0."""
    url: str | None = None
    """The master's URL. Absent if the image failed."""
    derivatives: dict[str, str] = Field(default_factory=dict)
    """Derivative name -> URL."""
    error: str | None = None
    """Why the image failed, in a sentence. Absent if it did not."""


class FamilyCompleted(VariationEvent):
    """A family's pictures are published. `publicUrl` is the master of the lowest good image; `images` has them all."""

    TYPE: ClassVar[str] = "FAMILY_COMPLETED"
    ROUTING_KEY: ClassVar[str] = "image.family.completed.v1"
    family_name: str
    """The family: square, landscape, ..."""
    public_url: str
    """The URL of the master of the lowest good image."""
    derivatives: dict[str, str] = Field(default_factory=dict)
    """Derivative name -> URL, of that same image."""
    images: tuple[PublishedImage, ...] = ()
    """Every image of the family, the failed ones too."""
    derivation: int | None = Field(default=None, ge=1)
    """How often the same renders were cut again: the URLs are new. Absent: the first cutting."""


class FamilyFailed(VariationEvent):
    """No picture of this family could be made. Others of the same variation may still succeed."""

    TYPE: ClassVar[str] = "FAMILY_FAILED"
    ROUTING_KEY: ClassVar[str] = "image.family.failed.v1"
    family_name: str
    """The family: square, landscape, ..."""
    stage: Stage
    """Where it failed."""
    code: FailureCode
    """Why it failed: a stable word that programs may switch on."""
    message: str
    """Why it failed, in a sentence."""
    retryable: bool
    """Whether asking again can help."""


class VariationCompleted(VariationEvent):
    """Every family is published. `publicUrls`: family -> picture name -> URL; a master has its family's name."""

    TYPE: ClassVar[str] = "VARIATION_COMPLETED"
    ROUTING_KEY: ClassVar[str] = "image.variation.completed.v1"
    name: str
    """The name that its pictures are served under."""
    category: str
    """The category that its owner gave it."""
    public_urls: dict[str, dict[str, str]]
    """Family -> picture name -> URL. A master has its family's name."""


class VariationPartial(VariationEvent):
    """Some families are published, others failed. `errors`: family -> message."""

    TYPE: ClassVar[str] = "VARIATION_PARTIAL"
    ROUTING_KEY: ClassVar[str] = "image.variation.partial.v1"
    partial_urls: dict[str, dict[str, str]]
    """Family -> picture name -> URL, of the families that succeeded."""
    errors: dict[str, str]
    """Family -> why it failed, in a sentence."""


class VariationFailed(VariationEvent):
    """All families failed."""

    TYPE: ClassVar[str] = "VARIATION_FAILED"
    ROUTING_KEY: ClassVar[str] = "image.variation.failed.v1"
    error_message: str
    """Why nothing was made, in a sentence."""
    errors: dict[str, str] = Field(default_factory=dict)
    """Family -> why it failed, in a sentence."""


class VariationCancelled(VariationEvent):
    """Somebody cancelled it; what was already published stays readable."""

    TYPE: ClassVar[str] = "VARIATION_CANCELLED"
    ROUTING_KEY: ClassVar[str] = "image.variation.cancelled.v1"
    partial_urls: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Family -> picture name -> URL, of what was published before."""


EVENTS: Final[tuple[type[Message], ...]] = (
    VariationStarted,
    FamilyCompleted,
    FamilyFailed,
    VariationCompleted,
    VariationPartial,
    VariationFailed,
    VariationCancelled,
)
