"""The twins that other tests trust, and the small values beside them."""

from datetime import UTC, datetime, timedelta

import pytest

from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.principals import LOCAL, Principal, system
from imagetron_chassis.publishing import BrokerUnavailable, Outgoing
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from imagetron_contracts.stages import JobChanged

JOB_ID = "019b7a6e-0c00-7000-8000-000000000001"


def test_a_fake_clock_stands_still_until_it_is_moved():
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))

    assert clock.now() == clock.now()
    clock.advance(90)

    assert clock.now() == datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC)


def test_the_system_clock_says_utc_to_the_millisecond():
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert timedelta() <= datetime.now(UTC) - now < timedelta(seconds=5)


async def test_a_recording_publisher_keeps_what_it_confirmed_and_not_what_it_refused():
    publisher = RecordingPublisher(None, BrokerUnavailable("away"))
    facts = Facts(publisher, source="imagetron/test", clock=FakeClock())

    await facts.publish(JobChanged(job_id=JOB_ID, version=1))
    with pytest.raises(BrokerUnavailable):
        await facts.publish(JobChanged(job_id=JOB_ID, version=2))
    await facts.publish(JobChanged(job_id=JOB_ID, version=3))

    assert [envelope.data.version for envelope in publisher.envelopes()] == [1, 3]  # type: ignore[attr-defined]


async def test_facts_stop_at_the_first_that_is_not_confirmed():
    publisher = RecordingPublisher(None, BrokerUnavailable("away"))
    facts = Facts(publisher, source="imagetron/test", clock=FakeClock())

    with pytest.raises(BrokerUnavailable):
        await facts.publish(*(JobChanged(job_id=JOB_ID, version=number) for number in (1, 2, 3)))

    assert len(publisher.sent) == 1


async def test_a_fact_says_who_when_about_which_job_and_because_of_what():
    publisher = RecordingPublisher()
    clock = FakeClock()
    facts = Facts(publisher, source="imagetron/test", clock=clock)
    cause = facts.wrap(JobChanged(job_id=JOB_ID, version=1))

    await facts.publish(JobChanged(job_id=JOB_ID, version=2), cause=cause)

    [envelope] = publisher.envelopes()
    assert (envelope.source, envelope.time, envelope.correlationid) == ("imagetron/test", clock.now(), JOB_ID)
    assert (envelope.subject, envelope.causationid, envelope.try_count) == (JOB_ID, cause.id, 1)


async def test_something_already_wrapped_is_sent_as_it_is():
    publisher = RecordingPublisher()
    message = Outgoing("m", "", "queue", b"body")

    await Facts(publisher, source="imagetron/test", clock=FakeClock()).send(message)

    assert publisher.sent == [message]


def test_a_principal_has_the_scopes_it_was_given_and_a_star_is_all_of_them():
    assert Principal("ann", frozenset({"read"})).has("read")
    assert not Principal("ann", frozenset({"read"})).has("write")
    assert not Principal("ann").has("read")
    assert LOCAL.has("anything")
    assert system("relay").has("anything")
    assert not Principal("ann").sees_all_owners
