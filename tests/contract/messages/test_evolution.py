"""Old and new messages mixed, as in the middle of a rollout or of a rollback: the last release meets this one.

The last release's reader is built from baseline/ alone, without our models: it checks what it gets against its schemas
and keeps what they name. The last release's producer sent no more than those schemas require. What a next release may
send is today's samples with everything that it may add.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from imagetron_contracts.envelope import MESSAGE_TYPES, SCHEMA_URN, Envelope, UnreadableMessage, decode, with_try
from imagetron_contracts.json_schemas import ENVELOPE_SCHEMA

Json = dict[str, Any]
Place = tuple[str | int, ...]

HERE: Final = Path(__file__).parent
BASELINE: Final[dict[str, Json]] = {
    path.name.removesuffix(".json"): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((HERE / "baseline").glob("*.json"))
}
SAMPLES: Final = sorted((HERE / "golden").glob("*/*.json"))
# A value of every kind that JSON has: what is added may be anything.
ADDITIONS: Final = ("word", 7, 0.5, True, None, [1, {"a": []}], {"deep": {"er": [None]}})
NEWER_MAJORS: Final = ("v2", "v10", "v1.1", "v0", "v", "v01", "V1")

every_sample = pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
samples_of_the_baseline = pytest.mark.parametrize(
    "path",
    [path for path in SAMPLES if path.parent.name in BASELINE],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)


class Refused(Exception):
    """The last release's reader would put this message aside."""


class LastRelease:
    """A reader as another team may have written it from the last release's schemas."""

    def __init__(self) -> None:
        self._known = {name.rpartition(".v")[0].replace("-", "_").upper(): name for name in BASELINE}

    def read(self, body: bytes) -> Json:
        """The envelope with its data: the attributes and fields that this reader knows. Raises Refused."""
        raw = json.loads(body)
        self._check(raw, BASELINE[ENVELOPE_SCHEMA])
        name = self._known.get(raw["type"])
        if name is None or raw["dataschema"] != SCHEMA_URN + name:
            raise Refused(f"{raw['type']} {raw['dataschema']}")
        self._check(raw["data"], BASELINE[name])
        attributes: Json = known_part(raw, BASELINE[ENVELOPE_SCHEMA])
        return attributes | {"data": known_part(raw["data"], BASELINE[name])}

    @staticmethod
    def _check(value: Any, schema: Json) -> None:
        try:
            Draft202012Validator(schema, format_checker=FormatChecker()).validate(value)
        except ValidationError as error:
            raise Refused(error.message) from None


@dataclass(frozen=True, slots=True)
class Record:
    """An object of a sample that has named fields, as opposed to a map."""

    place: Place
    schema: Json
    """Of the last release; empty for what that did not know."""


def records(value: Any, schema: Json, root: Json, place: Place = ()) -> Iterator[Record]:
    """Every record of a value, from the outside in."""
    schema = resolved(schema, root)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from records(item, schema.get("items", {}), root, (*place, index))
    elif isinstance(value, dict) and "properties" in schema:
        yield Record(place, schema)
        for name, inner in value.items():
            yield from records(inner, schema["properties"].get(name, {}), root, (*place, name))


def known_part(value: Any, schema: Json, root: Json | None = None) -> Any:
    """What a reader that knows only this schema keeps of a value."""
    root = schema if root is None else root
    schema = resolved(schema, root)
    if isinstance(value, list):
        return [known_part(item, schema.get("items", {}), root) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        fields = schema["properties"]
        return {name: known_part(inner, fields[name], root) for name, inner in value.items() if name in fields}
    return value


def resolved(schema: Json, root: Json) -> Json:
    reference = schema.get("$ref")
    return root["$defs"][reference.removeprefix("#/$defs/")] if reference else schema


def at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def read(path: Path) -> Json:
    content: Json = json.loads(path.read_text(encoding="utf-8"))
    return content


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def records_of(path: Path) -> list[Record]:
    """The envelope's data and every record in it, by the schema of the last release."""
    schema = BASELINE[path.parent.name]
    return list(records(read(path)["data"], schema, schema))


def with_only_what_is_required(path: Path) -> Json:
    """The sample as a producer of the last release may have sent it: without anything optional at any level."""
    body = read(path)
    for record in reversed(records_of(path)):
        inside = at(body["data"], record.place)
        for name in set(inside) - set(record.schema.get("required", ())):
            del inside[name]
    required = BASELINE[ENVELOPE_SCHEMA]["required"]
    return {name: value for name, value in body.items() if name in required}


def types_of_tomorrow(body: Json) -> Mapping[str, Json]:
    """Messages that look almost like one that is known, and are not."""
    schema = body["dataschema"]
    name = schema.removeprefix(SCHEMA_URN).rpartition(".")[0]
    newer = {version: body | {"dataschema": f"{SCHEMA_URN}{name}.{version}"} for version in NEWER_MAJORS}
    others = {
        "a new type": body | {"type": "VARIATION_ARCHIVED", "dataschema": f"{SCHEMA_URN}variation-archived.v1"},
        "a new type under a known schema": body | {"type": "VARIATION_ARCHIVED"},
        "a known type under a new schema": body | {"dataschema": f"{SCHEMA_URN}variation-archived.v1"},
        "a known schema of other origin": body | {"dataschema": schema.removeprefix(SCHEMA_URN)},
        "a type in other letters": body | {"type": body["type"].lower()},
        "a new kind of envelope": body | {"specversion": "2.0"},
        "data of another kind": body | {"datacontenttype": "application/xml"},
    }
    return newer | others


@samples_of_the_baseline
def test_the_last_release_reads_what_this_one_writes_with_the_same_meaning(path):
    body = read(path)
    old = BASELINE[path.parent.name]

    understood = LastRelease().read(decode(written(body)).encode())

    assert understood == known_part(body, BASELINE[ENVELOPE_SCHEMA]) | {"data": known_part(body["data"], old)}


@pytest.mark.parametrize(
    "path", [path for path in SAMPLES if path.parent.name not in BASELINE], ids=lambda path: path.parent.name
)
def test_the_last_release_refuses_a_message_that_it_does_not_know(path):
    with pytest.raises(Refused):
        LastRelease().read(written(read(path)))


@samples_of_the_baseline
@pytest.mark.parametrize("addition", ADDITIONS, ids=repr)
def test_a_field_that_a_next_release_adds_to_any_object_changes_nothing_for_readers(path, addition):
    body = read(path)
    today, yesterday = decode(written(body)), LastRelease().read(written(body))

    for record in records_of(path):
        grown = read(path)
        at(grown["data"], record.place)["addedLater"] = addition

        assert decode(written(grown)) == today, record.place
        assert LastRelease().read(written(grown)) == yesterday, record.place


@samples_of_the_baseline
@pytest.mark.parametrize("addition", ADDITIONS, ids=repr)
def test_an_attribute_that_a_next_release_adds_to_the_envelope_changes_nothing_for_readers(path, addition):
    body = read(path)
    grown = written(body | {"addedlater": addition})

    assert decode(grown) == decode(written(body))
    assert LastRelease().read(grown) == LastRelease().read(written(body))


@samples_of_the_baseline
def test_this_release_reads_what_the_last_one_wrote_without_anything_optional(path):
    bare = with_only_what_is_required(path)

    envelope = decode(written(bare))

    again = json.loads(envelope.encode())
    schema = BASELINE[path.parent.name]
    assert {name: again[name] for name in bare if name != "data"} == {
        name: value for name, value in bare.items() if name != "data"
    }
    assert without_what_is_not_in(again["data"], bare["data"]) == bare["data"]
    assert LastRelease().read(envelope.encode())["data"] == known_part(again["data"], schema)


@samples_of_the_baseline
def test_what_was_optional_is_read_as_absent_and_never_made_up(path):
    """A default may be filled in where the last release wrote it down, and nowhere else."""
    bare = with_only_what_is_required(path)

    again = json.loads(decode(written(bare)).encode())["data"]

    for record in (record for record in records_of(path) if is_there(bare["data"], record.place)):
        filled_in = set(at(again, record.place)) - set(at(bare["data"], record.place))
        for name in filled_in:
            agreed = record.schema["properties"][name]
            # A map that is not there has nothing in it.
            nothing = {} if agreed["type"] == "object" else "nothing that may be filled in"
            assert at(again, record.place)[name] == agreed.get("default", nothing)


@every_sample
def test_types_and_majors_of_tomorrow_are_refused_and_never_half_understood(path):
    """Their data would fit: only the names say that it means something else."""
    for body in types_of_tomorrow(read(path)).values():
        with pytest.raises(UnreadableMessage):
            decode(written(body))
        with pytest.raises(Refused):
            LastRelease().read(written(body))


@every_sample
def test_a_consumer_of_one_type_refuses_every_other_type(path):
    own = next(message for message in MESSAGE_TYPES.values() if message.schema_name() == path.parent.name)

    assert decode(path.read_bytes(), accept=[own]).data.TYPE == own.TYPE
    with pytest.raises(UnreadableMessage):
        decode(path.read_bytes(), accept=[message for message in MESSAGE_TYPES.values() if message is not own])


def test_messages_of_tomorrow_do_no_harm_to_their_neighbours():
    """One stream with both kinds in turn: what is known is read, what is not is put aside, and order stays."""
    stream: list[bytes] = []
    for path in SAMPLES:
        stream += [path.read_bytes(), *(written(body) for body in types_of_tomorrow(read(path)).values())]

    understood = [envelope.id for envelope in (read_or_none(body) for body in stream) if envelope]

    assert understood == [read(path)["id"] for path in SAMPLES]


@samples_of_the_baseline
def test_a_word_that_the_last_release_did_not_have_is_refused_by_it_and_not_guessed(path):
    """Why new enum values need a new major: an old reader cannot skip one, it can only put the message aside."""
    root = BASELINE[path.parent.name]
    for record in records_of(path):
        for name, field in record.schema["properties"].items():
            body = read(path)
            inside = at(body["data"], record.place)
            if "enum" in resolved(field, root) and name in inside:
                inside[name] = "of_tomorrow"
                with pytest.raises(Refused):
                    LastRelease().read(written(body))
                with pytest.raises(UnreadableMessage):
                    decode(written(body))


@samples_of_the_baseline
def test_a_message_that_an_older_service_sends_back_keeps_what_that_does_not_know(path):
    """The older service reads it, fails for now, and puts it into a delay queue; the next to get it may be newer."""
    body = read(path) | {"addedlater": "kept"}
    for record in records_of(path):
        at(body["data"], record.place)["addedLater"] = {"kept": [1, 0.5, None, "日没"]}
    first = decode(written(body))

    again = with_try(written(body), first.try_count + 1)

    assert json.loads(again) == body | {"try": first.try_count + 1}
    assert decode(again) == first.model_copy(update={"try_count": first.try_count + 1})


@samples_of_the_baseline
def test_writing_a_message_again_from_the_models_would_lose_what_they_do_not_know(path):
    """The reason for `with_try`: if this ever fails, it is no longer needed."""
    body = read(path)
    grown = body | {"addedlater": 1, "data": body["data"] | {"addedLater": 1}}

    assert b"added" not in decode(written(grown)).encode().lower()


def test_the_try_is_added_where_there_was_none_and_inner_ones_stay():
    body = read(SAMPLES[0])
    del body["try"]
    body["data"]["try"] = 5

    again = json.loads(with_try(written(body), 2))

    assert again == body | {"try": 2}


def test_sending_back_again_and_again_changes_the_try_alone():
    once = with_try(SAMPLES[0].read_bytes(), 2)

    assert with_try(with_try(with_try(once, 3), 9_999), 2) == once


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "-0.0", "1e-300", "0.1", "1" * 4_000])
def test_numbers_of_tomorrow_are_sent_back_as_they_came(number):
    body = written(read(SAMPLES[0]) | {"addedlater": "?"}).replace(b'"?"', number.encode())

    again = json.loads(with_try(body, 2))["addedlater"]

    assert decode(body).id == read(SAMPLES[0])["id"]
    assert repr(again) == repr(json.loads(number))


def without_what_is_not_in(value: Any, model: Any) -> Any:
    """The parts of a value that another one has too."""
    if isinstance(value, dict) and isinstance(model, dict):
        return {name: without_what_is_not_in(inner, model[name]) for name, inner in value.items() if name in model}
    if isinstance(value, list) and isinstance(model, list) and len(value) == len(model):
        return [without_what_is_not_in(*pair) for pair in zip(value, model, strict=True)]
    return value


def is_there(value: Any, place: Place) -> bool:
    try:
        at(value, place)
    except (KeyError, IndexError):
        return False
    return True


def read_or_none(body: bytes) -> Envelope | None:
    try:
        return decode(body)
    except UnreadableMessage:
        return None
