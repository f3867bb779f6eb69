"""What was deleted under running services comes back, also where nobody consumes it."""

from imagetron_chassis.delivery import Subscription
from imagetron_chassis.errors import Transient
from imagetron_contracts.topology import DERIVER_RENDERS, GENERATOR_CALLBACKS, delay_queue
from integration.chassis.workbench import Bench, Handler, renders
from support.eventually import eventually

UNCONSUMED = (delay_queue(5), DERIVER_RENDERS.dead_letters, GENERATOR_CALLBACKS.name)


async def test_deleted_queues_that_nobody_consumes_come_back(bench: Bench):
    broker = await bench.broker()
    for name in UNCONSUMED:
        await bench.outside.queue_delete(name)

    await broker.restore_topology()

    assert [await bench.ready(name) for name in UNCONSUMED] == [0, 0, 0]


async def test_a_message_is_put_off_again_after_the_delay_queue_was_deleted(bench: Bench):
    handler = Handler((), *(Transient("busy"),) * 3, ())
    _, broker = await bench.consume(Subscription(DERIVER_RENDERS, handler))
    await bench.publish(renders(1))  # connects and declares, so that nobody does it after the deletion
    await eventually(lambda: handler.numbers == [1])
    await bench.outside.queue_delete(delay_queue(5))

    await bench.publish(renders(2))
    await eventually(lambda: len(handler.given) == 4)
    await broker.restore_topology()

    await eventually(lambda: len(handler.given) == 5, within_seconds=20)
