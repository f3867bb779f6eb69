"""The CloudEvents 1.0 envelope in structured JSON, and the one way to read and write it. No broker headers."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    ValidationError,
)

from imagetron_contracts.events import EVENTS
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import RPC
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES

CONTENT_TYPE: Final = "application/cloudevents+json"
SCHEMA_URN: Final = "urn:imagetron:schema:"
MESSAGE_TYPES: Final[dict[str, type[Message]]] = {
    message.TYPE: message for message in (*EVENTS, *STAGE_MESSAGES, *HINTS, *RPC)
}

# The CloudEvents `sequence` extension is a string that sorts; ten digits outlast any job.
Sequence = Annotated[
    int | None,
    BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.isdecimal() else value),
    PlainSerializer(lambda value: None if value is None else f"{value:010d}", return_type=str | None),
]


class UnreadableMessage(ValueError):
    """The bytes are not a message that this reader knows; the sentence says why and holds no message content."""


class Envelope(BaseModel):
    """One message on its way. Attribute names are CloudEvents' own; `data` is typed."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    type: str
    subject: str | None = None
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    traceparent: str | None = None
    correlationid: str | None = None
    """The job that this is about."""
    causationid: str | None = None
    """The id of the message that led to this one."""
    sequence: Sequence = None
    """The position among the job's public events, dense and increasing."""
    try_count: int = Field(default=1, ge=1, alias="try")
    """How often this message was handed to its consumer, written by the consumer wrapper alone."""
    data: SerializeAsAny[Message]

    @classmethod
    def wrap(cls, data: Message, *, message_id: str, source: str, time: datetime, job_id: str | None = None) -> Self:
        """An envelope for new data; trace, cause and sequence are added with `model_copy`."""
        return cls(
            id=message_id,
            source=source,
            type=data.TYPE,
            subject=job_id,
            time=time.astimezone(UTC),
            dataschema=SCHEMA_URN + data.schema_name(),
            correlationid=job_id,
            data=data,
        )

    def encode(self) -> bytes:
        """The JSON body. Attributes without a value are left out, as CloudEvents wants."""
        attributes: dict[str, Any] = self.model_dump(mode="json", exclude={"data"}, exclude_none=True)
        attributes["data"] = self.data.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: bytes, *, accept: Iterable[type[Message]] | None = None) -> Envelope:
    """Read a body. Raises UnreadableMessage on broken JSON, unknown types, newer majors, data that breaks its schema.

    With `accept`, other known types are unreadable too.
    """
    try:
        raw = _RawEnvelope.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableMessage(f"not a CloudEvents 1.0 envelope: {_without_content(error)}") from None
    known = MESSAGE_TYPES if accept is None else {message.TYPE: message for message in accept}
    message_type = known.get(raw.type)
    if message_type is None:
        raise UnreadableMessage(f"unknown message type {raw.type[:80]!r}; this reader knows {', '.join(known)}")
    if raw.dataschema != (expected := SCHEMA_URN + message_type.schema_name()):
        raise UnreadableMessage(f"{raw.type} has dataschema {raw.dataschema[:120]!r}; this reader knows {expected!r}")
    try:
        data = message_type.model_validate(raw.data)
    except ValidationError as error:
        raise UnreadableMessage(f"{raw.type} breaks its schema: {_without_content(error)}") from None
    attributes = {name: getattr(raw, name) for name in Envelope.model_fields if name != "data"}
    return Envelope(**attributes, data=data)


class _RawEnvelope(Envelope):
    """An envelope whose data is not typed yet."""

    data: dict[str, Any]  # type: ignore[assignment]


def _without_content(error: ValidationError) -> str:
    """Where and what, never the value: messages may carry what must not reach a log."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['type']}" for problem in problems[:5])
