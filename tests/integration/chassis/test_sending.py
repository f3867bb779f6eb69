"""What the publisher wrapper promises of one message: kept, routed, confirmed, or an error that says which it was not."""

import asyncio

import aio_pika
import pytest

from imagetron_chassis.publishing import BrokerUnavailable, Outgoing, Unroutable, outgoing
from imagetron_contracts.envelope import CONTENT_TYPE
from imagetron_contracts.events import VariationStarted
from imagetron_contracts.stages import JobChanged, ObjectsDiscarded
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_RENDERS, PUBLISHER_DISCARDS, Exchange, delay_queue
from integration.chassis.workbench import JOB_ID, Bench, renders
from support.eventually import eventually


async def listening(bench: Bench, exchange: Exchange) -> str:
    """A queue that hears everything of the exchange."""
    queue = await bench.outside.declare_queue(exclusive=True)
    await queue.bind(exchange.value, routing_key="#")
    return queue.name


async def test_work_is_persistent_and_arrives_in_every_queue_bound_to_its_key(bench: Bench):
    await bench.publish(renders())

    arrived = [await bench.take(queue.name) for queue in (DERIVER_RENDERS, GATEWAY_RENDERS)]
    assert {message.delivery_mode for message in arrived} == {aio_pika.DeliveryMode.PERSISTENT}
    assert {message.content_type for message in arrived} == {CONTENT_TYPE}
    assert arrived[0].body == arrived[1].body


async def test_public_events_are_persistent_and_hints_are_not(bench: Bench):
    await bench.facts()
    events = await listening(bench, Exchange.EVENTS)
    hints = await listening(bench, Exchange.HINTS)

    await bench.publish(
        VariationStarted(variation_id=JOB_ID, name="n", family_count=1), JobChanged(job_id=JOB_ID, version=1)
    )

    assert (await bench.take(events)).delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert (await bench.take(hints)).delivery_mode is aio_pika.DeliveryMode.NOT_PERSISTENT


async def test_the_message_carries_the_id_of_its_envelope(bench: Bench):
    facts = await bench.facts()
    envelope = facts.wrap(renders())

    await facts.send(Outgoing(envelope.id, "", DERIVER_RENDERS.name, envelope.encode()))

    assert (await bench.take(DERIVER_RENDERS.name)).message_id == envelope.id


async def test_work_that_no_queue_takes_is_an_error(bench: Bench):
    facts = await bench.facts()
    discarded = outgoing(facts.wrap(ObjectsDiscarded(job_id=JOB_ID, keys=("a",))))

    error = await the_refusal(bench, discarded, without=PUBLISHER_DISCARDS.name)

    assert PUBLISHER_DISCARDS.routing_key in str(error)


async def test_a_delayed_retry_whose_delay_queue_is_gone_is_an_error(bench: Bench):
    put_off = Outgoing("m", delay_queue(5), DERIVER_RENDERS.name, b"{}")

    error = await the_refusal(bench, put_off, without=delay_queue(5))

    assert delay_queue(5) in str(error)


async def the_refusal(bench: Bench, message: Outgoing, *, without: str) -> Unroutable:
    """What sending says while the queue does not exist. Every process restores the topology soon after it connects."""
    facts = await bench.facts()
    refusals: list[Unroutable] = []

    async def is_refused() -> bool:
        await bench.outside.queue_delete(without)
        try:
            await facts.send(message)
        except Unroutable as error:
            refusals.append(error)
        return bool(refusals)

    await eventually(is_refused)
    return refusals[0]


async def test_a_public_event_or_a_hint_that_nobody_hears_is_no_error(bench: Bench):
    await bench.publish(VariationStarted(variation_id=JOB_ID, name="n", family_count=1))
    await bench.publish(JobChanged(job_id=JOB_ID, version=1))


async def test_an_unroutable_message_does_not_disturb_its_neighbours_on_the_channel(bench: Bench):
    facts = await bench.facts()

    results = await asyncio.gather(
        *(
            facts.send(Outgoing(f"m{number}", "", DERIVER_RENDERS.name if number % 2 else f"no-queue-{number}", b"{}"))
            for number in range(20)
        ),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [Unroutable, type(None)] * 10
    assert await bench.ready(DERIVER_RENDERS.name) == 10


async def test_two_copies_of_one_message_on_their_way_at_once_are_both_told_that_no_queue_takes_them(bench: Bench):
    facts = await bench.facts()
    message = Outgoing("the-same-id", "", "no-such-queue", b"{}")

    results = await asyncio.gather(*(facts.send(message) for _ in range(5)), return_exceptions=True)

    assert [type(result) for result in results] == [Unroutable] * 5


async def test_an_exchange_that_does_not_exist_is_an_error_and_others_leave_again_soon_after(bench: Bench):
    facts = await bench.facts()

    with pytest.raises(BrokerUnavailable):
        await facts.send(Outgoing("m", "no.such.exchange", "key", b"{}"))

    async def leaves() -> bool:
        try:
            await bench.publish(renders())
        except BrokerUnavailable:  # the broker closed the channel, and it opens again by itself
            return False
        return True

    await eventually(leaves)
    assert await bench.ready(DERIVER_RENDERS.name) == 1


async def test_a_full_queue_refuses_a_message_instead_of_dropping_another_and_takes_it_when_there_is_room(bench: Bench):
    limit = '{"max-length": 2}'
    facts = await bench.facts()
    bench.node.ctl("set_policy", "-p", bench.vhost, "full", f"^{DERIVER_RENDERS.name}$", limit, "--apply-to", "queues")

    async def is_taken() -> bool:
        try:
            await facts.send(Outgoing("m", "", DERIVER_RENDERS.name, b"{}"))
        except BrokerUnavailable:
            return False
        return True

    async def is_refused() -> bool:
        return not await is_taken()

    await eventually(is_refused)
    full = await bench.ready(DERIVER_RENDERS.name)
    with pytest.raises(BrokerUnavailable, match="refused message m"):
        await facts.send(Outgoing("m", "", DERIVER_RENDERS.name, b"{}"))
    assert await bench.ready(DERIVER_RENDERS.name) == full >= 2

    for _ in range(full):
        await bench.take(DERIVER_RENDERS.name)
    await eventually(is_taken)
