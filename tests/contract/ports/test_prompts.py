"""What the gateway may rely on of the prompt service, whether it is the double in memory or a service behind a broker."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from imagetron_chassis.clock import SystemClock
from imagetron_chassis.delivery import Facts
from imagetron_chassis.errors import Transient
from imagetron_chassis.rpc import RpcClient, RpcServer
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import DescribePrompts, PromptsDescribed, Refusal, RequestRefused
from imagetron_contracts.topology import PROMPT_DESCRIBE
from imagetron_gateway.adapters.prompts import RpcPrompts
from imagetron_gateway.ports import Prompts, PromptsRefused
from integration.chassis.workbench import Bench, a_bench
from support.prompts import ScriptedPrompts, a_refusal
from support.rabbitmq import FreshBroker

Scripted = Callable[[Message | Exception], Awaitable[Prompts]]
DESCRIBED = PromptsDescribed(service_version="1", source="offline")


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench


@pytest.fixture(params=["double", "service"])
def scripted(request: pytest.FixtureRequest, bench: Bench) -> Scripted:
    """Prompts that answer like this."""

    async def double(answer: Message | Exception) -> Prompts:
        prompts = ScriptedPrompts()
        prompts.answer(DescribePrompts, answer)
        return prompts

    async def service(answer: Message | Exception) -> Prompts:
        gateway = await bench.broker("gateway")
        client = RpcClient(gateway, Facts(gateway.publisher, source="imagetron/gateway", clock=SystemClock()))
        await gateway.consuming.start()
        if isinstance(answer, Message):
            broker = await bench.broker("prompt")
            server = RpcServer(broker, Facts(broker.publisher, source="imagetron/prompt", clock=SystemClock()))

            async def answers(_: Message) -> Message:
                return answer

            server.answer(PROMPT_DESCRIBE, answers)
            await server.start()
        return RpcPrompts(client)

    return double if request.param == "double" else service


async def test_an_answer_is_the_reply(scripted: Scripted):
    prompts = await scripted(DESCRIBED)

    assert await prompts.ask(DescribePrompts(), PromptsDescribed, within_seconds=5) == DESCRIBED


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_refusal_is_an_error_that_holds_it(scripted: Scripted, retryable: bool):
    refusal = a_refusal(Refusal.RATE_LIMITED, "later", retryable=retryable, wait=2.5)
    prompts = await scripted(refusal)

    with pytest.raises(PromptsRefused, match="later") as caught:
        await prompts.ask(DescribePrompts(), PromptsDescribed, within_seconds=5)

    assert caught.value.refusal == refusal


async def test_a_refusal_of_an_older_service_has_no_code(scripted: Scripted):
    prompts = await scripted(RequestRefused(message="no", retryable=False))

    with pytest.raises(PromptsRefused) as caught:
        await prompts.ask(DescribePrompts(), PromptsDescribed, within_seconds=5)

    assert caught.value.refusal.code is None


async def test_a_service_that_is_away_is_a_passing_trouble(scripted: Scripted):
    prompts = await scripted(Transient("nobody is there"))

    with pytest.raises(Transient):
        await prompts.ask(DescribePrompts(), PromptsDescribed, within_seconds=1)
