"""What the publisher answers to its queues."""

import asyncio
from datetime import UTC, datetime

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.delivery import GivenUp
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.message import Message
from imagetron_contracts.spec import cancelled_key
from imagetron_contracts.stages import FamilyPublished, ObjectsDiscarded, StageFailed
from imagetron_contracts.topology import PUBLISHER_DERIVATIVES, PUBLISHER_DISCARDS
from imagetron_publisher.adapters.unsigned import Unsigned
from imagetron_publisher.handlers import Dependencies, subscriptions
from unit.publisher.families import JOB, an_image, derivatives_rendered, put_derived


def an_envelope(message: Message) -> Envelope:
    return Envelope.wrap(
        message, message_id=message.message_id(), source="test", time=datetime(2026, 1, 1, tzinfo=UTC), job_id=JOB
    )


@pytest.fixture
def deps():
    return Dependencies(work=InMemoryBlobs(), public=InMemoryBlobs(), signer=Unsigned(), copies=asyncio.Semaphore(2))


async def test_derivatives_are_answered_with_published_files_and_a_cancelled_job_with_nothing(deps):
    publishing, _ = subscriptions(deps)
    message = derivatives_rendered()
    await put_derived(deps.work, message)

    answered = await publishing.handle(an_envelope(message))
    await deps.work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")
    dropped = await publishing.handle(an_envelope(message))

    assert publishing.queue is PUBLISHER_DERIVATIVES
    assert [type(fact) for fact in answered] == [FamilyPublished]
    assert list(dropped) == []


async def test_discards_are_carried_out_without_an_answer_and_never_given_up(deps):
    _, discarding = subscriptions(deps)
    await deps.public.put_if_absent(f"{JOB}/a.webp", b"a picture", content_type="image/webp")

    answered = await discarding.handle(an_envelope(ObjectsDiscarded(job_id=JOB, keys=(f"{JOB}/a.webp",))))

    assert discarding.queue is PUBLISHER_DISCARDS
    assert discarding.failure is None
    assert list(answered) == []
    assert await deps.public.head(f"{JOB}/a.webp") is None


def test_giving_up_names_every_image_of_the_message(deps):
    publishing, _ = subscriptions(deps)
    assert publishing.failure is not None

    why = GivenUp(FailureCode.STORAGE_UNAVAILABLE, "away", "abc123")
    (fact,) = publishing.failure(derivatives_rendered(an_image(0), an_image(2)), why)

    assert isinstance(fact, StageFailed)
    assert (fact.stage, fact.code) == (Stage.PUBLISHING, FailureCode.STORAGE_UNAVAILABLE)
    assert fact.image_indexes == (0, 2)
    assert (fact.message, fact.support_id) == ("away", "abc123")


@pytest.mark.parametrize("derivation", [None, 2])
def test_giving_up_says_which_cutting_it_is_about(deps, derivation):
    publishing, _ = subscriptions(deps)
    assert publishing.failure is not None

    why = GivenUp(FailureCode.STORAGE_UNAVAILABLE, "away", "abc123")
    (fact,) = publishing.failure(derivatives_rendered(derivation=derivation), why)

    assert isinstance(fact, StageFailed)
    assert fact.derivation == derivation
