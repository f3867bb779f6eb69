"""The topology on a real broker: its arguments, declaring it again and at once, and readiness that tells the truth."""

import asyncio
import json

import pytest

from imagetron_chassis.broker import Broker, ConsumerMissing
from imagetron_chassis.delivery import Subscription
from imagetron_contracts.topology import DERIVER_RENDERS, QUEUES, RETRY_DELAYS_SECONDS, Exchange, delay_queue
from integration.chassis.workbench import Bench, Handler, renders, start_python
from support.eventually import eventually

CONNECT = """
import asyncio, sys
from imagetron_chassis.broker import Broker

async def main():
    broker = Broker(sys.argv[1], "test")
    await broker.connect()
    await broker.close()

asyncio.run(main())
"""


def listed(bench: Bench, what: str, *columns: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(
        bench.node.ctl(what, "-p", bench.vhost, *columns, "--formatter", "json", "--silent")
    )
    return rows


async def test_every_queue_keeps_what_it_is_promised_to_keep(bench: Bench):
    await bench.broker()

    queues = {
        str(queue["name"]): queue for queue in listed(bench, "list_queues", "name", "type", "durable", "arguments")
    }

    assert {queue["type"] for queue in queues.values()} == {"quorum"}
    assert all(queue["durable"] for queue in queues.values())
    arguments = {name: {key: value for key, _, value in queue["arguments"]} for name, queue in queues.items()}  # type: ignore[attr-defined]
    for queue in QUEUES:
        assert arguments[queue.name].items() >= {
            ("x-delivery-limit", 5),
            ("x-dead-letter-exchange", "imagetron.dead"),
            ("x-dead-letter-routing-key", queue.name),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        }
        assert "x-message-ttl" not in arguments[queue.dead_letters]
    for seconds in RETRY_DELAYS_SECONDS:
        assert arguments[delay_queue(seconds)].items() >= {
            ("x-message-ttl", seconds * 1000),
            ("x-dead-letter-exchange", ""),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        }
    dead = {queue.dead_letters for queue in QUEUES}
    assert set(queues) == {queue.name for queue in QUEUES} | dead | {delay_queue(s) for s in RETRY_DELAYS_SECONDS}


async def test_a_queue_is_bound_to_the_key_of_its_messages_and_to_nothing_else_whoever_declares_it(bench: Bench):
    await bench.consume(*(Subscription(queue, Handler()) for queue in QUEUES))

    bindings = listed(bench, "list_bindings", "source_name", "destination_name", "routing_key")

    ours = {tuple(map(str, binding.values())) for binding in bindings if binding["source_name"]}
    assert ours == {
        *((queue.exchange.value, queue.name, queue.routing_key) for queue in QUEUES),
        *((Exchange.DEAD.value, queue.dead_letters, queue.name) for queue in QUEUES),
        *((delay_queue(seconds), delay_queue(seconds), delay_queue(seconds)) for seconds in RETRY_DELAYS_SECONDS),
    }


async def test_no_exchange_has_an_alternate_which_would_hide_a_return(bench: Bench):
    await bench.broker()

    exchanges = listed(bench, "list_exchanges", "name", "durable", "arguments")

    ours = [exchange for exchange in exchanges if str(exchange["name"]).startswith("imagetron.")]
    assert len(ours) == 5 + len(RETRY_DELAYS_SECONDS)
    assert all(exchange["durable"] for exchange in ours)
    assert [exchange["arguments"] for exchange in ours] == [[]] * len(ours)


async def test_the_topology_can_be_declared_again_and_nothing_in_it_is_lost(bench: Bench):
    broker = await bench.broker()
    await bench.publish(renders())

    await broker.declare_topology()
    await bench.broker()

    assert await bench.ready(DERIVER_RENDERS.name) == 1


async def test_several_processes_may_declare_the_topology_at_the_same_moment(bench: Bench):
    processes = [start_python(CONNECT, bench.url) for _ in range(2)]
    brokers = [await bench.broker(is_connected=False) for _ in range(4)]

    await asyncio.gather(*(broker.connect() for broker in brokers))
    ended = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))

    assert [process.returncode for process in processes] == [0, 0], ended
    await bench.publish(renders())
    assert await bench.ready(DERIVER_RENDERS.name) == 1


async def test_a_process_with_consumers_on_all_its_queues_is_well(bench: Bench):
    _, broker = await bench.consume(*(Subscription(queue, Handler()) for queue in QUEUES[:3]))

    await broker.consumers_exist()


async def test_a_process_that_does_not_consume_yet_is_not_well(bench: Bench):
    broker = await bench.broker()
    broker.watch([DERIVER_RENDERS.name])

    with pytest.raises(ConsumerMissing, match=f"nobody consumes {DERIVER_RENDERS.name}"):
        await broker.consumers_exist()


async def test_a_process_whose_queue_does_not_exist_is_not_well_however_often_it_is_asked(bench: Bench):
    broker = await bench.broker()
    broker.watch(["no-such-queue"])

    for _ in range(10):
        with pytest.raises(ConsumerMissing):
            await broker.consumers_exist()

    await eventually(lambda: has_few_channels(broker))


async def has_few_channels(broker: Broker) -> bool:
    connection = await broker.consuming.connect()
    assert connection.transport
    return sum(1 for channel in connection.transport.connection.channels.values() if channel) <= 2


async def test_a_process_that_is_not_connected_is_not_well(bench: Bench):
    broker = await bench.broker()
    broker.watch([DERIVER_RENDERS.name])
    connection = await broker.consuming.connect()
    await connection.close()

    with pytest.raises(ConsumerMissing, match="cannot be seen"):
        await broker.consumers_exist()


async def test_a_queue_that_was_deleted_under_its_consumer_comes_back_bound_and_consumed(bench: Bench):
    handler = Handler()
    _, broker = await bench.consume(Subscription(DERIVER_RENDERS, handler))

    await bench.publish(renders(1))  # connects and declares, so that nobody does it after the deletion
    await eventually(lambda: handler.numbers == [1])

    await bench.outside.queue_delete(DERIVER_RENDERS.name)

    async def is_well() -> bool:
        try:
            await broker.consumers_exist()
        except ConsumerMissing:
            return False
        return True

    await eventually(is_well)
    await bench.publish(renders(2))
    await eventually(lambda: handler.numbers == [1, 2])
