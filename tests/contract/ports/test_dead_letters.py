"""The promises of the port to dead letters, asked of RabbitMQ and of the in-memory twin alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aio_pika
import pytest

from imagetron_chassis.broker import Broker
from imagetron_chassis.dead_letters import DeadLetterOffice
from imagetron_chassis.letters import DeadLetters
from imagetron_contracts.topology import DERIVER_RENDERS, QUEUES
from support.eventually import eventually
from support.operating import InMemoryDeadLetters, a_letter

WORK = DERIVER_RENDERS
NAMES = ["first", "second", "third", "fourth"]


@dataclass(frozen=True)
class Office:
    """Four letters lie there, named after their places; `home` tells what the work queue got."""

    letters: DeadLetters
    home: Callable[[], Awaitable[list[bytes]]]

    async def left(self) -> list[str]:
        return [letter.id for letter in (await self.letters.look(WORK, limit=10)).letters]


@pytest.fixture(params=["memory", pytest.param("rabbitmq", marks=pytest.mark.integration)])
async def office(request) -> AsyncIterator[Office]:
    if request.param == "memory":
        twin = InMemoryDeadLetters()
        twin.bury(WORK, *(a_letter(name, name.encode()) for name in NAMES))

        async def arrived() -> list[bytes]:
            return twin.home[WORK.name]

        yield Office(twin, arrived)
        return
    async with AsyncExitStack() as stack:
        broker = Broker(request.getfixturevalue("vhost_url"), "test")
        stack.push_async_callback(broker.close)
        await broker.connect()
        connection = await stack.enter_async_context(await aio_pika.connect(request.getfixturevalue("vhost_url")))
        channel = await connection.channel()
        for name in NAMES:
            await channel.default_exchange.publish(
                aio_pika.Message(name.encode(), message_id=name), routing_key=WORK.dead_letters
            )
        real = DeadLetterOffice(broker, broker.publisher)

        async def taken() -> list[bytes]:
            queue = await channel.get_queue(WORK.name)
            bodies = []
            while message := await queue.get(no_ack=True, fail=False):
                bodies.append(message.body)
            return bodies

        async def all_there() -> bool:
            return len((await real.look(WORK, limit=10)).letters) == len(NAMES)

        await eventually(all_there)
        yield Office(real, taken)


async def test_looking_takes_nothing_and_keeps_the_order(office: Office):
    look = await office.letters.look(WORK, limit=3)

    assert ([letter.id for letter in look.letters], look.is_all) == (NAMES[:3], False)
    assert (await office.letters.look(WORK, limit=4)).is_all
    assert await office.left() == NAMES


async def test_a_letter_is_found_by_its_id(office: Office):
    found = await office.letters.find(WORK, "third")

    assert found is not None
    assert (found.body, bool(found.unreadable)) == (b"third", True)
    assert await office.letters.find(WORK, "fifth") is None


async def test_a_choice_does_nothing(office: Office):
    chosen = await office.letters.choose(WORK, frozenset({"second", "fifth"}), limit=5)

    assert (chosen.ids, chosen.stopped) == (["second"], None)
    assert await office.left() == NAMES
    assert await office.home() == []


async def test_chosen_letters_go_home_and_the_others_stay_in_order(office: Office):
    replayed = await office.letters.replay(WORK, frozenset({"first", "third"}), limit=5, per_second=100)

    assert (replayed.ids, replayed.stopped) == (["first", "third"], None)
    assert await office.home() == [b"first", b"third"]
    assert await office.left() == ["second", "fourth"]


async def test_of_all_letters_the_oldest_go_first_up_to_the_limit(office: Office):
    assert (await office.letters.replay(WORK, None, limit=3, per_second=100)).ids == NAMES[:3]

    assert await office.home() == [b"first", b"second", b"third"]
    assert await office.left() == ["fourth"]


async def test_more_chosen_letters_than_the_limit_are_told(office: Office):
    replayed = await office.letters.replay(WORK, frozenset(NAMES), limit=3, per_second=100)

    assert replayed.ids == NAMES[:3]
    assert replayed.stopped == "the limit of 3 was reached"


async def test_dropped_letters_go_nowhere(office: Office):
    assert (await office.letters.drop(WORK, frozenset({"second"}), limit=5)).ids == ["second"]

    assert await office.left() == ["first", "third", "fourth"]
    assert await office.home() == []


async def test_every_queue_has_a_depth(office: Office):
    depths = {depth.queue.name: depth.dead for depth in await office.letters.depths()}

    assert depths == {queue.name: 0 for queue in QUEUES} | {WORK.name: 4}
