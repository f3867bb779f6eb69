"""What all messages have in common: type, routing key, major version, camelCase on the wire. No message lives here."""

import uuid
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Value(BaseModel):
    """Data on the wire: immutable, camelCase. Readers ignore fields they do not know; producers may add some."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,  # JSON has neither
        use_attribute_docstrings=True,
    )


class Message(Value):
    """The `data` of one envelope. A subclass is one fact or request; its class variables say how it travels."""

    TYPE: ClassVar[str]
    ROUTING_KEY: ClassVar[str]
    MAJOR: ClassVar[int] = 1

    def routing_key(self) -> str:
        """Where this message goes on its exchange."""
        return self.ROUTING_KEY

    def message_id(self) -> str:
        """A new id, unless a subclass can tell a repeat from news and gives both the same one."""
        return str(uuid.uuid4())

    @classmethod
    def schema_name(cls) -> str:
        """The name of its schema file and the tail of its `dataschema`: family-completed.v1."""
        return f"{cls.TYPE.lower().replace('_', '-')}.v{cls.MAJOR}"
