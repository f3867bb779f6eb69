"""Requests and replies on a real broker: many at once, each with a deadline, and every failure as an error of its kind."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from imagetron_chassis.broker import Broker
from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.errors import Permanent, Transient
from imagetron_chassis.publishing import Outgoing, Unroutable
from imagetron_chassis.rpc import NoReply, NotNow, Refused, RpcClient, RpcServer
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import DescribePrompts, PromptsDescribed, Refusal, RequestRefused
from imagetron_contracts.stages import JobChanged
from imagetron_contracts.topology import RpcQueue
from integration.chassis.workbench import JOB_ID, Bench
from support.eventually import eventually

QUEUE = RpcQueue(DescribePrompts, time_to_live_seconds=5)
CANARY = "canary-e41c-a-prompt"


def described(source: str = "offline") -> PromptsDescribed:
    return PromptsDescribed(service_version="1", source=source)


async def a_server(
    bench: Bench, handle: Callable[[Message], Awaitable[Message]], *, queue: RpcQueue = QUEUE
) -> tuple[RpcServer, Broker]:
    broker = await bench.broker("prompt")
    server = RpcServer(broker, Facts(broker.publisher, source="imagetron/prompt", clock=SystemClock()))
    server.answer(queue, handle)
    await server.start()
    return server, broker


async def a_client(bench: Bench) -> Callable[..., Awaitable[PromptsDescribed]]:
    broker = await bench.broker("gateway")
    client = RpcClient(broker, Facts(broker.publisher, source="imagetron/gateway", clock=SystemClock()))
    await broker.consuming.start()

    async def call(deadline_seconds: float = 5) -> PromptsDescribed:
        return await client.call(DescribePrompts(), PromptsDescribed, deadline_seconds=deadline_seconds)

    return call


async def answers(_: Message) -> Message:
    return described()


async def test_a_request_gets_its_reply(bench: Bench):
    await a_server(bench, answers)
    call = await a_client(bench)

    assert await call() == described()


async def test_twenty_calls_are_in_hand_at_the_same_time_and_each_gets_its_own_reply(bench: Bench):
    all_there = asyncio.Barrier(20)
    numbers = iter(range(20))

    async def together(_: Message) -> Message:
        number = next(numbers)
        await all_there.wait()
        return described(str(number))

    await a_server(bench, together)
    call = await a_client(bench)

    replies = await asyncio.gather(*(call() for _ in range(20)))

    assert sorted(int(reply.source) for reply in replies) == list(range(20))


async def test_a_server_has_no_more_requests_in_hand_than_it_was_told(bench: Bench):
    in_hand, most, gate = 0, 0, asyncio.Event()

    async def counted(_: Message) -> Message:
        nonlocal in_hand, most
        in_hand += 1
        most = max(most, in_hand)
        await gate.wait()
        in_hand -= 1
        return described()

    await a_server(bench, counted, queue=replace(QUEUE, concurrency=2))
    call = await a_client(bench)
    calls = asyncio.gather(*(call() for _ in range(6)))
    await eventually(lambda: in_hand == 2)
    await eventually(lambda: has_waiting(bench, 4))
    gate.set()
    await calls

    assert most == 2


async def has_waiting(bench: Bench, count: int) -> bool:
    return await bench.ready(QUEUE.name) == count


async def test_a_call_that_nobody_answers_ends_at_its_deadline(bench: Bench):
    async def never(_: Message) -> Message:
        await asyncio.Event().wait()
        return described()

    await a_server(bench, never)
    call = await a_client(bench)

    async with asyncio.timeout(2):
        with pytest.raises(NoReply, match=r"no answer to DESCRIBE_PROMPTS within 0\.1 s"):
            await call(0.1)


async def test_an_answer_that_comes_too_late_disturbs_nobody(bench: Bench):
    gate = asyncio.Event()

    async def late(_: Message) -> Message:
        await gate.wait()
        return described()

    await a_server(bench, late)
    call = await a_client(bench)
    with pytest.raises(NoReply):
        await call(0.05)

    gate.set()

    assert await call() == described()


@pytest.mark.parametrize(
    ("raised", "error", "said"),
    [
        (Permanent("the policy is unknown"), Refused, "the policy is unknown"),
        (Transient(f"{CANARY} does not answer"), NotNow, "a part of the service is away"),
        (KeyError(CANARY), Refused, "an unexpected error; please quote"),
        (asyncio.CancelledError(), Refused, "an unexpected error; please quote"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_an_error_of_the_server_reaches_the_caller_as_an_error_and_without_internals(
    bench: Bench, raised: BaseException, error: type[Exception], said: str
):
    async def failing(_: Message) -> Message:
        raise raised

    await a_server(bench, failing)
    call = await a_client(bench)

    with pytest.raises(error, match=said) as caught:
        await call()

    assert type(caught.value) is error
    assert CANARY not in str(caught.value)


async def test_a_reply_that_cannot_be_read_is_a_refusal(bench: Bench):
    async def strange(_: Message) -> Message:
        return JobChanged(job_id=JOB_ID, version=1)

    await a_server(bench, strange)
    call = await a_client(bench)

    with pytest.raises(Refused, match="cannot be read"):
        await call()


async def test_a_request_without_a_service_fails_at_once_instead_of_at_its_deadline(bench: Bench):
    call = await a_client(bench)

    async with asyncio.timeout(5):
        with pytest.raises(Unroutable):
            await call(60)


async def test_a_request_that_nobody_took_in_time_is_dropped_and_never_answered_later(bench: Bench):
    queue = replace(QUEUE, time_to_live_seconds=0.2)
    asked: list[Message] = []

    async def counted(request: Message) -> Message:
        asked.append(request)
        return described()

    _, server = await a_server(bench, counted, queue=queue)
    await server.consuming.stop()
    call = await a_client(bench)
    with pytest.raises(NoReply):
        await call(0.1)

    await eventually(lambda: has_waiting(bench, 0))
    await a_server(bench, counted, queue=queue)

    assert await call() == described()
    assert len(asked) == 1


async def test_a_request_that_cannot_be_read_does_not_disturb_the_next(bench: Bench):
    await a_server(bench, answers)
    call = await a_client(bench)
    facts = await bench.facts()

    await facts.send(Outgoing("m", "imagetron.prompts", QUEUE.name, b"not an envelope", "nowhere", "m"))

    assert await call() == described()


async def test_a_request_that_cannot_be_read_is_refused_at_once_where_it_says_to_whom(bench: Bench):
    await a_server(bench, answers)
    mine = await bench.outside.declare_queue(exclusive=True)
    facts = await bench.facts()

    await facts.send(Outgoing("m", "imagetron.prompts", QUEUE.name, b"not an envelope", mine.name, "m"))

    refusal = (await bench.take_envelope(mine.name)).data
    assert isinstance(refusal, RequestRefused)
    assert (refusal.code, refusal.retryable) == (Refusal.INTERNAL, False)


async def test_a_request_in_the_hands_of_a_server_that_goes_away_is_answered_by_the_next(bench: Bench):
    taken = asyncio.Event()

    async def stuck(_: Message) -> Message:
        taken.set()
        await asyncio.Event().wait()
        return described()

    _, first = await a_server(bench, stuck)
    call = asyncio.ensure_future((await a_client(bench))())
    await taken.wait()

    await first.close()
    await a_server(bench, answers)

    assert await call == described()


async def test_a_paid_request_whose_server_goes_away_is_refused_by_the_next_and_not_carried_out_again(bench: Bench):
    taken, again = asyncio.Event(), []
    paid = replace(QUEUE, is_paid=True)

    async def stuck(_: Message) -> Message:
        taken.set()
        await asyncio.Event().wait()
        return described()

    async def counted(request: Message) -> Message:
        again.append(request)
        return described()

    _, first = await a_server(bench, stuck, queue=paid)
    call = await a_client(bench)
    asked = asyncio.ensure_future(call())
    await taken.wait()
    await first.close()
    await a_server(bench, counted, queue=paid)

    with pytest.raises(NotNow, match="not carried out a second time"):
        await asked
    assert again == []
    assert await call() == described()


async def test_a_server_that_stops_answers_what_it_has_in_hand_and_takes_nothing_new(bench: Bench):
    taken, gate = asyncio.Event(), asyncio.Event()

    async def slow(_: Message) -> Message:
        taken.set()
        await gate.wait()
        return described()

    server, broker = await a_server(bench, slow)
    call = await a_client(bench)
    asked = asyncio.ensure_future(call())
    await taken.wait()
    draining = asyncio.ensure_future(server.drain(10))
    await eventually(lambda: bench.has_no_consumer(QUEUE.name))
    gate.set()
    await draining
    await broker.close()

    assert await asked == described()


async def test_what_a_stopping_server_does_not_finish_in_its_grace_is_refused(bench: Bench):
    taken = asyncio.Event()

    async def never(_: Message) -> Message:
        taken.set()
        await asyncio.Event().wait()
        return described()

    server, broker = await a_server(bench, never)
    asked = asyncio.ensure_future((await a_client(bench))())
    await taken.wait()

    async with asyncio.timeout(5):
        await server.drain(0.1)
        await broker.close()

    with pytest.raises(NotNow, match="stopped before"):
        await asked


async def test_a_caller_that_has_gone_does_not_disturb_the_server(bench: Bench):
    await a_server(bench, answers)
    facts = await bench.facts()
    request = facts.wrap(DescribePrompts())

    await facts.send(
        Outgoing(request.id, "imagetron.prompts", QUEUE.name, request.encode(), "replies.gone", request.id)
    )

    assert await (await a_client(bench))() == described()
