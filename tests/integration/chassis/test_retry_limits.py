"""What bounds retries: a budget for those at once, and an age for a message that is told again and again to come later."""

from collections.abc import Sequence
from datetime import timedelta

from imagetron_chassis.delivery import Subscription
from imagetron_chassis.errors import RateLimited, Transient
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_contracts.stages import StageFailed
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_FAILED, delay_queue
from integration.chassis.workbench import Bench, Handler, number_of, renders, stage_failed
from support.eventually import eventually

WORK = DERIVER_RENDERS


async def test_in_an_outage_messages_go_to_the_retry_queue_at_once_instead_of_trying_three_times_each(bench: Bench):
    handler = Handler(Transient("away"))
    await bench.consume(Subscription(WORK, handler, failure=stage_failed, concurrency=40))

    await bench.publish(*(renders(number) for number in range(1, 41)))

    await eventually(lambda: set(numbers(handler, tries=2)) == set(range(1, 41)), within_seconds=30)
    # Ten retries were there to begin with; forty first tries and forty second ones earn four each. All would be eighty.
    assert 40 + 10 <= len(numbers(handler, tries=1)) <= 40 + 10 + 8


def numbers(handler: Handler, *, tries: int) -> list[int]:
    return [number_of(envelope) for envelope in handler.given if envelope.try_count == tries]


class QueueFull(RateLimited):
    failure_code = FailureCode.MODEL_UNAVAILABLE


async def test_the_owner_is_told_after_a_day_of_coming_back_later(bench: Bench):
    asked: list[Envelope] = []

    async def full(envelope: Envelope) -> Sequence[Message]:
        asked.append(envelope)
        raise QueueFull("the queue is full", retry_after_seconds=5)

    await bench.consume(Subscription(WORK, full, failure=stage_failed))
    await hand_over(bench, renders(1), hours_ago=25)
    await hand_over(bench, renders(2), hours_ago=23)

    failed = (await bench.take_envelope(GATEWAY_FAILED.name)).data
    assert isinstance(failed, StageFailed)
    assert (failed.attempt, failed.code) == (1, FailureCode.MODEL_UNAVAILABLE)
    again = await bench.take_envelope(delay_queue(5))
    assert (again.data, again.try_count) == (renders(2), 1)
    assert again.time == asked[1].time


async def hand_over(bench: Bench, message: Message, *, hours_ago: float) -> None:
    envelope = (await bench.facts()).wrap(message)
    envelope = envelope.model_copy(update={"time": envelope.time - timedelta(hours=hours_ago)})
    await bench.put(envelope.encode(), queue=WORK.name)
