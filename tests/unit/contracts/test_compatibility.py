"""Every kind of change to a message, on schemas of one line: which break a reader, and which are free."""

from typing import Any

import pytest

from imagetron_contracts.compatibility import breaking_changes, breaking_changes_of_all


def an_object(required: tuple[str, ...] = ("name",), **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$id": "urn:imagetron:schema:thing.v1",
        "type": "object",
        "properties": {"name": {"type": "string"}, **properties},
        "required": list(required),
    }


def with_definition(definition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return an_object(part={"$ref": "#/$defs/Part"}) | {"$defs": {"Part": definition}, **more}


TEXT = {"type": "string"}
COUNT = {"type": "integer"}
WORDS = {"enum": ["a", "b"], "type": "string"}

FREE = {
    "nothing changed": (an_object(), an_object()),
    "a new optional property": (an_object(), an_object(note=TEXT)),
    "other explanations": (
        an_object() | {"description": "Old.", "title": "Old"},
        an_object(name=TEXT | {"description": "New.", "examples": ["x"], "title": "New", "$comment": "c"})
        | {"$schema": "https://json-schema.org/draft/2020-12/schema", "deprecated": True},
    ),
    "the order of required properties": (
        an_object(("name", "note"), note=TEXT),
        an_object(("note", "name"), note=TEXT),
    ),
    "the order of enum values": (an_object(word=WORDS), an_object(word={"enum": ["b", "a"], "type": "string"})),
    "a definition that moved into its place": (with_definition(COUNT), an_object(part=COUNT)),
    "a definition with another name": (
        with_definition(COUNT),
        an_object(part={"$ref": "#/$defs/Piece"}) | {"$defs": {"Piece": COUNT}},
    ),
    "saying that everything is allowed": (an_object(), an_object() | {"additionalProperties": True}),
    "a new optional property deep inside": (
        with_definition({"type": "object", "properties": {}}),
        with_definition({"type": "object", "properties": {"note": TEXT}}),
    ),
    "equal alternatives": (an_object(x={"anyOf": [TEXT, COUNT]}), an_object(x={"anyOf": [TEXT, COUNT]})),
    "a definition that uses itself": (
        with_definition({"type": "object", "properties": {"next": {"$ref": "#/$defs/Part"}}}),
        with_definition({"type": "object", "properties": {"next": {"$ref": "#/$defs/Part"}, "note": TEXT}}),
    ),
}

BREAKING = {
    "a property was removed": (
        an_object(note=TEXT),
        an_object(),
        "note was removed or renamed: readers that use it break",
    ),
    "a property was renamed": (
        an_object(note=TEXT),
        an_object(remark=TEXT),
        "note was removed or renamed: readers that use it break",
    ),
    "a required property was removed": (
        an_object(("name", "note"), note=TEXT),
        an_object(),
        "note was removed or renamed: readers that use it break",
    ),
    "a type changed": (an_object(note=TEXT), an_object(note=COUNT), "note: type was 'string' and is 'integer'"),
    "a type became wider": (
        an_object(note=COUNT),
        an_object(note={"type": "number"}),
        "note: type was 'integer' and is 'number'",
    ),
    "an enum lost a value": (
        an_object(word=WORDS),
        an_object(word={"enum": ["a"], "type": "string"}),
        "word may no longer be 'b': messages that already wait become unreadable",
    ),
    "an enum gained a value": (
        an_object(word=WORDS),
        an_object(word={"enum": ["a", "b", "c"], "type": "string"}),
        "word may now be 'c': readers that check the old list refuse it",
    ),
    "a text became an enum": (
        an_object(word=TEXT),
        an_object(word=WORDS),
        "word: enum was absent and is ['a', 'b']",
    ),
    "an enum became a text": (
        an_object(word=WORDS),
        an_object(word=TEXT),
        "word: enum was ['a', 'b'] and is absent",
    ),
    "a required property became optional": (
        an_object(("name", "note"), note=TEXT),
        an_object(note=TEXT),
        "note became optional: readers that rely on it break",
    ),
    "an optional property became required": (
        an_object(note=TEXT),
        an_object(("name", "note"), note=TEXT),
        "note became required: messages that already wait do not have it",
    ),
    "a new property is required": (
        an_object(),
        an_object(("name", "note"), note=TEXT),
        "note became required: messages that already wait do not have it",
    ),
    "a lower limit rose": (
        an_object(n=COUNT | {"minimum": 0}),
        an_object(n=COUNT | {"minimum": 1}),
        "n: minimum was 0 and is 1: messages that already wait break it",
    ),
    "a lower limit fell": (
        an_object(n=COUNT | {"minimum": 1}),
        an_object(n=COUNT | {"minimum": 0}),
        "n: minimum was 1 and is 0: readers that check the old limit refuse more",
    ),
    "an upper limit fell": (
        an_object(n=TEXT | {"maxLength": 9}),
        an_object(n=TEXT | {"maxLength": 8}),
        "n: maxLength was 9 and is 8: messages that already wait break it",
    ),
    "an upper limit rose": (
        an_object(n=TEXT | {"maxLength": 8}),
        an_object(n=TEXT | {"maxLength": 9}),
        "n: maxLength was 8 and is 9: readers that check the old limit refuse more",
    ),
    "a limit is new": (
        an_object(n={"type": "array"}),
        an_object(n={"type": "array", "minItems": 1}),
        "n: minItems was absent and is 1: messages that already wait break it",
    ),
    "a limit is gone": (
        an_object(n=COUNT | {"maximum": 5}),
        an_object(n=COUNT),
        "n: maximum was 5 and is absent: readers that check the old limit refuse more",
    ),
    "a pattern changed": (
        an_object(n=TEXT | {"pattern": "^a"}),
        an_object(n=TEXT | {"pattern": "^b"}),
        "n: pattern was '^a' and is '^b'",
    ),
    "a format is new": (
        an_object(n=TEXT),
        an_object(n=TEXT | {"format": "date-time"}),
        "n: format was absent and is 'date-time'",
    ),
    "a default changed": (
        an_object(n=COUNT | {"default": 1}),
        an_object(n=COUNT | {"default": 2}),
        "n: default was 1 and is 2",
    ),
    "the id changed": (
        an_object(),
        an_object() | {"$id": "urn:imagetron:schema:thing.v2"},
        "the message: $id was 'urn:imagetron:schema:thing.v1' and is 'urn:imagetron:schema:thing.v2'",
    ),
    "unknown properties are no longer allowed": (
        an_object(),
        an_object() | {"additionalProperties": False},
        "the message{}: additionalProperties was True and is False",
    ),
    "the values of a map changed": (
        an_object(urls={"type": "object", "additionalProperties": TEXT}),
        an_object(urls={"type": "object", "additionalProperties": COUNT}),
        "urls{}: type was 'string' and is 'integer'",
    ),
    "the items of a list changed": (
        an_object(keys={"type": "array", "items": TEXT}),
        an_object(keys={"type": "array", "items": COUNT}),
        "keys[]: type was 'string' and is 'integer'",
    ),
    "a property deep inside was removed": (
        an_object(images={"type": "array", "items": {"$ref": "#/$defs/Image"}})
        | {"$defs": {"Image": {"type": "object", "properties": {"url": TEXT}}}},
        an_object(images={"type": "array", "items": {"$ref": "#/$defs/Image"}})
        | {"$defs": {"Image": {"type": "object", "properties": {}}}},
        "images[].url was removed or renamed: readers that use it break",
    ),
    "a definition changed behind its name": (
        with_definition(TEXT),
        with_definition(COUNT),
        "part: type was 'string' and is 'integer'",
    ),
    "a definition that uses itself changed": (
        with_definition({"type": "object", "properties": {"next": {"$ref": "#/$defs/Part"}, "n": TEXT}}),
        with_definition({"type": "object", "properties": {"next": {"$ref": "#/$defs/Part"}, "n": COUNT}}),
        "part.n: type was 'string' and is 'integer'",
    ),
    "what is said beside a reference changed": (
        an_object(part={"$ref": "#/$defs/Part", "default": "a"}) | {"$defs": {"Part": TEXT}},
        an_object(part={"$ref": "#/$defs/Part", "default": "b"}) | {"$defs": {"Part": TEXT}},
        "part: default was 'a' and is 'b'",
    ),
    "an alternative is new": (
        an_object(n={"anyOf": [TEXT]}),
        an_object(n={"anyOf": [TEXT, COUNT]}),
        "n: anyOf had 1 alternatives and has 2",
    ),
    "alternatives are new": (
        an_object(n={}),
        an_object(n={"oneOf": [TEXT, COUNT]}),
        "n: oneOf had 0 alternatives and has 2",
    ),
    "an alternative changed": (
        an_object(n={"anyOf": [TEXT, TEXT]}),
        an_object(n={"anyOf": [TEXT, COUNT]}),
        "n (anyOf 1): type was 'string' and is 'integer'",
    ),
    "a keyword that nobody foresaw changed": (
        an_object(n=TEXT),
        an_object(n=TEXT | {"contentEncoding": "base64"}),
        "n: contentEncoding was absent and is 'base64'",
    ),
}


@pytest.mark.parametrize(("old", "new"), FREE.values(), ids=FREE)
def test_additions_and_explanations_are_free(old, new):
    assert breaking_changes(old, new) == []


@pytest.mark.parametrize(("old", "new", "sentence"), BREAKING.values(), ids=BREAKING)
def test_a_change_that_breaks_a_reader_is_found(old, new, sentence):
    assert breaking_changes(old, new) == [sentence]


def test_every_change_of_a_message_is_listed():
    old = an_object(("name", "note"), note=TEXT, word=WORDS, gone=TEXT)
    new = an_object(note=COUNT, word={"enum": ["a"], "type": "string"})

    assert breaking_changes(old, new) == [
        "note became optional: readers that rely on it break",
        "note: type was 'string' and is 'integer'",
        "word may no longer be 'b': messages that already wait become unreadable",
        "gone was removed or renamed: readers that use it break",
    ]


def test_a_removed_message_breaks_and_a_new_one_is_free():
    old = {"kept.v1": an_object(note=TEXT), "gone.v1": an_object()}
    new = {"kept.v1": an_object(), "new.v1": an_object()}

    assert breaking_changes_of_all(old, new) == [
        "kept.v1: note was removed or renamed: readers that use it break",
        "gone.v1: the message was removed",
    ]
    assert breaking_changes_of_all(old, old | new | old) == []
