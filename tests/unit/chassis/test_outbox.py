"""The relay over an outbox in memory: order, what a failure leaves behind, and repeats that are recognisable."""

import asyncio
import gc
from collections.abc import Sequence
from datetime import datetime

import pytest

from imagetron_chassis.errors import ChassisError, Transient
from imagetron_chassis.outbox import LEFT_BEHIND_AFTER, Pending, Relay
from imagetron_chassis.publishing import BrokerUnavailable, Outgoing, PublishUnconfirmed
from imagetron_chassis.testing import FakeClock, RecordingPublisher


class InMemoryOutboxes:
    """Documents that hold nothing but an outbox."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.entries: dict[str, list[Outgoing]] = {}
        self.written_at: dict[str, datetime] = {}
        self.mark_failures: list[ChassisError] = []

    def write(self, document_id: str, *message_ids: str) -> None:
        messages = [Outgoing(message_id, "imagetron.stages", "key", b"{}") for message_id in message_ids]
        self.entries.setdefault(document_id, []).extend(messages)
        self.written_at.setdefault(document_id, self._clock.now())

    def left(self, document_id: str) -> list[str]:
        return [message.message_id for message in self.entries.get(document_id, [])]

    async def pending(self, document_id: str) -> Pending | None:
        await asyncio.sleep(0)
        messages = self.entries.get(document_id)
        return Pending(document_id, tuple(messages)) if messages else None

    async def pending_since(self, before: datetime, limit: int) -> Sequence[str]:
        old = (name for name, at in self.written_at.items() if at < before and self.entries.get(name))
        return sorted(old)[:limit]

    async def mark_sent(self, document_id: str, message_ids: frozenset[str]) -> None:
        await asyncio.sleep(0)
        if self.mark_failures:
            raise self.mark_failures.pop()
        self.entries[document_id] = [m for m in self.entries[document_id] if m.message_id not in message_ids]


class SlowPublisher(RecordingPublisher):
    """Gives way to others before each confirm, as a broker does; says how many sends ran at once."""

    def __init__(self, *failures: ChassisError | None) -> None:
        super().__init__(*failures)
        self.at_once = 0
        self.most_at_once = 0

    async def send(self, message: Outgoing) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once -= 1
        await super().send(message)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outboxes(clock: FakeClock) -> InMemoryOutboxes:
    return InMemoryOutboxes(clock)


def sent_ids(publisher: RecordingPublisher) -> list[str]:
    return [message.message_id for message in publisher.sent]


async def test_entries_leave_in_order_and_the_outbox_is_empty_after(outboxes: InMemoryOutboxes, clock: FakeClock):
    outboxes.write("job", "a", "b", "c")
    publisher = RecordingPublisher()

    await Relay(outboxes, publisher, clock).relay("job")

    assert sent_ids(publisher) == ["a", "b", "c"]
    assert outboxes.left("job") == []


async def test_a_document_without_entries_sends_nothing(outboxes: InMemoryOutboxes, clock: FakeClock):
    publisher = RecordingPublisher()

    await Relay(outboxes, publisher, clock).relay("job")

    assert publisher.sent == []


@pytest.mark.parametrize(
    "failure", [BrokerUnavailable("away"), PublishUnconfirmed("late")], ids=lambda e: type(e).__name__
)
async def test_the_relay_stops_at_the_first_entry_that_is_not_confirmed_and_keeps_it_with_all_that_follow(
    outboxes: InMemoryOutboxes, clock: FakeClock, failure: ChassisError
):
    outboxes.write("job", "a", "b", "c")
    publisher = RecordingPublisher(None, failure)

    await Relay(outboxes, publisher, clock).relay("job")

    assert sent_ids(publisher) == ["a"]
    assert outboxes.left("job") == ["b", "c"]


async def test_after_a_failure_the_next_relay_goes_on_where_the_last_one_stopped(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("job", "a", "b", "c")
    publisher = RecordingPublisher(None, BrokerUnavailable("away"))
    relay = Relay(outboxes, publisher, clock)

    await relay.relay("job")
    await relay.relay("job")

    assert sent_ids(publisher) == ["a", "b", "c"]
    assert outboxes.left("job") == []


async def test_an_entry_is_still_in_the_document_while_its_confirm_is_awaited(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("job", "a")
    left_at_send = []

    class Watching(RecordingPublisher):
        async def send(self, message: Outgoing) -> None:
            left_at_send.append(outboxes.left("job"))
            await super().send(message)

    await Relay(outboxes, Watching(), clock).relay("job")

    assert left_at_send == [["a"]]


async def test_entries_that_cannot_be_marked_are_sent_again_under_the_same_ids_and_never_lost(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("job", "a", "b")
    outboxes.mark_failures = [Transient("the document store is away")]
    publisher = RecordingPublisher()
    relay = Relay(outboxes, publisher, clock)

    await relay.relay("job")
    assert outboxes.left("job") == ["a", "b"]
    await relay.relay("job")

    assert sent_ids(publisher) == ["a", "b", "a", "b"]
    assert outboxes.left("job") == []


async def test_an_error_that_is_not_ours_still_marks_what_was_confirmed(outboxes: InMemoryOutboxes, clock: FakeClock):
    outboxes.write("job", "a", "b")

    class Broken(RecordingPublisher):
        async def send(self, message: Outgoing) -> None:
            if message.message_id == "b":
                raise LookupError("a bug")
            await super().send(message)

    with pytest.raises(LookupError):
        await Relay(outboxes, Broken(), clock).relay("job")

    assert outboxes.left("job") == ["b"]


async def test_two_relays_of_one_document_in_a_process_take_turns_and_send_each_entry_once(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("job", "a", "b", "c")
    publisher = SlowPublisher()
    relay = Relay(outboxes, publisher, clock)

    await asyncio.gather(relay.relay("job"), relay.relay("job"))

    assert sent_ids(publisher) == ["a", "b", "c"]


async def test_relays_that_arrive_while_others_wait_take_their_turn_too(outboxes: InMemoryOutboxes, clock: FakeClock):
    outboxes.write("job", *(f"m{number}" for number in range(5)))
    publisher = SlowPublisher(*[None, BrokerUnavailable("away")] * 5)
    relay = Relay(outboxes, publisher, clock)

    async def relay_later(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await relay.relay("job")

    await asyncio.gather(*(relay_later(turns) for turns in range(40)))

    assert publisher.most_at_once == 1
    assert sent_ids(publisher) == [f"m{number}" for number in range(5)]


async def test_relays_of_different_documents_do_not_wait_for_each_other(outboxes: InMemoryOutboxes, clock: FakeClock):
    outboxes.write("one", "a")
    outboxes.write("two", "b")
    publisher = SlowPublisher()
    relay = Relay(outboxes, publisher, clock)

    await asyncio.gather(relay.relay("one"), relay.relay("two"))

    assert publisher.most_at_once == 2


async def test_two_relays_in_two_processes_may_repeat_an_entry_and_lose_none(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("job", "a", "b")
    here, there = SlowPublisher(), SlowPublisher()

    await asyncio.gather(Relay(outboxes, here, clock).relay("job"), Relay(outboxes, there, clock).relay("job"))

    assert set(sent_ids(here) + sent_ids(there)) == {"a", "b"}
    assert outboxes.left("job") == []


async def test_the_relay_remembers_no_document_once_it_is_done_with_it(outboxes: InMemoryOutboxes, clock: FakeClock):
    relay = Relay(outboxes, RecordingPublisher(BrokerUnavailable("away")), clock)
    for number in range(20):
        outboxes.write(f"job{number}", "a")

    await asyncio.gather(*(relay.relay(f"job{number % 20}") for number in range(60)))
    gc.collect()

    assert len(relay._running) == 0


async def test_a_kick_does_not_wait_and_finish_waits_for_all_kicks(outboxes: InMemoryOutboxes, clock: FakeClock):
    outboxes.write("one", "a")
    outboxes.write("two", "b")
    publisher = SlowPublisher()
    relay = Relay(outboxes, publisher, clock)

    relay.kick("one")
    relay.kick("two")
    assert publisher.sent == []
    await relay.finish()

    assert sorted(sent_ids(publisher)) == ["a", "b"]


async def test_finish_without_kicks_returns(outboxes: InMemoryOutboxes, clock: FakeClock):
    await Relay(outboxes, RecordingPublisher(), clock).finish()


async def test_the_sweep_sends_what_was_left_behind_and_leaves_fresh_entries_to_the_fast_path(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("old", "a", "b")
    clock.advance(LEFT_BEHIND_AFTER.total_seconds() + 0.001)
    outboxes.write("fresh", "c")
    publisher = RecordingPublisher()

    swept = await Relay(outboxes, publisher, clock).sweep()

    assert swept == 1
    assert sent_ids(publisher) == ["a", "b"]
    assert outboxes.left("fresh") == ["c"]


async def test_one_document_that_the_broker_refuses_does_not_keep_the_sweep_from_the_others(
    outboxes: InMemoryOutboxes, clock: FakeClock
):
    outboxes.write("bad", "a")
    outboxes.write("good", "b")
    clock.advance(60)
    publisher = RecordingPublisher(BrokerUnavailable("refused"))

    swept = await Relay(outboxes, publisher, clock).sweep()

    assert swept == 2
    assert sent_ids(publisher) == ["b"]
    assert outboxes.left("bad") == ["a"]
