"""What the consumer wrapper does with a message on a real broker: ack, try again, give up, keep for an operator."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.delivery import GivenUp, Subscription
from imagetron_chassis.errors import Permanent, QuotaExceeded, RateLimited, ResourceExhausted, Transient, UnknownOutcome
from imagetron_chassis.publishing import BrokerUnavailable, PublishUnconfirmed
from imagetron_contracts.envelope import MAX_BODY_BYTES, Envelope
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_contracts.stages import StageFailed
from imagetron_contracts.topology import (
    DERIVER_RENDERS,
    GATEWAY_FAILED,
    GATEWAY_PUBLISHED,
    GATEWAY_RENDERS,
    delay_queue,
)
from integration.chassis.workbench import (
    Bench,
    FailingPublisher,
    GatedHandler,
    Handler,
    number_of,
    published,
    renders,
    stage_failed,
)
from support.eventually import eventually

WORK = DERIVER_RENDERS
CANARY = "canary-55d0-a-prompt"


def work(handler: Any, **options: Any) -> Subscription:
    return Subscription(WORK, handler, **{"failure": stage_failed, **options})


async def the_failure(bench: Bench) -> StageFailed:
    fact = (await bench.take_envelope(GATEWAY_FAILED.name)).data
    assert isinstance(fact, StageFailed)
    return fact


async def test_a_fact_that_a_handler_returns_is_published_because_of_its_message_and_the_message_is_gone(bench: Bench):
    handler = Handler([published(7)])
    _, broker = await bench.consume(work(handler))

    await bench.publish(renders())
    fact = await bench.take_envelope(GATEWAY_PUBLISHED.name)
    await broker.close()

    assert fact.data == published(7)
    assert (fact.causationid, fact.correlationid) == (handler.given[0].id, handler.given[0].correlationid)
    assert await bench.is_empty(WORK.name, WORK.dead_letters)


async def test_a_message_is_acked_only_after_its_facts_are_confirmed(bench: Bench):
    entered, gate = asyncio.Event(), asyncio.Event()

    class LateToRefuse:
        async def send(self, _: object) -> None:
            entered.set()
            await gate.wait()
            raise BrokerUnavailable("away")

    _, broker = await bench.consume(work(Handler([published()])), publisher=LateToRefuse())
    await bench.publish(renders())
    await entered.wait()

    await broker.consuming.stop()

    assert (await bench.take(WORK.name)).redelivered
    gate.set()


async def test_facts_that_cannot_be_published_bring_the_message_back(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, PublishUnconfirmed("late"))
    await bench.consume(work(Handler([published()])), publisher=publisher)

    await bench.publish(renders())

    assert (await bench.take_envelope(delay_queue(5))).try_count == 2
    assert await bench.is_empty(GATEWAY_PUBLISHED.name, WORK.name)


def with_(change: dict[str, Any]) -> bytes:
    body = {
        "specversion": "1.0",
        "id": "m1",
        "source": "imagetron/test",
        "type": "RENDERS_GENERATED",
        "time": "2026-01-01T00:00:00Z",
        "dataschema": "urn:imagetron:schema:renders-generated.v1",
        "data": json.loads(renders().model_dump_json(by_alias=True)),
    }
    return json.dumps(body | change).encode()


UNREADABLE = {
    "nothing": b"",
    "broken bytes": b"\xff\x00{not json",
    "nested too deep": b"[" * 60_000,
    "half an envelope": b'{"specversion": "1.0"}',
    "an unknown type": with_({"type": "NEVER_HEARD_OF"}),
    "a known type of another queue": with_({"type": "FAMILY_STARTED"}),
    "a newer major": with_({"dataschema": "urn:imagetron:schema:renders-generated.v2"}),
    "data that breaks its schema": with_({"data": {}}),
    "too big": with_({"filler": "x" * MAX_BODY_BYTES}),
}


async def test_each_unreadable_message_is_kept_whole_for_an_operator_at_once_and_its_neighbours_go_on(bench: Bench):
    handler = Handler()
    await bench.consume(work(handler))

    await bench.publish(renders(1))
    for body in UNREADABLE.values():
        await bench.put(body, queue=WORK.name)
    await bench.publish(renders(2))

    dead = [(await bench.take(WORK.dead_letters)).body for _ in UNREADABLE]
    names = {body: name for name, body in UNREADABLE.items()}
    assert sorted(names.get(body, "changed on its way") for body in dead) == sorted(UNREADABLE)
    await eventually(lambda: handler.numbers == [1, 2])
    assert await bench.is_empty(WORK.name, WORK.dead_letters, GATEWAY_FAILED.name)


async def test_a_transient_error_is_tried_twice_more_in_place_before_the_message_is_given_back(bench: Bench):
    handler = Handler(Transient("busy"), Transient("busy"), [published()])
    await bench.consume(work(handler))

    await bench.publish(renders())

    await bench.take(GATEWAY_PUBLISHED.name)
    assert [envelope.try_count for envelope in handler.given] == [1, 1, 1]
    assert await bench.is_empty(WORK.name, delay_queue(5))


async def test_what_stays_transient_comes_back_after_its_delay_as_the_same_message_and_only_to_its_own_queue(
    bench: Bench,
):
    handler = Handler(*[Transient("busy")] * 3, [])
    neighbour = Handler()
    await bench.consume(work(handler))
    await bench.consume(Subscription(GATEWAY_RENDERS, neighbour))

    await bench.publish(renders())
    await eventually(lambda: len(handler.given) == 4, within_seconds=10)

    assert [envelope.try_count for envelope in handler.given] == [1, 1, 1, 2]
    assert len({envelope.id for envelope in handler.given}) == 1
    assert handler.given[3].data == renders()
    assert len(neighbour.given) == 1
    assert await bench.is_empty(WORK.name, GATEWAY_RENDERS.name, delay_queue(5), WORK.dead_letters)


@pytest.mark.parametrize(
    ("error", "tries", "seconds"),
    [
        (UnknownOutcome("late"), 1, 5),
        (UnknownOutcome("late"), 2, 30),
        (ResourceExhausted("too big"), 1, 5),
        (KeyError(CANARY), 1, 5),
        (KeyError(CANARY), 2, 30),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_a_failed_message_waits_in_the_delay_of_its_class_with_one_more_try_to_its_name(
    bench: Bench, error: Exception, tries: int, seconds: int
):
    handler = Handler(error)
    await bench.consume(work(handler))

    sent = await bench.hand_over(renders(), queue=WORK, tries=tries)

    waiting = await bench.take(delay_queue(seconds))
    assert waiting.routing_key == WORK.name
    assert Envelope.model_validate(sent.model_copy(update={"try_count": tries + 1})).encode() == waiting.body
    assert len(handler.given) == 1
    await eventually(lambda: bench.is_empty(WORK.name, WORK.dead_letters, GATEWAY_FAILED.name))


async def test_a_rate_limited_message_waits_as_long_as_asked_and_has_not_spent_a_try(bench: Bench):
    await bench.consume(work(Handler(RateLimited("slow down", retry_after_seconds=90))))

    await bench.hand_over(renders(), queue=WORK, tries=6)

    assert (await bench.take_envelope(delay_queue(120))).try_count == 6


@pytest.mark.parametrize(
    ("error", "tries", "code"),
    [
        (Permanent("the render is gone"), 1, FailureCode.INTERNAL),
        (QuotaExceeded("the quota is spent"), 1, FailureCode.QUOTA_EXCEEDED),
        (ResourceExhausted("the picture is too big"), 2, FailureCode.OUT_OF_MEMORY),
        (UnknownOutcome("the store did not answer"), 3, FailureCode.STORAGE_UNAVAILABLE),
        (Transient("the store is away"), 6, FailureCode.STORAGE_UNAVAILABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_once_the_tries_of_its_class_are_spent_the_owner_is_told_why_and_the_message_is_gone(
    bench: Bench, error: Exception, tries: int, code: FailureCode
):
    _, broker = await bench.consume(work(Handler(error)))

    await bench.hand_over(renders(), queue=WORK, tries=tries)

    fact = await the_failure(bench)
    assert (fact.code, fact.message) == (code, str(error))
    assert fact.support_id
    await broker.close()
    assert await bench.is_empty(WORK.name, WORK.dead_letters, *(delay_queue(s) for s in (5, 30, 120, 600)))


async def test_a_bug_that_stays_tells_the_owner_a_support_id_and_no_internals_and_keeps_the_message(bench: Bench):
    await bench.consume(work(Handler(KeyError(CANARY))))

    sent = await bench.hand_over(renders(), queue=WORK, tries=3)

    fact = await the_failure(bench)
    assert fact.code is FailureCode.INTERNAL
    assert fact.support_id in fact.message
    assert CANARY not in fact.message
    assert (await bench.take(WORK.dead_letters)).body == sent.encode()


async def test_a_message_of_which_nobody_can_be_told_is_not_given_up_after_all_its_tries(bench: Bench):
    await bench.consume(work(Handler(UnknownOutcome("late")), failure=None))

    await bench.hand_over(renders(), queue=WORK, tries=50)

    assert (await bench.take_envelope(delay_queue(600))).try_count == 51


async def test_a_permanent_error_of_which_nobody_can_be_told_is_kept_for_an_operator(bench: Bench):
    await bench.consume(work(Handler(Permanent("gone")), failure=None))

    sent = await bench.hand_over(renders(), queue=WORK, tries=1)

    assert (await bench.take(WORK.dead_letters)).body == sent.encode()


async def test_a_failure_that_cannot_be_told_now_keeps_the_message_until_it_can(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, BrokerUnavailable("away"))
    await bench.consume(work(Handler(Permanent("gone"))), publisher=publisher)

    await bench.publish(renders())

    assert (await bench.take_envelope(delay_queue(5))).data == renders()
    await eventually(lambda: bench.is_empty(WORK.name, WORK.dead_letters, GATEWAY_FAILED.name))


async def test_failure_facts_that_break_leave_the_message_to_an_operator_and_the_worker_at_work(bench: Bench):
    def broken(_: Message, __: GivenUp) -> list[Message]:
        raise LookupError("a bug in the failure facts")

    handler = Handler(Permanent("gone"), [])
    await bench.consume(work(handler, failure=broken))

    sent = await bench.hand_over(renders(1), queue=WORK, tries=1)
    await bench.publish(renders(2))

    assert (await bench.take(WORK.dead_letters)).body == sent.encode()
    await eventually(lambda: handler.numbers == [1, 2])


async def test_a_handler_that_is_not_done_by_its_deadline_is_stopped_and_its_outcome_is_unknown(bench: Bench):
    stopped = asyncio.Event()

    async def endless(_: Envelope) -> list[Message]:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return []

    await bench.consume(work(endless, deadline_seconds=0.05))

    await bench.hand_over(renders(), queue=WORK, tries=3)

    fact = await the_failure(bench)
    assert (fact.code, fact.message) == (FailureCode.DEADLINE_EXCEEDED, "not done within 0.05 s")
    assert stopped.is_set()


async def test_a_handler_that_answers_its_deadline_with_an_error_of_its_own_was_late_all_the_same(bench: Bench):
    async def translating(_: Envelope) -> list[Message]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Permanent("the call was cancelled") from None
        return []

    await bench.consume(work(translating, deadline_seconds=0.05))

    await bench.hand_over(renders(), queue=WORK, tries=3)

    assert (await the_failure(bench)).message == "not done within 0.05 s"


@pytest.mark.parametrize(
    "error", [TimeoutError(CANARY), asyncio.CancelledError(CANARY)], ids=lambda e: type(e).__name__
)
async def test_a_timeout_or_cancellation_inside_a_handler_is_an_error_like_any_other(
    bench: Bench, error: BaseException
):
    await bench.consume(work(Handler(error)))

    await bench.hand_over(renders(), queue=WORK, tries=3)

    fact = await the_failure(bench)
    assert fact.message.startswith("an unexpected error")
    await bench.take(WORK.dead_letters)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_consumer_holds_as_many_messages_at_once_as_it_was_told_and_never_more(bench: Bench, concurrency: int):
    handler = GatedHandler()
    await bench.consume(work(handler, concurrency=concurrency))

    await bench.publish(*(renders(number) for number in range(1, 8)))
    await eventually(lambda: handler.holding == concurrency)
    await eventually(lambda: bench_has(bench, 7 - concurrency))
    handler.gate.set()

    await eventually(lambda: len(handler.done) == 7)
    assert handler.most_held == concurrency


async def bench_has(bench: Bench, waiting: int) -> bool:
    return await bench.ready(WORK.name) == waiting


async def test_a_message_is_given_back_as_soon_as_the_broker_takes_it_again(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, BrokerUnavailable("away"), PublishUnconfirmed("late"))
    await bench.consume(work(Handler(KeyError("a bug"))), publisher=publisher)

    await bench.publish(renders())

    assert (await bench.take_envelope(delay_queue(5))).try_count == 2
    assert publisher.refused == 2
    await eventually(lambda: bench.is_empty(WORK.name))


async def test_a_message_that_cannot_be_given_back_in_time_is_requeued_by_the_broker(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, BrokerUnavailable("away"))
    handler = Handler(KeyError("a bug"), [])
    await bench.consume(work(handler), publisher=publisher, hand_back_seconds=0.01)

    await bench.publish(renders())

    await eventually(lambda: handler.numbers == [1, 1])
    assert [envelope.try_count for envelope in handler.given] == [1, 1]


async def test_giving_back_ends_with_the_connection_and_the_message_is_redelivered(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, *[BrokerUnavailable("away")] * 1000)
    consumer, consuming = await bench.consume(work(Handler(KeyError("a bug"))), publisher=publisher)
    await bench.publish(renders())
    await eventually(lambda: publisher.refused)

    with capture_logs() as said:
        await consuming.consuming.stop()
        await eventually(lambda: not consumer._in_hand)

    assert {line["event"] for line in said} <= {"hand_back_waits"}
    assert (await bench.take(WORK.name)).redelivered


async def test_an_ack_that_no_longer_reaches_the_broker_is_no_error_and_the_message_is_redelivered(bench: Bench):
    handler = GatedHandler()
    _, broker = await bench.consume(work(handler))
    await bench.publish(renders())
    await eventually(lambda: handler.holding == 1)

    await broker.consuming.stop()
    handler.gate.set()

    await eventually(lambda: handler.done == [1])
    assert (await bench.take(WORK.name)).redelivered


async def test_each_subscription_of_a_service_gets_its_own_messages(bench: Bench):
    derived, heard = Handler(), Handler()
    await bench.consume(work(derived), Subscription(GATEWAY_PUBLISHED, heard))

    await bench.publish(renders(1), published(2))

    await eventually(lambda: derived.given and heard.given)
    assert (derived.numbers, heard.numbers) == ([1], [2])
    assert number_of(heard.given[0]) == 2
