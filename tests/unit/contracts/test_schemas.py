"""The JSON Schemas that are made from the models: what an outsider's validator needs to know."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import Field

from imagetron_contracts.envelope import MESSAGE_TYPES, SCHEMA_URN
from imagetron_contracts.examples import EXAMPLES, example_envelope
from imagetron_contracts.json_schemas import DRAFT, ENVELOPE_SCHEMA, all_schemas, schema_of, shared_schemas
from imagetron_contracts.message import Value

SCHEMAS = all_schemas()
every_schema = pytest.mark.parametrize("name", SCHEMAS)


class Part(Value):
    """A part."""

    size: int


class Thing(Value):
    """A thing.

    With a second sentence.
    """

    first_word: str = Field(min_length=1)
    """What comes first."""
    note: str | None = None
    parts: tuple[Part, ...] = ()
    count: int = 3


def everything_in(schema: Any) -> list[Any]:
    if isinstance(schema, dict):
        return [schema, *(found for value in schema.values() for found in everything_in(value))]
    return [found for value in schema for found in everything_in(value)] if isinstance(schema, list) else [schema]


def test_there_is_one_schema_for_each_message_and_one_for_the_envelope():
    assert set(SCHEMAS) == {ENVELOPE_SCHEMA, *(message.schema_name() for message in MESSAGE_TYPES.values())}


@every_schema
def test_a_schema_is_valid_and_its_id_is_what_dataschema_says(name):
    Draft202012Validator.check_schema(SCHEMAS[name])

    assert SCHEMAS[name]["$schema"] == DRAFT
    assert SCHEMAS[name]["$id"] == SCHEMA_URN + name


@every_schema
def test_a_schema_has_a_title_and_a_description(name):
    assert SCHEMAS[name]["title"]
    assert SCHEMAS[name]["description"]


@every_schema
def test_no_schema_allows_null_because_nothing_without_a_value_travels(name):
    assert {"type": "null"} not in everything_in(SCHEMAS[name])
    assert None not in everything_in(SCHEMAS[name])


@every_schema
def test_a_schema_lets_fields_of_the_future_pass(name):
    assert SCHEMAS[name].get("additionalProperties", True) is not False


@pytest.mark.parametrize("message", MESSAGE_TYPES.values(), ids=lambda message: message.TYPE)
def test_the_example_of_every_message_is_valid(message):
    data = EXAMPLES[message].model_dump(mode="json", by_alias=True, exclude_none=True)

    Draft202012Validator(SCHEMAS[message.schema_name()]).validate(data)


def test_the_words_of_the_models_are_kept():
    schema = schema_of(Thing, "thing.v1")

    assert schema["title"] == "Thing"
    assert schema["description"] == "A thing.\n\nWith a second sentence."
    assert schema["properties"]["firstWord"] == {
        "description": "What comes first.",
        "minLength": 1,
        "type": "string",
    }
    assert schema["$defs"]["Part"]["description"] == "A part."


def test_a_default_is_kept_unless_it_is_nothing():
    properties = schema_of(Thing, "thing.v1")["properties"]

    assert properties["count"] == {"default": 3, "type": "integer"}
    assert properties["note"] == {"type": "string"}


def test_only_what_has_no_default_is_required():
    assert schema_of(Thing, "thing.v1")["required"] == ["firstWord"]


@pytest.mark.parametrize("sequence", ["0000000001", "9999999999"])
def test_a_sequence_of_ten_digits_is_valid(sequence):
    envelope = example_envelope(MESSAGE_TYPES["VARIATION_STARTED"]).model_dump(mode="json", exclude_none=True)

    Draft202012Validator(SCHEMAS[ENVELOPE_SCHEMA]).validate(envelope | {"sequence": sequence})


@pytest.mark.parametrize("sequence", [1, "1", None, "00000000001"])
def test_another_sequence_is_not_valid(sequence):
    envelope = example_envelope(MESSAGE_TYPES["VARIATION_STARTED"]).model_dump(mode="json", exclude_none=True)

    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMAS[ENVELOPE_SCHEMA]).validate(envelope | {"sequence": sequence})


def test_shared_schemas_hold_each_model_once_under_the_given_address():
    schemas = shared_schemas([Thing, Part], ref_template="#/somewhere/{model}")

    assert set(schemas) == {"Thing", "Part"}
    assert schemas["Thing"]["properties"]["parts"]["items"] == {"$ref": "#/somewhere/Part"}


def test_every_message_has_an_example():
    assert set(EXAMPLES) == set(MESSAGE_TYPES.values())
