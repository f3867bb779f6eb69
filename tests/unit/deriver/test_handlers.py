"""What the deriver answers to its queue."""

from datetime import UTC, datetime

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.delivery import GivenUp
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.message import Message
from imagetron_contracts.spec import cancelled_key
from imagetron_contracts.stages import DerivativesRendered, StageFailed
from imagetron_contracts.topology import DERIVER_RENDERS, DERIVER_REQUESTS
from imagetron_deriver.adapters.memory import InMemoryCutter
from imagetron_deriver.handlers import Dependencies, subscriptions
from unit.deriver.renders import JOB, an_image, derivatives_requested, put_render, put_spec, renders_generated


def an_envelope(message: Message) -> Envelope:
    return Envelope.wrap(
        message, message_id=message.message_id(), source="test", time=datetime(2026, 1, 1, tzinfo=UTC), job_id=JOB
    )


async def test_renders_are_answered_with_derivatives_and_a_cancelled_job_with_nothing():
    work = InMemoryBlobs()
    await put_spec(work)
    await put_render(work, b"first")
    subscription, _ = subscriptions(Dependencies(work, InMemoryCutter(), processes=3))

    answered = await subscription.handle(an_envelope(renders_generated()))
    await work.put_if_absent(cancelled_key(JOB, 1), b"", content_type="text/plain")
    dropped = await subscription.handle(an_envelope(renders_generated()))

    assert subscription.queue is DERIVER_RENDERS
    assert subscription.concurrency == 3
    assert [type(fact) for fact in answered] == [DerivativesRendered]
    assert list(dropped) == []


async def test_a_request_to_cut_again_is_answered_with_the_derivatives_of_that_derivation():
    work = InMemoryBlobs()
    await put_spec(work)
    await put_render(work, b"first")
    _, subscription = subscriptions(Dependencies(work, InMemoryCutter(), processes=3))

    (fact,) = await subscription.handle(an_envelope(derivatives_requested(derivation=2)))

    assert subscription.queue is DERIVER_REQUESTS
    assert subscription.concurrency == 3
    assert isinstance(fact, DerivativesRendered)
    assert fact.derivation == 2


@pytest.mark.parametrize(
    ("message", "derivation"),
    [(renders_generated(an_image(0), an_image(1)), None), (derivatives_requested(an_image(0), an_image(1)), 1)],
)
def test_giving_up_names_every_image_of_the_message_and_its_derivation(message, derivation):
    both = subscriptions(Dependencies(InMemoryBlobs(), InMemoryCutter(), processes=1))
    (subscription,) = (each for each in both if isinstance(message, each.queue.message))
    assert subscription.failure is not None

    why = GivenUp(FailureCode.WORK_LOST, "gone", "abc123")
    (fact,) = subscription.failure(message, why)

    assert isinstance(fact, StageFailed)
    assert (fact.stage, fact.code, fact.image_indexes) == (Stage.DERIVING, FailureCode.WORK_LOST, (0, 1))
    assert (fact.message, fact.support_id, fact.derivation) == ("gone", "abc123", derivation)
