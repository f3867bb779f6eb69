"""A round over many items: one that fails keeps no other waiting, and is told of at the end."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from imagetron_chassis.errors import Transient
from imagetron_chassis.outbox import Pending, Relay
from imagetron_chassis.periodic import Periodic, for_each
from imagetron_chassis.publishing import Outgoing
from imagetron_chassis.testing import FakeClock, RecordingPublisher
from support.eventually import eventually


@pytest.mark.parametrize("error", [Transient("away"), KeyError("a bug")], ids=lambda error: type(error).__name__)
async def test_an_item_that_fails_keeps_no_other_waiting_and_its_error_is_raised_after(error: Exception):
    done = []

    async def work(item: str) -> None:
        if item == "bad":
            raise error
        done.append(item)

    with pytest.raises(type(error)):
        await for_each(["one", "bad", "two"], work)

    assert done == ["one", "two"]


async def test_a_cancelled_round_does_not_go_on_to_the_next_item():
    begun = []

    async def work(item: str) -> None:
        begun.append(item)
        await asyncio.Event().wait()

    round_ = asyncio.create_task(for_each(["one", "two"], work))
    await eventually(lambda: begun)
    round_.cancel()

    with pytest.raises(asyncio.CancelledError):
        await round_
    assert begun == ["one"]


class OneBrokenOutbox:
    """Two documents with an entry each; that of the first cannot be read."""

    async def pending(self, document_id: str) -> Pending:
        if document_id == "bad":
            raise KeyError("outbox")
        return Pending(document_id, [Outgoing(f"of-{document_id}", "imagetron.stages", "key", b"{}")])

    async def pending_since(self, before: datetime, limit: int) -> Sequence[str]:
        return ["bad", "good"]

    async def mark_sent(self, document_id: str, message_ids: frozenset[str]) -> None:
        assert (document_id, message_ids) == ("good", frozenset({"of-good"}))


async def test_an_outbox_that_cannot_be_read_keeps_no_other_waiting():
    publisher = RecordingPublisher()

    with pytest.raises(KeyError):
        await Relay(OneBrokenOutbox(), publisher, FakeClock()).sweep()

    assert [message.message_id for message in publisher.sent] == ["of-good"]


async def test_work_that_does_not_begin_at_once_waits_for_the_interval_or_a_kick():
    rounds = []

    async def work() -> None:
        rounds.append(1)

    periodic = Periodic("work", 3600, work, begins_at_once=False)
    await periodic.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert rounds == []

    periodic.kick()
    await eventually(lambda: rounds)
    await periodic.stop()
