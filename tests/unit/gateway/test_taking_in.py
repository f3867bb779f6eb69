"""Workers' messages, checks and the outbox: state and what it tells are stored together and leave in order."""

import asyncio

import pytest

from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.outbox import LEFT_BEHIND_AFTER
from imagetron_chassis.publishing import BrokerUnavailable, PublishUnconfirmed
from imagetron_chassis.testing import RecordingPublisher
from imagetron_contracts.ids import event_id
from imagetron_contracts.stages import Lane
from imagetron_gateway.adapters.jobs import DocumentJobs
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.usecases import SOURCE, TooManyWriters
from support.builders import (
    a_family_started,
    a_job,
    a_job_id,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
)
from unit.gateway.desks import ANNA, Office, RacingDocuments, RacingJobs

LATER = LEFT_BEHIND_AFTER.total_seconds() + 1
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def admitted(office: Office, **fields) -> Job:
    job = await office.submit(**{"families": ("square",)} | fields)
    await office.admit()
    return await office.read(job.id)


async def test_state_and_outbox_are_stored_in_one_version():
    office = Office(publisher=RecordingPublisher(*[BrokerUnavailable("away")] * 9))
    job = await admitted(office)
    (changed,) = await office.take_in(family_published(job))
    stored = await office.read(job.id)

    assert stored == changed
    assert stored.version == job.version + 1
    assert stored.status is JobStatus.COMPLETED
    assert [entry.id for entry in stored.outbox] == [
        event_id(job.id, 1),
        job.outbox[1].id,
        event_id(job.id, 2),
        event_id(job.id, 3),
    ]


async def test_messages_travel_to_their_exchange_under_their_key_with_cause_subject_and_sequence():
    office = Office()
    job = await admitted(office)
    message = family_published(job)
    await office.take_in(message)
    sent = {envelope.type: envelope for envelope in office.publisher.envelopes()}
    routes = {item.message_id: (item.exchange, item.routing_key) for item in office.publisher.sent}

    assert list(sent) == ["VARIATION_STARTED", "FAMILY_REQUESTED", "FAMILY_COMPLETED", "VARIATION_COMPLETED"]
    request, completed = sent["FAMILY_REQUESTED"], sent["FAMILY_COMPLETED"]
    assert routes[request.id] == ("imagetron.stages", "family.requested.interactive")
    assert routes[completed.id] == ("imagetron.events", "image.family.completed.v1")
    assert (request.sequence, request.causationid, completed.sequence) == (None, None, 2)
    assert completed.causationid == office.envelope(message).id
    assert {(envelope.subject, envelope.correlationid, envelope.source) for envelope in sent.values()} == {
        (job.id, job.id, SOURCE)
    }


async def test_messages_that_no_request_led_to_belong_to_the_trace_of_the_submission():
    office = Office()
    job = await office.submit()
    await office.jobs.replace(job.model_copy(update={"traceparent": TRACE, "version": 2}), ANNA, if_version=1)
    await office.admit()

    assert {envelope.traceparent for envelope in office.publisher.envelopes()} == {TRACE}


async def test_no_message_holds_a_prompt():
    office = Office()
    job = await admitted(office, prompt="canary-prompt", negative_prompt="canary-negative")
    await office.take_in(
        a_family_started(job), renders_generated(job), derivatives_rendered(job), family_published(job)
    )

    assert len(office.publisher.sent) == 4
    assert not any(b"canary" in message.body for message in office.publisher.sent)


async def test_a_message_that_says_nothing_new_stores_nothing():
    office = Office()
    job = await admitted(office)
    await office.take_in(family_published(job))
    before = await office.read(job.id)

    assert await office.take_in(family_published(job)) == [None]
    assert await office.read(job.id) == before


async def test_a_message_about_a_job_that_does_not_exist_is_dropped():
    office = Office()

    assert await office.take_in(family_published(a_job(id=a_job_id(404)))) == [None]
    assert await office.stored() == 0


@pytest.mark.parametrize("races", [1, 5, 19])
async def test_a_commit_that_loses_a_race_decides_anew_on_what_is_there(races):
    documents = InMemoryDocuments()
    jobs = RacingJobs(documents)
    office = Office(jobs)
    job = await admitted(office)
    jobs.races = races

    (changed,) = await office.take_in(family_published(job))

    stored = await office.read(job.id)
    assert changed is not None
    assert stored.status is JobStatus.COMPLETED
    assert stored.version == changed.version + 1  # the relay emptied the outbox
    assert office.sent().count("VARIATION_COMPLETED") == 1


async def test_a_commit_that_loses_every_race_gives_up_and_changes_nothing():
    jobs = RacingJobs(InMemoryDocuments())
    office = Office(jobs)
    job = await admitted(office)
    jobs.races = 20

    with pytest.raises(TooManyWriters, match=f"job {job.id} changed under 20 tries"):
        await office.take_in(family_published(job))

    assert (await office.read(job.id)).status is JobStatus.QUEUED
    assert "FAMILY_COMPLETED" not in office.sent()


async def test_messages_of_one_job_that_arrive_at_once_all_count():
    office = Office()
    names = ("square", "landscape", "portrait", "hero", "facebook-og")
    job = await admitted(office, families=names)

    await asyncio.gather(*(office.take_in(family_published(job, name)) for name in names for _ in range(2)))
    await office.relay.finish()

    assert (await office.read(job.id)).status is JobStatus.COMPLETED
    sequences = [envelope.sequence for envelope in office.publisher.envelopes() if envelope.sequence is not None]
    assert sorted(set(sequences)) == list(range(1, 8))
    assert {office.sent().count(kind) for kind in ("VARIATION_STARTED", "VARIATION_COMPLETED")} == {1}


async def test_the_outbox_is_empty_only_after_the_confirms():
    office = Office()
    job = await admitted(office)
    await office.take_in(family_published(job))
    stored = await office.read(job.id)

    assert (stored.outbox, stored.outbox_at) == ((), None)
    assert office.sent() == ["VARIATION_STARTED", "FAMILY_REQUESTED", "FAMILY_COMPLETED", "VARIATION_COMPLETED"]


@pytest.mark.parametrize("failure", [BrokerUnavailable("away"), PublishUnconfirmed("no confirm")])
async def test_what_the_broker_did_not_take_stays_and_the_sweep_sends_it_later_in_order(failure):
    office = Office(publisher=RecordingPublisher(None, failure, failure))
    job = await admitted(office)

    assert office.sent() == ["VARIATION_STARTED"]
    assert [entry.routing_key for entry in job.outbox] == ["family.requested.interactive"]
    assert job.outbox_at == office.clock.now()

    assert await office.relay.sweep() == 0  # the fast path may still be at it
    office.clock.advance(LATER)
    assert await office.relay.sweep() == 1
    assert office.sent() == ["VARIATION_STARTED"]
    await office.take_in(stage_failed(job))
    office.clock.advance(LATER)
    await office.relay.sweep()

    assert office.sent() == ["VARIATION_STARTED", "FAMILY_REQUESTED", "FAMILY_FAILED", "VARIATION_FAILED"]
    assert (await office.read(job.id)).outbox == ()
    assert await office.relay.sweep() == 0


@pytest.mark.parametrize("races", [1, 19])
async def test_sent_entries_are_removed_though_the_document_changes_meanwhile(races):
    documents = RacingDocuments()
    office = Office(DocumentJobs(documents), RecordingPublisher(BrokerUnavailable("away")))
    job = await admitted(office)
    documents.races = races

    await office.relay.relay(job.id)

    assert (await office.read(job.id)).outbox == ()
    assert office.sent() == ["VARIATION_STARTED", "FAMILY_REQUESTED"]


async def test_sent_entries_that_cannot_be_removed_are_sent_again_under_the_same_ids():
    documents = RacingDocuments()
    office = Office(DocumentJobs(documents), RecordingPublisher(BrokerUnavailable("away")))
    job = await admitted(office)
    documents.races = 20
    await office.relay.relay(job.id)
    assert len((await office.read(job.id)).outbox) == 2

    await office.relay.relay(job.id)

    first, second = office.publisher.sent[:2], office.publisher.sent[2:]
    assert first == second
    assert (await office.read(job.id)).outbox == ()


async def test_the_age_of_the_outbox_is_that_of_its_oldest_entry():
    office = Office(publisher=RecordingPublisher(*[BrokerUnavailable("away")] * 9))
    job = await admitted(office)
    office.clock.advance(1)
    await office.take_in(stage_failed(job))
    stored = await office.read(job.id)

    assert len(stored.outbox) == 4
    assert stored.outbox_at == job.outbox_at == job.created_at


async def test_entries_of_a_document_that_is_gone_are_forgotten():
    office = Office()
    await office.jobs.mark_sent(a_job_id(404), frozenset({"sent"}))
    await office.relay.relay(a_job_id(404))

    assert office.sent() == []


async def test_overdue_work_is_asked_for_again_and_what_is_not_due_is_left_alone():
    office = Office()
    overdue = await admitted(office, name="overdue")
    office.clock.advance(1)
    recent = await admitted(office, name="recent")
    assert overdue.next_check_at is not None

    assert await office.check() == 0
    office.clock.advance((overdue.next_check_at - office.clock.now()).total_seconds())
    assert await office.check() == 1

    assert office.sent().count("FAMILY_REQUESTED") == 3
    assert (await office.read(recent.id)).version == recent.version
    assert await office.check() == 0


async def test_silent_work_ends_in_failure_that_its_owner_can_read():
    office = Office()
    job = await admitted(office, lane=Lane.INTERACTIVE)
    while (due := (await office.read(job.id)).next_check_at) is not None:
        office.clock.advance((due - office.clock.now()).total_seconds())
        await office.check()
    ended = await office.jobs.get(job.id, ANNA)

    assert ended is not None
    assert ended.status is JobStatus.FAILED
    assert ended.error == f"square: no answer after asking 6 times; please quote {job.id}"
    assert office.sent()[-2:] == ["FAMILY_FAILED", "VARIATION_FAILED"]


async def test_documents_read_back_equal_to_what_was_written():
    office = Office()
    job = await admitted(office)
    changed = (await office.take_in(renders_generated(job), family_published(job)))[-1]

    assert changed is not None
    read = await office.read(job.id)
    assert read.model_copy(update={"version": 0, "outbox": (), "outbox_at": None}) == changed.model_copy(
        update={"version": 0, "outbox": (), "outbox_at": None}
    )
