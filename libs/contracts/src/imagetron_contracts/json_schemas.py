"""JSON Schemas (draft 2020-12) of the envelope and of all messages, made from the models. No files are written here."""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from imagetron_contracts.envelope import MESSAGE_TYPES, SCHEMA_URN, UntypedEnvelope

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE_SCHEMA: Final = "envelope.v1"


class WireSchema(GenerateJsonSchema):
    """What really travels: an attribute without a value is left out, so there is no null; titles name models only."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if key != "default" or value is not None}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's own signature
        return False


def schema_of(model: type[BaseModel], name: str) -> Schema:
    """The schema file of one model; its `$id` is what the envelope's `dataschema` says."""
    schema = model.model_json_schema(by_alias=True, schema_generator=WireSchema, mode="validation")
    return {"$schema": DRAFT, "$id": SCHEMA_URN + name, **schema}


def all_schemas() -> dict[str, Schema]:
    """Schema name -> schema, of the envelope and of every message type."""
    messages = {message.schema_name(): schema_of(message, message.schema_name()) for message in MESSAGE_TYPES.values()}
    return {ENVELOPE_SCHEMA: schema_of(UntypedEnvelope, ENVELOPE_SCHEMA), **messages}


def shared_schemas(models: Iterable[type[BaseModel]], *, ref_template: str) -> dict[str, Schema]:
    """Model name -> schema, of these models and of all that they use, for a document that holds several."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in models],
        by_alias=True,
        ref_template=ref_template,
        schema_generator=WireSchema,
    )
    definitions: dict[str, Schema] = schemas["$defs"]
    return definitions
