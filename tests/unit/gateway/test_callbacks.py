"""Callbacks: whose signature holds, which deliveries are one event, what a body must be, how signers are configured."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from imagetron_gateway.domain.callbacks import (
    MAX_BODY_BYTES,
    MAX_DEPTH,
    Callback,
    NotJson,
    NotSigned,
    Signature,
    objection_to_body,
    signers,
)
from support.builders import NOW

KEY, OLD_KEY, FOREIGN_KEY = b"k" * 32, b"o" * 24, b"f" * 32
EVENT = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
BODY = b'{"id": "task-7", "status": "done", "progress": 100}'
REFERENCE = "0123456789abcdef" * 2


def signed(
    body: bytes = BODY, *, event: str = EVENT, at: datetime = NOW, timestamp: str | None = None, key: bytes = KEY
) -> Signature:
    seconds = timestamp or str(int(at.timestamp()))
    tag = hmac.new(key, b".".join((event.encode(), seconds.encode(), body)), hashlib.sha256).digest()
    return Signature(event, seconds, "v1," + base64.b64encode(tag).decode())


def check(signature: Signature, body: bytes = BODY, *keys: bytes, now: datetime = NOW) -> str:
    return signature.check(body, keys or (KEY,), now)


def changed(signature: Signature, **fields: str | None) -> Signature:
    values = {"event_id": signature.event_id, "timestamp": signature.timestamp, "signatures": signature.signatures}
    return Signature(**(values | fields))


def test_the_vector_that_the_standards_libraries_share_holds():
    [key] = signers("provider=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")["provider"]
    signature = Signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    now = datetime.fromtimestamp(1614265330, UTC)

    assert signature.check(b'{"test": 2432232314}', [key], now) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_signed_delivery_gives_the_providers_own_id_of_the_event():
    assert check(signed()) == EVENT


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_a_delivery_may_be_five_minutes_old_or_early(seconds):
    assert check(signed(at=NOW + timedelta(seconds=seconds))) == EVENT


@pytest.mark.parametrize("seconds", [-86_400, -301, 301, 86_400])
def test_an_older_or_earlier_one_is_refused_although_its_signature_is_right(seconds):
    with pytest.raises(NotSigned, match="webhook-timestamp"):
        check(signed(at=NOW + timedelta(seconds=seconds)))


def test_every_single_bit_of_the_body_counts():
    signature = signed()
    for bit in range(len(BODY) * 8):
        flipped = bytearray(BODY)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotSigned):
            check(signature, bytes(flipped))


@pytest.mark.parametrize("body", [BODY[:-1], BODY[1:], BODY + b"\n", b"", b" " + BODY])
def test_a_longer_or_shorter_body_is_refused(body):
    with pytest.raises(NotSigned):
        check(signed(), body)


def test_a_body_that_means_the_same_and_was_written_anew_is_refused():
    rewritten = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    assert json.loads(rewritten) == json.loads(BODY)

    with pytest.raises(NotSigned):
        check(signed(), rewritten)


@pytest.mark.parametrize(
    "fields",
    [
        {"event_id": EVENT[:-1]},
        {"event_id": EVENT + "x"},
        {"event_id": EVENT.lower()},
        {"timestamp": str(int(NOW.timestamp()) + 1)},
        {"timestamp": "0" + str(int(NOW.timestamp()))},
        {"event_id": None},
        {"timestamp": None},
        {"signatures": None},
        {"event_id": ""},
        {"event_id": "a b"},
        {"event_id": "a.b"},
        {"event_id": "ä"},
        {"event_id": "x" * 201},
        {"timestamp": ""},
        {"timestamp": "now"},
        {"timestamp": f"{NOW.timestamp()}"},
        {"timestamp": f"-{int(NOW.timestamp())}"},
        {"timestamp": f" {int(NOW.timestamp())}"},
        {"timestamp": "9" * 12},
        {"timestamp": "9" * 5000},
        {"timestamp": "\u0661\u0667\u0666\u0667"},
        {"signatures": ""},
        {"signatures": "v1,"},
        {"signatures": "v1"},
        {"signatures": "v1,ä"},
    ],
)
def test_a_delivery_with_other_or_missing_headers_is_refused(fields):
    with pytest.raises(NotSigned):
        check(changed(signed(), **fields))


def test_every_single_character_of_a_signature_counts():
    right = signed().signatures or ""
    for place in range(len(right)):
        wrong = right[:place] + ("A" if right[place] != "A" else "B") + right[place + 1 :]
        with pytest.raises(NotSigned):
            check(changed(signed(), signatures=wrong))


@pytest.mark.parametrize("cut", [1, 2, 20, 43])
def test_a_truncated_signature_is_refused(cut):
    right = signed().signatures or ""
    with pytest.raises(NotSigned):
        check(changed(signed(), signatures=right[:-cut]))


def test_another_key_is_refused():
    with pytest.raises(NotSigned):
        check(signed(key=FOREIGN_KEY))


def test_one_right_signature_among_several_is_enough():
    right, wrong = signed().signatures, signed(key=FOREIGN_KEY).signatures

    assert check(changed(signed(), signatures=f"v1a,x {wrong} {right}")) == EVENT
    assert check(changed(signed(), signatures=f"{right}  {wrong}")) == EVENT


@pytest.mark.parametrize("scheme", ["v2,", "v1a,", "V1,", "v1=", "sha256=", ""])
def test_another_scheme_or_none_does_not_count_even_with_the_right_tag(scheme):
    with pytest.raises(NotSigned):
        check(changed(signed(), signatures=(signed().signatures or "").replace("v1,", scheme)))


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_while_a_key_is_replaced_both_hold(key):
    assert check(signed(key=key), BODY, KEY, OLD_KEY) == EVENT


def test_the_words_of_a_refusal_quote_nothing_that_was_sent():
    for fields in ({"event_id": "sec.ret"}, {"timestamp": "secret"}, {"signatures": "v1,secret"}):
        with pytest.raises(NotSigned) as refused:
            check(changed(signed(), **fields))
        assert "secret" not in str(refused.value)
        assert "sec.ret" not in str(refused.value)


def taken(body: bytes = BODY, *, provider: str = "plain", reference: str = REFERENCE) -> Callback:
    return Callback.of(provider, reference, body, signature=Signature(), keys=(), now=NOW)


def test_unsigned_the_same_bytes_for_the_same_task_are_one_event():
    assert taken().inbox_id == taken().inbox_id
    assert uuid.UUID(taken().inbox_id).version == 5
    assert not taken().is_signed
    others = [taken(BODY + b" "), taken(reference=REFERENCE[::-1]), taken(provider="other")]
    assert len({taken().inbox_id, *(other.inbox_id for other in others)}) == 4


def test_signed_the_providers_id_is_the_event_whatever_is_sent_with_it():
    def delivered(body: bytes, at: datetime, event: str = EVENT) -> Callback:
        signature = signed(body, at=at, event=event)
        return Callback.of("signing", REFERENCE, body, signature=signature, keys=(KEY,), now=NOW)

    first, again = delivered(BODY, NOW), delivered(b"{}", NOW + timedelta(seconds=9))
    assert first.is_signed
    assert first.inbox_id == again.inbox_id
    assert first.inbox_id != delivered(BODY, NOW, event="another").inbox_id


def test_an_unsigned_delivery_of_a_provider_that_signs_is_refused():
    with pytest.raises(NotSigned):
        Callback.of("signing", REFERENCE, BODY, signature=Signature(), keys=(KEY,), now=NOW)


def test_a_provider_cannot_name_an_event_as_unsigned_ones_are_named():
    unsigned = taken(provider="p")
    digest = unsigned.event
    signature = signed(event=digest)
    pretending = Callback.of("p", REFERENCE, BODY, signature=signature, keys=(KEY,), now=NOW)

    assert pretending.inbox_id != unsigned.inbox_id


def test_a_callback_does_not_show_its_body():
    assert "task-7" not in repr(taken())


@pytest.mark.parametrize("body", [b"{}", BODY, b' {"a": [[]]} ', '{"a": "ä"}'.encode(), b'{"a":"[[[\\"{{{"}'])
def test_a_json_object_is_a_body(body):
    assert objection_to_body(body) is None


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"3", b"true"])
def test_other_json_is_none(body):
    assert objection_to_body(body) == "must be a JSON object"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe{", b"{}{}", b'{"a":' + b"9" * 5000 + b"}"],
)
def test_what_is_no_json_is_none_either(body):
    with pytest.raises(NotJson):
        objection_to_body(body)


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_a_body_may_be_nested_so_deep_and_no_deeper():
    assert objection_to_body(nested(MAX_DEPTH)) is None
    for body in (nested(MAX_DEPTH + 1), nested(10_000), b"[" * MAX_BODY_BYTES, b'{"a":' + b"[" * 10_000):
        assert "nested deeper" in (objection_to_body(body) or "")


def test_brackets_within_texts_are_no_levels():
    assert objection_to_body(json.dumps({"a": "[" * 1000, '{"': "\\" + "{" * 1000}).encode()) is None


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"\\", b'"\\', b'\\"[', b'{"a":"', b"[]"])
def test_the_longest_body_is_looked_through_in_one_pass(piece):
    """A look that begins again at each quote would take minutes of processor time; one pass takes a fraction of a second."""
    body = (b'{"' + piece * MAX_BODY_BYTES)[:MAX_BODY_BYTES]
    started = time.process_time()

    with suppress(NotJson):
        assert objection_to_body(body)

    assert time.process_time() - started < 20


def test_signers_are_read_from_one_setting():
    new, old = (base64.b64encode(key).decode() for key in (KEY, OLD_KEY))

    assert signers("") == {}
    assert signers(f"midjourney=whsec_{new},whsec_{old}  nano-banana") == {
        "midjourney": (KEY, OLD_KEY),
        "nano-banana": (),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bad", "entry 1 names no provider"),
        ("ok =whsec_x", "entry 2 names no provider"),
        ("../x", "entry 1 names no provider"),
        ("a a", "a is named twice"),
        ("a=", "a secret of a cannot be read"),
        ("a=hunter2", "a secret of a cannot be read"),
        ("a=whsec_hunter2!", "a secret of a cannot be read"),
        ("a=whsec_" + base64.b64encode(b"x" * 23).decode(), "24 to 64 bytes"),
        ("a=whsec_" + base64.b64encode(b"x" * 65).decode(), "24 to 64 bytes"),
        ("a=" + base64.b64encode(b"x" * 32).decode(), "use whsec_"),
        ("a=whsec_" + base64.b64encode(b"x" * 32).decode() + ",", "a secret of a cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused_without_quoting_a_secret(text, said):
    with pytest.raises(ValueError, match=said) as refused:
        signers(text)

    assert "hunter2" not in str(refused.value)
    assert "eHh4" not in str(refused.value)
    assert refused.value.__cause__ is None
