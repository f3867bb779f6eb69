"""CloudEvents on the wire: what is written, and what is refused without saying what was in it."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from imagetron_contracts.envelope import (
    CONTENT_TYPE,
    MAX_BODY_BYTES,
    MESSAGE_TYPES,
    Envelope,
    UnreadableMessage,
    decode,
)
from imagetron_contracts.events import EVENTS, FamilyFailed, VariationStarted
from imagetron_contracts.examples import EXAMPLES, example_envelope
from imagetron_contracts.message import Message
from imagetron_contracts.stages import STAGE_MESSAGES, FamilyRequested, RendersGenerated

CANARY = "a-secret-sunset"
REQUIRED_BY_CLOUDEVENTS = {"specversion", "id", "source", "type"}
every_message = pytest.mark.parametrize("message", MESSAGE_TYPES.values(), ids=lambda message: message.TYPE)


def body_of(message: type[Message] = VariationStarted, **changes) -> bytes:
    """The example's body with other attributes."""
    return json.dumps(json.loads(example_envelope(message).encode()) | changes).encode()


def body_without(attribute: str) -> bytes:
    attributes = json.loads(example_envelope(VariationStarted).encode())
    del attributes[attribute]
    return json.dumps(attributes).encode()


def data_of(message: type[Message], **changes) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(example_envelope(message).encode())["data"]
    return data | changes


def refusal_of(body: bytes, **options) -> str:
    with pytest.raises(UnreadableMessage) as refusal:
        decode(body, **options)
    return str(refusal.value)


@every_message
def test_every_message_comes_back_as_it_was_sent(message):
    envelope = example_envelope(message)

    assert decode(envelope.encode()) == envelope
    assert decode(envelope.encode()).data == EXAMPLES[message]


@every_message
def test_the_attributes_that_cloudevents_requires_are_there(message):
    attributes = json.loads(example_envelope(message).encode())

    assert set(attributes) >= REQUIRED_BY_CLOUDEVENTS
    assert attributes["specversion"] == "1.0"
    assert all(attributes[name] for name in REQUIRED_BY_CLOUDEVENTS)
    assert attributes["dataschema"] == f"urn:imagetron:schema:{message.schema_name()}"
    assert attributes["datacontenttype"] == "application/json"


def test_all_attribute_names_are_lower_case_letters_and_digits_as_cloudevents_wants():
    names = set(Envelope.model_json_schema(by_alias=True)["properties"])

    assert names >= REQUIRED_BY_CLOUDEVENTS | {"subject", "time", "traceparent", "correlationid", "causationid"}
    assert {name for name in names if not re.fullmatch("[a-z0-9]{1,20}", name)} == set()


def test_bodies_of_this_kind_have_the_content_type_of_structured_cloudevents():
    assert CONTENT_TYPE == "application/cloudevents+json"


@every_message
def test_an_attribute_without_a_value_is_left_out(message):
    assert b"null" not in example_envelope(message).encode()


def test_text_travels_as_utf_8():
    envelope = Envelope.wrap(
        VariationStarted(variation_id="01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41", name="日没", family_count=1),
        message_id="1",
        source="test",
        time=datetime.now(UTC),
    )

    assert "日没".encode() in envelope.encode()


def test_the_time_is_written_in_utc():
    madrid = timezone(timedelta(hours=2))
    envelope = Envelope.wrap(
        EXAMPLES[VariationStarted], message_id="1", source="test", time=datetime(2026, 7, 1, 12, tzinfo=madrid)
    )

    assert json.loads(envelope.encode())["time"] == "2026-07-01T10:00:00Z"


def test_a_wrapped_message_is_about_its_job():
    envelope = Envelope.wrap(
        EXAMPLES[VariationStarted], message_id="1", source="test", time=datetime.now(UTC), job_id="some job"
    )

    assert (envelope.subject, envelope.correlationid, envelope.try_count) == ("some job", "some job", 1)


def test_try_is_a_number_on_the_wire():
    envelope = example_envelope(FamilyRequested).model_copy(update={"try_count": 4})

    assert json.loads(envelope.encode())["try"] == 4
    assert decode(envelope.encode()).try_count == 4


def test_a_sequence_is_ten_digits_that_sort_as_text():
    def written(sequence):
        return json.loads(example_envelope(VariationStarted).model_copy(update={"sequence": sequence}).encode())

    sequences = [0, 1, 9, 10, 99, 100, 9_999_999_999]
    texts = [written(sequence)["sequence"] for sequence in sequences]

    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {10}
    assert [decode(json.dumps(written(sequence)).encode()).sequence for sequence in sequences] == sequences
    assert "sequence" not in written(None)


@pytest.mark.parametrize("sequence", ["-000000001", "10000000000", "one", "0x10", 1.5, "9" * 5_000, [1]])
def test_a_sequence_that_is_no_count_is_refused(sequence):
    assert refusal_of(body_of(sequence=sequence)).startswith("not a CloudEvents 1.0 envelope: sequence: ")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'"text"', b"{}", b'{"specversion":"1.0"}', b"[" * 20_000],
    ids=lambda body: repr(body[:20]),
)
def test_broken_json_and_other_json_is_no_envelope(body):
    assert refusal_of(body).startswith("not a CloudEvents 1.0 envelope: ")


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type", "time", "dataschema", "data"])
def test_an_envelope_without_a_required_attribute_is_refused(attribute):
    assert refusal_of(body_without(attribute)) == f"not a CloudEvents 1.0 envelope: {attribute}: missing"


@pytest.mark.parametrize("version", ["0.3", "1.1", "2.0", "", 1.0])
def test_another_version_of_cloudevents_is_refused(version):
    assert refusal_of(body_of(specversion=version)).startswith("not a CloudEvents 1.0 envelope: specversion: ")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("id", ""), ("source", ""), ("time", "2026-07-01T12:00:00"), ("try", 0), ("data", "text"), ("subject", 5)],
)
def test_an_attribute_of_a_wrong_kind_is_refused_by_its_name(attribute, value):
    assert refusal_of(body_of(**{attribute: value})).startswith(f"not a CloudEvents 1.0 envelope: {attribute}: ")


def test_a_huge_body_is_refused_before_it_is_read():
    body = body_of(data=data_of(VariationStarted, name="x" * MAX_BODY_BYTES))

    assert refusal_of(body) == f"a body of {len(body)} bytes: messages have at most 65536"


def test_a_body_of_exactly_the_limit_is_read():
    bare = body_of(data=data_of(VariationStarted, name=""))
    body = body_of(data=data_of(VariationStarted, name="x" * (MAX_BODY_BYTES - len(bare))))

    assert len(body) == MAX_BODY_BYTES
    assert decode(body).type == "VARIATION_STARTED"


def test_an_unknown_type_is_refused_with_the_types_that_are_known():
    refusal = refusal_of(body_of(type="VARIATION_LOST"))

    assert refusal.startswith("unknown message type 'VARIATION_LOST'; this reader knows VARIATION_STARTED, ")


def test_a_newer_major_version_is_refused():
    refusal = refusal_of(body_of(dataschema="urn:imagetron:schema:variation-started.v2"))

    assert refusal == (
        "VARIATION_STARTED has dataschema 'urn:imagetron:schema:variation-started.v2'; "
        "this reader knows 'urn:imagetron:schema:variation-started.v1'"
    )


def test_data_that_breaks_its_schema_is_refused_by_place_and_kind():
    refusal = refusal_of(body_of(data=data_of(VariationStarted, familyCount=0, variationId="7")))

    assert refusal == (
        "VARIATION_STARTED breaks its schema: variationId: string_pattern_mismatch; familyCount: greater_than_equal"
    )


def test_a_place_deep_in_the_data_is_named():
    images = [{"index": 0, "key": "k", "size": {"width": 0, "height": 1}, "seed": 1, "digest": "d"}]

    refusal = refusal_of(body_of(RendersGenerated, data=data_of(RendersGenerated, images=images)))

    assert refusal == "RENDERS_GENERATED breaks its schema: images.0.size.width: greater_than_equal"


@pytest.mark.parametrize(
    "body",
    [
        body_of(data=data_of(VariationStarted, familyCount=CANARY)),
        body_of(data=data_of(VariationStarted, variationId=CANARY)),
        body_of(data=data_of(VariationStarted, name={CANARY: CANARY})),
        body_of(FamilyFailed, data=data_of(FamilyFailed, code=CANARY, stage=CANARY)),
        body_of(MESSAGE_TYPES["VARIATION_FAILED"], data=data_of(MESSAGE_TYPES["VARIATION_FAILED"], errors={CANARY: 5})),
        body_of(
            MESSAGE_TYPES["VARIATION_PARTIAL"],
            data=data_of(MESSAGE_TYPES["VARIATION_PARTIAL"], partialUrls={CANARY: {CANARY: [CANARY]}}),
        ),
        body_of(data=CANARY),
        body_of(data=[CANARY]),
        body_of(time=CANARY),
        body_of(specversion=CANARY),
        body_of(sequence=CANARY),
        b'{"data": "' + CANARY.encode(),
        CANARY.encode(),
    ],
    ids=range(13),
)
def test_no_refusal_holds_anything_of_the_content(body):
    assert CANARY in body.decode()
    with pytest.raises(UnreadableMessage) as refusal:
        decode(body)

    assert CANARY not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_accept_narrows_what_is_readable():
    body = body_of(FamilyRequested)

    assert decode(body, accept=STAGE_MESSAGES).type == "FAMILY_REQUESTED"
    assert decode(body, accept=iter([FamilyRequested])).type == "FAMILY_REQUESTED"
    assert refusal_of(body, accept=EVENTS).startswith("unknown message type 'FAMILY_REQUESTED'; this reader knows VAR")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_unreadable(body):
    with pytest.raises(UnreadableMessage):
        decode(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(Envelope.model_json_schema(by_alias=True)["properties"])), value=JSON)
def test_any_value_in_any_attribute_is_read_or_unreadable(name, value):
    attributes = json.loads(body_of(FamilyFailed)) | {name: value}

    with suppress(UnreadableMessage):
        decode(json.dumps(attributes).encode())


def test_an_envelope_cannot_be_changed():
    with pytest.raises(ValidationError):
        example_envelope(VariationStarted).id = "another"  # type: ignore[misc]
