"""How each kind of message travels: exchange, key, kept on disk or not, must be routed or not."""

from datetime import UTC, datetime

import pytest

from imagetron_chassis.errors import Transient, UnknownOutcome
from imagetron_chassis.publishing import BrokerUnavailable, Outgoing, PublishUnconfirmed, Unroutable, outgoing
from imagetron_contracts.envelope import Envelope, decode
from imagetron_contracts.events import VariationStarted
from imagetron_contracts.message import Message
from imagetron_contracts.spec import spec_key
from imagetron_contracts.stages import FamilyRequested, JobChanged, Lane
from imagetron_contracts.topology import Exchange, delay_queue

JOB_ID = "019b7a6e-0c00-7000-8000-000000000001"


def wrapped(message: Message) -> Envelope:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Envelope.wrap(message, message_id="m1", source="imagetron/test", time=now, job_id=JOB_ID)


def a_request(lane: Lane) -> FamilyRequested:
    return FamilyRequested(
        job_id=JOB_ID,
        revision=1,
        family="square",
        attempt=1,
        lane=lane,
        spec_key=spec_key(JOB_ID, 1),
        image_indexes=(0,),
        budget_seconds=60,
    )


@pytest.mark.parametrize(
    ("message", "exchange", "key"),
    [
        (a_request(Lane.INTERACTIVE), "imagetron.stages", "family.requested.interactive"),
        (a_request(Lane.BATCH), "imagetron.stages", "family.requested.batch"),
        (VariationStarted(variation_id=JOB_ID, name="n", family_count=1), "imagetron.events", None),
        (JobChanged(job_id=JOB_ID, version=2), "imagetron.hints", "job.changed"),
    ],
    ids=lambda value: value.TYPE if isinstance(value, Message) else "",
)
def test_a_message_leaves_on_its_own_exchange_under_its_own_key(message: Message, exchange: str, key: str | None):
    sent = outgoing(wrapped(message))

    assert (sent.exchange, sent.routing_key) == (exchange, key or message.ROUTING_KEY)


def test_the_bytes_that_leave_are_the_envelope_and_carry_its_id():
    envelope = wrapped(a_request(Lane.BATCH))

    sent = outgoing(envelope)

    assert sent.message_id == "m1"
    assert decode(sent.body) == envelope


@pytest.mark.parametrize(
    ("what", "message", "must_arrive", "is_mandatory"),
    [
        ("work", Outgoing("m", Exchange.STAGES, "family.started", b""), True, True),
        ("a public event", Outgoing("m", Exchange.EVENTS, "image.variation.started.v1", b""), True, False),
        ("a hint", Outgoing("m", Exchange.HINTS, "progress", b""), False, False),
        ("a delayed retry", Outgoing("m", delay_queue(5), "deriver.renders-generated", b""), True, True),
        ("a hand-back", Outgoing("m", "", "deriver.renders-generated", b""), True, True),
        ("a request", Outgoing("m", Exchange.PROMPTS, "prompt.describe", b"", "replies.1", "m"), False, True),
        ("a reply", Outgoing("m", "", "replies.1", b"", None, "m"), False, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_work_and_events_are_kept_on_disk_and_work_and_requests_must_be_routed(
    what: str, message: Outgoing, must_arrive: bool, is_mandatory: bool
):
    assert (what, message.must_arrive, message.is_mandatory) == (what, must_arrive, is_mandatory)


def test_only_a_missing_confirm_leaves_it_open_whether_the_message_left():
    assert issubclass(BrokerUnavailable, Transient)
    assert issubclass(Unroutable, Transient)
    assert issubclass(PublishUnconfirmed, UnknownOutcome)
