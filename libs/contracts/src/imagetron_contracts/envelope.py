"""The CloudEvents 1.0 envelope in structured JSON, and the one way to read and write it. No broker headers."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import from_json, to_json

from imagetron_contracts.events import EVENTS
from imagetron_contracts.message import Message, Value
from imagetron_contracts.rpc import RPC
from imagetron_contracts.stages import HINTS, STAGE_MESSAGES

CONTENT_TYPE: Final = "application/cloudevents+json"
SCHEMA_URN: Final = "urn:imagetron:schema:"
MESSAGE_TYPES: Final[dict[str, type[Message]]] = {
    message.TYPE: message for message in (*EVENTS, *STAGE_MESSAGES, *HINTS, *RPC)
}

MAX_BODY_BYTES: Final = 65_536
"""Pictures and specs travel as keys: a bigger body is a mistake or an attack, and is not even parsed."""

# The CloudEvents `sequence` extension is a string that sorts; ten digits outlast any job.
Sequence = Annotated[
    Annotated[int, Field(ge=0, le=9_999_999_999)] | None,
    PlainSerializer(lambda value: None if value is None else f"{value:010d}", return_type=str | None),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{10}$"}),
]


class UnreadableMessage(ValueError):
    """The bytes are not a message that this reader knows; the sentence says why and holds no message content."""


class Envelope(BaseModel):
    """One message on its way. Attribute names are CloudEvents' own; `data` is typed."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True, use_attribute_docstrings=True
    )

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    """The same fact has the same id, however often it is delivered: drop what you have seen."""
    source: str = Field(min_length=1)
    """The service that says so."""
    type: str
    """What happened, in one word: VARIATION_STARTED."""
    subject: str | None = None
    """The job that this is about; a variation's id is its job's id."""
    time: AwareDatetime
    """When it happened."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    """The name of the schema of `data`, major version included."""
    traceparent: str | None = None
    """The W3C trace context of the work that led here."""
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
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableMessage(f"a body of {len(body)} bytes: messages have at most {MAX_BODY_BYTES}")
    try:
        raw = UntypedEnvelope.model_validate_json(body)
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


def with_try(body: bytes, try_count: int) -> bytes:
    """A body that `decode` took, with another `try` and nothing else changed: what this reader does not know stays.

    A consumer that sends a message back must not write it from its own models: in the middle of a rollout they may be
    older than the message, and the fields that they ignored would be gone for whoever gets it next.
    """
    # The parser that `decode` uses: what that could read, this can.
    attributes: dict[str, Any] = from_json(body)
    return to_json(attributes | {"try": try_count})


class UntypedEnvelope(Envelope):
    """The CloudEvents envelope of every message; what `data` holds is said by `type` and `dataschema`."""

    model_config = ConfigDict(title="Envelope")
    specversion: Literal["1.0"]
    data: dict[str, Any]  # type: ignore[assignment]
    """The fact itself."""


def _without_content(error: ValidationError) -> str:
    """Where and what, never a value or a map's key: messages may carry what must not reach a log."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_place(problem['loc'])}: {problem['type']}" for problem in problems[:5])


def _place(location: tuple[int | str, ...]) -> str:
    known = _wire_names()
    return ".".join(str(step) if isinstance(step, int) or step in known else "*" for step in location) or "body"


@cache
def _wire_names() -> frozenset[str]:
    models: tuple[type[BaseModel], ...] = (UntypedEnvelope, *_kinds_of(Value))
    return frozenset(field.alias or name for model in models for name, field in model.model_fields.items())


def _kinds_of(model: type[Value]) -> Iterator[type[Value]]:
    yield model
    for kind in model.__subclasses__():
        yield from _kinds_of(kind)
