"""Dead letters on a real broker: looking changes nothing, going home loses nothing, and only what was chosen goes."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import aio_pika
import pytest

from imagetron_chassis.broker import Broker
from imagetron_chassis.dead_letters import DeadLetterOffice
from imagetron_chassis.delivery import Subscription
from imagetron_chassis.letters import DeadLettersUnavailable
from imagetron_chassis.publishing import BrokerUnavailable, Outgoing, Publisher
from imagetron_contracts.envelope import decode
from imagetron_contracts.topology import DERIVER_RENDERS, GATEWAY_RENDERS, QUEUES
from integration.chassis.workbench import JOB_ID, Bench, FailingPublisher, Handler, number_of, renders
from support.eventually import eventually

WORK = DERIVER_RENDERS
# RabbitMQ 4 drops a message of a quorum queue after 20 deliveries unless the queue says otherwise.
MORE_THAN_A_BROKERS_DEFAULT_LIMIT = 30


async def an_office(bench: Bench, publisher: Publisher | None = None, **options: Any) -> DeadLetterOffice:
    broker = await bench.broker()
    return DeadLetterOffice(broker, publisher or broker.publisher, **options)


async def dead(bench: Bench, *bodies: bytes) -> list[bytes]:
    """These bodies are among the dead letters, in this order."""
    for body in bodies:
        await bench.put(body, queue=WORK.dead_letters)

    async def arrived() -> bool:
        return await bench.ready(WORK.dead_letters) >= len(bodies)

    await eventually(arrived)
    return list(bodies)


async def dead_messages(bench: Bench, count: int, *, tries: int = 1) -> list[bytes]:
    facts = await bench.facts()
    bodies = []
    for number in range(1, count + 1):
        envelope = facts.wrap(renders(number)).model_copy(update={"try_count": tries})
        await facts.send(Outgoing(envelope.id, "", WORK.dead_letters, envelope.encode()))
        bodies.append(envelope.encode())
    return bodies


async def bodies_in(office: DeadLetterOffice, limit: int = 200) -> list[bytes]:
    return [letter.body for letter in (await office.look(WORK, limit=limit)).letters]


async def taken(bench: Bench, queue: str, count: int) -> list[bytes]:
    return [(await bench.take(queue)).body for _ in range(count)]


def ids(bodies: Sequence[bytes]) -> list[str]:
    return [decode(body).id for body in bodies]


async def test_looking_more_often_than_a_brokers_default_limit_loses_and_reorders_nothing(bench: Bench):
    office = await an_office(bench)
    # More than 32: a broker that is left to return letters by itself mixes up such a hand.
    sent = await dead_messages(bench, 50)

    for _ in range(MORE_THAN_A_BROKERS_DEFAULT_LIMIT):
        assert await bodies_in(office) == sent

    assert await bench.ready(WORK.dead_letters) == 50


async def test_no_dead_letter_queue_counts_looks_up_to_a_limit_that_could_be_reached(bench: Bench):
    """RabbitMQ 4 would apply its own limit of 20 where the queue names none, and drop the letter."""
    await bench.broker()

    listed = json.loads(
        await asyncio.to_thread(
            bench.node.ctl, "list_queues", "-p", bench.vhost, "name", "arguments", "--formatter", "json", "--silent"
        )
    )
    limits = {
        queue["name"]: {key: value for key, _, value in queue["arguments"]}["x-delivery-limit"]
        for queue in listed
        if queue["name"].endswith(".dead")
    }

    assert limits == dict.fromkeys((queue.dead_letters for queue in QUEUES), 1_000_000_000)


async def test_looking_at_the_first_few_leaves_them_in_front(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 6)

    for some in (2, 6, 1, 3, 5, 4):
        few = await office.look(WORK, limit=some)
        assert [letter.body for letter in few.letters] == sent[:some]
        assert few.is_all == (some == 6)

    assert await bodies_in(office) == sent
    assert (await office.look(WORK, limit=6)).is_all


async def test_concurrent_looks_each_see_everything_in_order(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 10)

    assert await asyncio.gather(*(bodies_in(office) for _ in range(8))) == [sent] * 8


async def test_looks_of_several_gateways_at_once_lose_nothing(bench: Bench):
    offices = [await an_office(bench) for _ in range(3)]
    sent = await dead_messages(bench, 20)

    await asyncio.gather(*(bodies_in(office) for office in offices for _ in range(5)))

    assert sorted(await bodies_in(offices[0])) == sorted(sent)


async def test_a_look_that_is_cut_off_gives_everything_back(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 40)
    looking = asyncio.create_task(bodies_in(office))

    async def holds_some() -> bool:
        return await bench.ready(WORK.dead_letters) < 40

    await eventually(holds_some, every_seconds=0.001)
    looking.cancel()
    await asyncio.wait([looking])

    assert sorted(await bodies_in(office)) == sorted(sent)


async def test_a_look_holds_no_more_than_its_bounds(bench: Bench):
    office = await an_office(bench, hold_limit=5)
    weighed = await an_office(bench, hold_bytes=2500)
    sent = await dead(bench, *(f"{number}".encode() * 1000 for number in range(8)))

    assert await bodies_in(office) == sent[:5]
    assert await bodies_in(weighed) == sent[:3]


async def test_a_letter_tells_why_when_and_how_often_it_died(bench: Bench):
    office = await an_office(bench)
    handler = Handler(ValueError("a bug"))
    await bench.consume(Subscription(WORK, handler))
    before = time.time()

    envelope = await bench.hand_over(renders(1), queue=WORK, tries=6)
    await bench.outside.default_exchange.publish(
        aio_pika.Message(b'{"correlationid": "\\u001b[2J\\ud800", "try": [3]}', message_id="an odd\x1b one"),
        routing_key=WORK.name,
    )

    async def both() -> Any:
        look = await office.look(WORK, limit=10)
        return look.letters if len(look.letters) == 2 else None

    letters = {letter.id: letter for letter in await eventually(both)}
    bug = letters.pop(envelope.id)
    [poison] = letters.values()
    assert (bug.reason, bug.deaths, bug.job_id, bug.unreadable) == ("rejected", 1, JOB_ID, None)
    assert bug.died_at is not None
    assert abs(bug.died_at.timestamp() - before) < 60
    assert bug.envelope["type"] == "RENDERS_GENERATED"
    assert bug.envelope["try"] == 6
    assert poison.id.startswith("body-")
    assert poison.unreadable is not None
    assert poison.envelope == {"correlationid": r"\x1b[2J\ud800"}


async def test_a_letter_goes_home_byte_for_byte_under_its_own_id(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 3)

    handled = await office.replay(WORK, None, limit=10, per_second=100)

    assert handled.ids == ids(sent)
    assert handled.stopped is None
    home = [await bench.take(WORK.name) for _ in sent]
    assert [message.body for message in home] == sent
    assert [message.message_id for message in home] == ids(sent)
    assert await bench.is_empty(WORK.name, WORK.dead_letters)


async def test_a_letter_goes_home_to_its_own_queue_only(bench: Bench):
    """Another queue is bound to the same routing key; its consumer has done its part already."""
    office = await an_office(bench)
    await dead_messages(bench, 1)

    await office.replay(WORK, None, limit=1, per_second=100)

    assert await bench.ready(WORK.name) == 1
    assert await bench.is_empty(GATEWAY_RENDERS.name)


async def test_spent_tries_are_forgiven_and_nothing_else_changes(bench: Bench):
    office = await an_office(bench)
    [spent] = await dead_messages(bench, 1, tries=6)
    [newer] = await dead(bench, json.dumps(json.loads(spent) | {"later": "attribute"}).encode())

    await office.replay(WORK, None, limit=2, per_second=100)

    home = [json.loads(body) for body in await taken(bench, WORK.name, 2)]
    assert home == [json.loads(spent) | {"try": 1}, json.loads(newer) | {"try": 1}]


@pytest.mark.parametrize("body", [b"", b"\xff\x00 not text", b'{"try": 9}', b"[]", b"9" * 5000])
async def test_what_cannot_be_read_goes_home_untouched(bench: Bench, body: bytes):
    office = await an_office(bench)
    await dead(bench, body)

    [letter] = (await office.look(WORK, limit=1)).letters
    await office.replay(WORK, frozenset({letter.id}), limit=1, per_second=100)

    assert letter.unreadable
    assert await taken(bench, WORK.name, 1) == [body]


async def test_only_the_chosen_letters_go_and_the_others_keep_their_order(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 6)
    second, fifth = ids(sent)[1], ids(sent)[4]

    replayed = await office.replay(WORK, frozenset({second, fifth, "nobody"}), limit=10, per_second=100)

    assert replayed.ids == [second, fifth]
    assert await taken(bench, WORK.name, 2) == [sent[1], sent[4]]
    assert await bodies_in(office) == [sent[0], sent[2], sent[3], sent[5]]


async def test_a_dry_run_says_what_would_go_and_nothing_goes(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 3)

    assert (await office.choose(WORK, None, limit=2)).ids == ids(sent)[:2]
    assert (await office.choose(WORK, frozenset({ids(sent)[2]}), limit=2)).ids == ids(sent)[2:]

    assert await bodies_in(office) == sent
    assert await bench.is_empty(WORK.name)


async def test_a_letter_that_the_broker_does_not_take_stays_and_so_do_those_behind_it(bench: Bench):
    broker = await bench.broker()
    publisher = FailingPublisher(broker.publisher, None, BrokerUnavailable("the queue is full"))
    office = DeadLetterOffice(broker, publisher)
    sent = await dead_messages(bench, 4)
    # Once returned, letters are in another place of the broker's.
    await bodies_in(office)

    handled = await office.replay(WORK, None, limit=10, per_second=100)

    assert handled.ids == ids(sent)[:1]
    assert handled.stopped is not None
    assert "the queue is full" in handled.stopped
    assert await bodies_in(office) == sent[1:]


async def test_a_replay_into_a_deleted_queue_keeps_the_letters(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 2)
    await bench.outside.queue_delete(WORK.name)

    handled = await office.replay(WORK, None, limit=10, per_second=100)

    assert handled.ids == []
    assert handled.stopped is not None
    assert await bodies_in(office) == sent


class _DiesAfterTheConfirm:
    """The process ends between the broker's confirm and the ack: the connection is gone, nothing more is said."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def send(self, message: Outgoing) -> None:
        await self._broker.publisher.send(message)
        await self._broker.consuming.stop()


async def test_a_crash_between_confirm_and_ack_repeats_a_letter_and_loses_none(bench: Bench):
    dying = await bench.broker()
    sent = await dead_messages(bench, 3)

    with pytest.raises(DeadLettersUnavailable):
        await DeadLetterOffice(dying, _DiesAfterTheConfirm(dying)).replay(WORK, None, limit=10, per_second=100)

    assert await taken(bench, WORK.name, 1) == sent[:1]
    survivor = await an_office(bench)
    await survivor.replay(WORK, None, limit=10, per_second=100)
    assert sorted(await taken(bench, WORK.name, 3)) == sorted(sent)


async def test_looks_during_a_replay_lose_nothing_and_send_nothing_twice(bench: Bench):
    office, other = await an_office(bench), await an_office(bench)
    sent = await dead_messages(bench, 12)
    await dead(bench, b"poison")

    replaying = asyncio.create_task(office.replay(WORK, frozenset(ids(sent)), limit=50, per_second=50))
    while not replaying.done():
        await bodies_in(other)
        await bodies_in(office)
    # A look of another gateway may hold a letter while the replay passes.
    await office.replay(WORK, frozenset(ids(sent)), limit=50, per_second=50)

    assert sorted(await taken(bench, WORK.name, 12)) == sorted(sent)
    assert await bodies_in(office) == [b"poison"]
    assert await bench.is_empty(WORK.name)


async def test_letters_that_die_again_at_once_are_not_replayed_in_a_circle(bench: Bench):
    office = await an_office(bench)
    await dead(bench, b"poison 1", b"poison 2")
    await bench.consume(Subscription(WORK, Handler()))

    handled = await office.replay(WORK, None, limit=100, per_second=20)

    assert len(handled.ids) == 2
    await eventually(lambda: _is_ready(bench, 2))


async def _is_ready(bench: Bench, count: int) -> bool:
    return await bench.ready(WORK.dead_letters) == count


async def test_a_replay_keeps_to_its_pace(bench: Bench):
    office = await an_office(bench)
    await dead_messages(bench, 5)

    started = time.monotonic()
    await office.replay(WORK, None, limit=10, per_second=10)

    assert time.monotonic() - started >= 0.4  # the first at once, then one each tenth of a second


async def test_a_replay_ends_when_its_time_is_over_and_says_so(bench: Bench):
    office = await an_office(bench, work_seconds=0.3)
    sent = await dead_messages(bench, 5)

    handled = await office.replay(WORK, None, limit=10, per_second=5)

    assert 0 < len(handled.ids) < 5
    assert handled.stopped is not None
    assert "ask again" in handled.stopped
    assert await bodies_in(office) == sent[len(handled.ids) :]


async def test_replayed_letters_reach_their_handler(bench: Bench):
    office = await an_office(bench)
    await dead_messages(bench, 3, tries=6)
    handler = Handler()
    await bench.consume(Subscription(WORK, handler))

    await office.replay(WORK, None, limit=10, per_second=100)

    await eventually(lambda: len(handler.given) == 3)
    assert [number_of(envelope) for envelope in handler.given] == [1, 2, 3]
    assert {envelope.try_count for envelope in handler.given} == {1}


async def test_dropped_letters_are_gone_and_the_others_stay(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 4)

    dropped = await office.drop(WORK, frozenset({ids(sent)[2]}), limit=10)
    rest = await office.drop(WORK, None, limit=2)

    assert dropped.ids == [ids(sent)[2]]
    assert rest.ids == ids(sent)[:2]
    assert await bodies_in(office) == sent[3:]
    assert await bench.is_empty(WORK.name)


async def test_one_letter_is_found_by_its_id(bench: Bench):
    office = await an_office(bench)
    sent = await dead_messages(bench, 3)

    found = await office.find(WORK, ids(sent)[1])

    assert found is not None
    assert found.body == sent[1]
    assert await office.find(WORK, "nobody") is None
    assert await bodies_in(office) == sent


async def test_every_queue_tells_its_depth_its_consumers_and_its_dead_letters(bench: Bench):
    office = await an_office(bench)
    await bench.consume(Subscription(GATEWAY_RENDERS, Handler()))
    await dead_messages(bench, 3)
    await bench.put(b"work", queue=WORK.name)
    await eventually(lambda: _waits(bench, 1))

    depths = {depth.queue.name: depth for depth in await office.depths()}

    assert depths.keys() == {queue.name for queue in QUEUES}
    assert (depths[WORK.name].messages, depths[WORK.name].consumers, depths[WORK.name].dead) == (1, 0, 3)
    assert depths[GATEWAY_RENDERS.name].consumers == 1


async def _waits(bench: Bench, count: int) -> bool:
    return await bench.ready(WORK.name) == count


async def test_a_missing_queue_and_a_broker_that_is_away_are_told_as_passing(bench: Bench):
    broker = await bench.broker()
    office = DeadLetterOffice(broker, broker.publisher)
    await bench.outside.queue_delete(WORK.dead_letters)

    with pytest.raises(DeadLettersUnavailable, match="declared again"):
        await office.look(WORK, limit=1)
    with pytest.raises(DeadLettersUnavailable):
        await office.depths()
    await broker.restore_topology()
    assert (await office.look(WORK, limit=1)).is_all
    nobody_there = Broker("amqp://guest:guest@127.0.0.1:1/", "test")
    with pytest.raises(DeadLettersUnavailable):
        await DeadLetterOffice(nobody_there, broker.publisher).look(WORK, limit=1)


async def test_a_slow_replay_gives_the_queue_free_after_its_time_and_is_no_faster_when_asked_again(bench: Bench):
    broker = await bench.broker()
    office = DeadLetterOffice(broker, broker.publisher, work_seconds=1)
    for number in range(3):
        await bench.put(b"poison %d" % number, queue=WORK.dead_letters)

    async def sent() -> int:
        return len((await office.replay(WORK, None, limit=10, per_second=0.001)).ids)

    assert [await sent(), await sent()] == [1, 0]
    assert len((await office.look(WORK, limit=10)).letters) == 2
