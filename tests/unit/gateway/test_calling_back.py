"""Taking in callbacks: kept before it is acknowledged, told once, bounded for each task, forgotten in time."""

import asyncio
from datetime import timedelta

import pytest

from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.documents import DocumentsUnavailable
from imagetron_chassis.documents.memory import InMemoryDocuments
from imagetron_chassis.outbox import Relay
from imagetron_chassis.publishing import BrokerUnavailable
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from imagetron_contracts.spec import callback_key
from imagetron_contracts.stages import ProviderCallback
from imagetron_gateway.adapters.inbox import INBOX, DocumentInbox
from imagetron_gateway.domain.callbacks import Callback, InboxItem, Signature
from imagetron_gateway.usecases import calling_back
from imagetron_gateway.usecases.calling_back import (
    CALLBACKS_OF_A_TASK,
    KEPT,
    Outcome,
    TooManyCallbacks,
    count_callback,
    forget_old,
    take_callback,
)
from support.builders import NOW

REFERENCE = "0123456789abcdef" * 2


def callback(body: bytes = b'{"progress": 7}', *, reference: str = REFERENCE) -> Callback:
    return Callback.of("plain", reference, body, signature=Signature(), keys=(), now=NOW)


class Desk:
    """The use cases over in-memory stores."""

    def __init__(self, *, inbox: DocumentInbox | None = None, publisher: RecordingPublisher | None = None) -> None:
        self.documents, self.work, self.clock = InMemoryDocuments(), InMemoryBlobs(), FakeClock(NOW)
        self.inbox = inbox or DocumentInbox(self.documents, self.work)
        self.publisher = publisher or RecordingPublisher()
        self.relay = Relay(self.inbox, self.publisher, self.clock)

    async def take(self, *callbacks: Callback) -> list[bool]:
        tasks = [take_callback(item, inbox=self.inbox, outbox=self.relay, clock=self.clock) for item in callbacks]
        news = await asyncio.gather(*tasks)
        await self.relay.finish()
        return news

    async def forget(self) -> int:
        return await forget_old(inbox=self.inbox, clock=self.clock)


class LateInbox(DocumentInbox):
    """Somebody else takes in the same event between the look and the insertion."""

    async def has(self, item_id: str) -> bool:
        await super().has(item_id)
        return False


class BrokenInbox(DocumentInbox):
    """The store goes away after the body was put and before the document is inserted; then it comes back."""

    is_away = True

    async def add(self, item: InboxItem, body: bytes) -> bool:
        if self.is_away:
            self.is_away = False
            await self._work.put_if_absent(callback_key(item.provider, item.id), body, content_type="application/json")
            raise DocumentsUnavailable("the store went away")
        return await super().add(item, body)


async def test_a_callback_is_kept_and_the_generator_is_told_where_its_body_lies():
    desk = Desk()

    assert await desk.take(callback()) == [True]

    [envelope] = desk.publisher.envelopes()
    message = envelope.data
    assert isinstance(message, ProviderCallback)
    assert (message.provider, message.task_reference, message.is_signed) == ("plain", REFERENCE, False)
    assert (envelope.id, message.inbox_id) == (callback().inbox_id, callback().inbox_id)
    assert await desk.work.get(callback_key("plain", message.inbox_id)) == b'{"progress": 7}'
    [sent] = desk.publisher.sent
    assert (sent.exchange, sent.routing_key) == ("imagetron.stages", "provider.callback")
    assert b"progress" not in sent.body


async def test_the_same_event_again_is_no_news_and_tells_nothing():
    desk = Desk()

    assert await desk.take(callback()) == [True]
    assert await desk.take(callback()) == [False]

    assert len(desk.publisher.sent) == 1


async def test_of_many_at_once_one_is_news():
    documents, work = InMemoryDocuments(), InMemoryBlobs()
    desk = Desk(inbox=LateInbox(documents, work))

    assert sorted(await desk.take(*[callback()] * 20)) == [False] * 19 + [True]

    assert len(desk.publisher.sent) == 1
    assert await documents.count(INBOX) == 1


class Kicks:
    """Remembers whose messages were to leave soon."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def kick(self, document_id: str) -> None:
        self.documents.append(document_id)


async def test_only_who_took_it_in_sends_it_off():
    kicks, clock = Kicks(), FakeClock(NOW)
    inbox = LateInbox(InMemoryDocuments(), InMemoryBlobs())

    for _ in range(3):
        await take_callback(callback(), inbox=inbox, outbox=kicks, clock=clock)

    assert kicks.documents == [callback().inbox_id]


async def test_what_the_broker_does_not_take_leaves_with_the_sweep():
    desk = Desk(publisher=RecordingPublisher(BrokerUnavailable("away")))
    assert await desk.take(callback()) == [True]
    assert desk.publisher.sent == []

    desk.clock.advance(10)
    assert await desk.relay.sweep() == 1

    assert [envelope.id for envelope in desk.publisher.envelopes()] == [callback().inbox_id]
    desk.clock.advance(10)
    assert await desk.relay.sweep() == 0


async def test_a_provider_that_tries_again_after_a_trouble_is_heard():
    documents, work = InMemoryDocuments(), InMemoryBlobs()
    desk = Desk(inbox=BrokenInbox(documents, work))

    with pytest.raises(DocumentsUnavailable):
        await desk.take(callback())
    assert desk.publisher.sent == []
    assert await desk.take(callback()) == [True]

    assert len(desk.publisher.sent) == 1


async def test_a_task_has_only_so_many_callbacks_and_what_was_taken_is_still_acknowledged():
    desk = Desk()
    for number in range(CALLBACKS_OF_A_TASK):
        await desk.take(callback(b'{"progress": %d}' % number))

    with pytest.raises(TooManyCallbacks):
        await desk.take(callback(b'{"one": "more"}'))
    assert await desk.take(callback(b'{"progress": 3}')) == [False]
    assert await desk.take(callback(b'{"one": "more"}', reference=REFERENCE[::-1])) == [True]

    assert len(desk.publisher.sent) == CALLBACKS_OF_A_TASK + 1


async def test_old_callbacks_are_forgotten_with_their_bodies_and_younger_ones_stay():
    desk = Desk()
    await desk.take(callback(b'{"old": 1}'))
    desk.clock.advance(KEPT.total_seconds() - 60)
    await desk.take(callback(b'{"young": 1}'))
    assert await desk.forget() == 0

    desk.clock.advance(120)
    assert await desk.forget() == 1

    assert not await desk.inbox.has(callback(b'{"old": 1}').inbox_id)
    assert await desk.work.head(callback_key("plain", callback(b'{"old": 1}').inbox_id)) is None
    assert await desk.inbox.has(callback(b'{"young": 1}').inbox_id)
    assert await desk.work.head(callback_key("plain", callback(b'{"young": 1}').inbox_id)) is not None


async def test_what_was_not_told_yet_is_never_forgotten():
    desk = Desk(publisher=RecordingPublisher(BrokerUnavailable("away")))
    await desk.take(callback())
    desk.clock.advance((KEPT + timedelta(days=1)).total_seconds())

    assert await desk.forget() == 0
    await desk.relay.sweep()
    assert await desk.forget() == 1


async def test_however_many_are_old_all_of_them_go():
    desk = Desk()
    many = 2 * calling_back._AT_ONCE + 1
    for number in range(many):
        await desk.take(callback(reference=f"{number:032x}"))
    desk.clock.advance(KEPT.total_seconds() + 60)

    assert await desk.forget() == many
    assert await desk.documents.count(INBOX) == 0


@pytest.mark.parametrize("provider", ["plain", None])
async def test_every_outcome_can_be_counted(provider):
    for outcome in Outcome:
        count_callback(outcome, provider)
