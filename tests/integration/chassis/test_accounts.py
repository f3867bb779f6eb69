"""The services' broker accounts on a real node: each can do its work, and reads nobody else's."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aio_pika
import pytest
from aiormq.exceptions import ChannelAccessRefused

from imagetron_chassis.broker import Broker
from imagetron_chassis.dead_letters import DeadLetterOffice
from imagetron_contracts.topology import DERIVER_RENDERS, QUEUES
from integration.chassis.workbench import Bench
from support.eventually import eventually

ACCOUNTS = Path(__file__).parents[3] / "deploy" / "rabbitmq" / "accounts.py"


def the_accounts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accounts", ACCOUNTS)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def account(bench: Bench) -> Callable[[str], str]:
    """Makes a service's account as the deployment does; answers its URL."""

    def made(service: str) -> str:
        may = the_accounts().permissions(service)
        user = f"{service}-{bench.vhost}"
        texts = ", ".join(f'<<"{may[what]}">>'.replace("\\", "\\\\") for what in ("configure", "write", "read"))
        bench.node.ctl(
            "eval",
            f'rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"secret">>, <<"tests">>), '
            f'rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{bench.vhost}">>, {texts}, <<"tests">>).',
        )
        return bench.url.replace("guest:guest", f"{user}:secret")

    return made


async def test_the_gateway_looks_at_every_dead_letter_and_sends_it_home(bench: Bench, account: Any):
    await bench.broker()
    gateway = Broker(account("gateway"), "gateway")
    await gateway.connect()
    office = DeadLetterOffice(gateway, gateway.publisher)
    await bench.put(b"a letter", queue=DERIVER_RENDERS.dead_letters)

    async def seen() -> bool:
        return bool((await office.look(DERIVER_RENDERS, limit=1)).letters)

    await eventually(seen)
    for queue in QUEUES:
        await office.look(queue, limit=1)
    await office.replay(DERIVER_RENDERS, None, limit=1, per_second=10)

    assert (await bench.take(DERIVER_RENDERS.name)).body == b"a letter"
    await gateway.close()


async def test_nobody_reads_anothers_work_and_only_the_gateway_others_dead_letters(bench: Bench, account: Any):
    await bench.broker()

    async def may_read(channel_url: str, queue: str) -> bool:
        async with await aio_pika.connect(channel_url) as connection:
            channel = await connection.channel()
            try:
                await (await channel.get_queue(queue, ensure=False)).get(fail=False)
            except ChannelAccessRefused:
                return False
            return True

    gateway, publisher = account("gateway"), account("publisher")

    assert not await may_read(gateway, DERIVER_RENDERS.name)
    assert await may_read(gateway, DERIVER_RENDERS.dead_letters)
    assert not await may_read(publisher, DERIVER_RENDERS.name)
    assert not await may_read(publisher, DERIVER_RENDERS.dead_letters)
    assert await may_read(publisher, "publisher.derivatives-rendered")


async def test_an_event_tail_of_the_gateway_may_be_bound_to_the_public_events(bench: Bench, account: Any):
    await bench.broker()

    async with await aio_pika.connect(account("gateway")) as connection:
        channel = await connection.channel()
        tail = await channel.declare_queue("tails.events.test", exclusive=True, auto_delete=True)
        await tail.bind("imagetron.events", "image.#")
        assert await tail.get(fail=False) is None
