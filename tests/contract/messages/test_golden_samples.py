"""Yesterday's bytes. The files in golden/ are never made again: a type that changes gets further samples, not other ones.

A new message type needs a folder named for its schema, with a full and a minimal body of its envelope.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from imagetron_contracts.envelope import MESSAGE_TYPES, Envelope, decode
from imagetron_contracts.events import EVENTS, FamilyCompleted, PublishedImage, VariationCompleted
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.json_schemas import ENVELOPE_SCHEMA
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.rpc import RPC
from imagetron_contracts.stages import (
    DerivativesRendered,
    FamilyRequested,
    FamilyStarted,
    ImageError,
    Lane,
    RendersGenerated,
)
from imagetron_contracts.topology import routing_keys

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = sorted(GOLDEN.glob("*/*.json"))
SCHEMAS = Path(__file__).parents[3] / "libs/contracts/src/imagetron_contracts/schemas"
# The words that a prompt could hide under, whatever their spelling on the wire.
FORBIDDEN = ("prompt", "caption", "intent")

every_sample = pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def sample(name: str) -> Envelope:
    return decode((GOLDEN / name).read_bytes())


def names_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


def with_additions(value: dict[str, Any]) -> dict[str, Any]:
    """The same object with fields of the future, and so all objects in its lists. Its maps have no fields to add."""
    grown = {
        name: [with_additions(item) if isinstance(item, dict) else item for item in inner]
        if isinstance(inner, list)
        else inner
        for name, inner in value.items()
    }
    return grown | {"addedLater": {"deep": [1, None]}, "another": "word"}


@pytest.mark.parametrize("message", MESSAGE_TYPES.values(), ids=lambda message: message.TYPE)
def test_every_message_type_has_a_full_and_a_minimal_sample(message):
    names = {path.stem for path in (GOLDEN / message.schema_name()).glob("*.json")}

    assert {"full", "minimal"} <= names


def test_every_folder_of_samples_belongs_to_a_message_type():
    assert {path.parent.name for path in SAMPLES} == {message.schema_name() for message in MESSAGE_TYPES.values()}


def test_every_routing_key_has_a_sample():
    used = {decode(path.read_bytes()).data.routing_key() for path in SAMPLES}

    assert used == {key for message in MESSAGE_TYPES.values() for key in routing_keys(message)}


@every_sample
def test_yesterdays_bytes_still_parse_to_the_type_they_were_made_from(path):
    envelope = decode(path.read_bytes())

    assert envelope.data.schema_name() == path.parent.name
    assert envelope.id == read(path)["id"]


@every_sample
def test_reading_and_writing_a_sample_gives_the_same_json(path):
    assert json.loads(decode(path.read_bytes()).encode()) == read(path)


@every_sample
def test_fields_that_the_reader_does_not_know_are_ignored(path):
    body = read(path)
    grown = with_additions(body) | {"data": with_additions(body["data"])}

    assert decode(json.dumps(grown).encode()) == decode(path.read_bytes())


@every_sample
def test_what_the_schema_does_not_require_may_be_missing(path):
    body = read(path)
    required = set(read(SCHEMAS / f"{path.parent.name}.json").get("required", []))
    bare = {name: value for name, value in body["data"].items() if name in required}

    envelope = decode(json.dumps(body | {"data": bare}).encode())

    assert {name: value for name, value in json.loads(envelope.encode())["data"].items() if name in required} == bare


@every_sample
def test_samples_are_valid_by_the_committed_schemas(path):
    body = read(path)

    for value, schema in ((body, ENVELOPE_SCHEMA), (body["data"], path.parent.name)):
        definition = read(SCHEMAS / f"{schema}.json")
        Draft202012Validator.check_schema(definition)
        Draft202012Validator(definition, format_checker=FormatChecker()).validate(value)


@every_sample
def test_dataschema_is_the_id_of_the_committed_schema(path):
    assert read(path)["dataschema"] == read(SCHEMAS / f"{path.parent.name}.json")["$id"]


@every_sample
def test_no_attribute_without_a_value_is_on_the_wire(path):
    assert "null" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [path for path in SAMPLES if not any(path.parent.name == m.schema_name() for m in RPC)]
)
def test_no_event_and_no_stage_message_has_a_field_for_a_prompt(path):
    schema = read(SCHEMAS / f"{path.parent.name}.json")
    names = names_in(read(path)) | names_in(schema)

    assert [name for name in names for word in FORBIDDEN if word in name.lower()] == []


def test_a_full_public_event_is_read_with_every_value():
    envelope = sample("variation-completed.v1/full.json")

    address = "https://cdn.example.com/0190a5b7-3c4d-7e8f-a1b2-c3d4e5f60718/"
    hero, landscape = "7d793037a0760186574b0282f2f435e7" * 2, "5d41402abc4b2a76b9719d911017c592" * 2
    assert envelope.data == VariationCompleted(
        variation_id="0190a5b7-3c4d-7e8f-a1b2-c3d4e5f60718",
        revision=2,
        name="été-à-la-plage",
        category="marketing/seo",
        public_urls={
            "landscape": {"landscape": f"{address}{landscape}.webp", "hero": f"{address}{hero}.webp"},
            "square": {"square": f"{address}{'c' * 64}.png"},
        },
    )
    assert (envelope.sequence, envelope.try_count) == (4, 3)
    assert envelope.time == datetime(2026, 1, 15, 8, 5, 9, 250_000, tzinfo=UTC)
    assert envelope.correlationid == envelope.subject == "0190a5b7-3c4d-7e8f-a1b2-c3d4e5f60718"
    assert envelope.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_completed_family_names_the_good_and_the_bad_images():
    data = sample("family-completed.v1/full.json").data

    assert isinstance(data, FamilyCompleted)
    assert data.images[0].error is None
    assert data.images[1] == PublishedImage(index=1, error="The GPU had no memory left for image 1.")
    assert data.public_url == data.images[0].url


def test_a_full_stage_message_is_read_with_every_value():
    data = sample("renders-generated.v1/full.json").data

    assert isinstance(data, RendersGenerated)
    assert data.errors == (ImageError(index=2, code=FailureCode.OUT_OF_MEMORY, message=data.errors[0].message),)
    assert [(image.index, image.seed) for image in data.images] == [(0, 18446744073709551615), (4, 0)]
    assert data.images[0].size == Dimensions(width=1344, height=768)
    assert (data.served_by, data.model_seconds) == ("preview", 2.125)


def test_words_and_times_are_read_as_the_values_they_stand_for():
    derived = sample("derivatives-rendered.v1/full.json").data
    started = sample("family-started.v1/full.json").data
    requested = sample("family-requested.v1/minimal.json").data

    assert isinstance(derived, DerivativesRendered)
    assert [file.format for file in derived.images[0].files] == [ImageFormat.WEBP, ImageFormat.JPEG]
    assert isinstance(started, FamilyStarted)
    assert started.started_at == datetime(2026, 1, 15, 8, 5, 9, 250_000, tzinfo=UTC)
    assert isinstance(requested, FamilyRequested)
    assert requested.lane is Lane.BATCH


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_a_public_event_has_one_routing_key_with_its_major_version(event):
    assert routing_keys(event) == (event.ROUTING_KEY,)
    assert event.ROUTING_KEY.endswith(f".v{event.MAJOR}")
