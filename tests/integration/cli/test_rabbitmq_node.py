"""The private broker: it keeps what it was given, minds its own business and leaves nothing behind."""

import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest
from aio_pika import DeliveryMode, Message

from imagetron_cli.embedded.guardian import Guardian
from imagetron_cli.embedded.logs import LogBook
from imagetron_cli.embedded.process import SupervisedProcess
from imagetron_cli.embedded.rabbitmq import RabbitNode
from integration.cli.processes import naming
from support.eventually import eventually
from support.ports import free_port
from support.rabbitmq import running_rabbit
from support.sockets import listening

# A quorum queue that is killed along with its broker right after its declaration can stay stuck for good.
SETTLED_SECONDS = 10


async def publish(url: str, queue: str, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(Message(body, delivery_mode=DeliveryMode.PERSISTENT), queue)


async def first_body(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        waiting = await channel.get_queue(queue)
        message = await eventually(lambda: waiting.get(fail=False), within_seconds=20)
        assert message is not None
        await message.ack()
        return message.body


async def test_a_persistent_message_in_a_quorum_queue_survives_a_kill_and_a_restart():
    with running_rabbit() as node:
        await publish(node.url, "kept", b"precious")
        began = time.monotonic()
        await eventually(lambda: time.monotonic() - began > SETTLED_SECONDS, within_seconds=2 * SETTLED_SECONDS)

        node.kill()
        node.restart()

        assert await first_body(node.url, "kept") == b"precious"


async def test_two_nodes_run_side_by_side_and_know_nothing_of_each_other(rabbitmq):
    with running_rabbit() as other:
        await publish(rabbitmq.url, "here", b"1")

        listed = other.ctl("--quiet", "list_queues", "name")

        assert "here" not in listed
        assert "here" in rabbitmq.ctl("--quiet", "list_queues", "name")
        assert other.ctl("--quiet", "list_users").split() != []


async def test_stopping_a_node_leaves_no_process_behind():
    with running_rabbit() as node:
        folder = str(node.node.folder)
        # The Erlang machine, its helpers and the port mapper.
        assert len(naming(folder)) >= 3

    await eventually(lambda: naming(folder) == [])


def test_everything_of_a_node_listens_on_loopback_only(rabbitmq):
    own = {rabbitmq.node.port, rabbitmq.node.distribution_port, rabbitmq.node.epmd_port}

    sockets = [entry for entry in listening() if entry.port in own]

    assert {entry.port for entry in sockets} == own
    assert all(entry.is_on_loopback for entry in sockets)


async def test_each_test_gets_a_virtual_host_that_nobody_else_uses(rabbitmq, fresh_broker):
    await publish(fresh_broker.url, "mine", b"1")

    for url in (rabbitmq.url, rabbitmq.new_vhost()):
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
                await channel.get_queue("mine")


NOBODY = 65_534


@pytest.fixture
async def nobodys_folder() -> AsyncIterator[Path]:
    """Outside of pytest's own, which only its owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="imagetron-nobody-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become somebody else; an ordinary user's run shows it anyway"
)
async def test_a_node_runs_as_an_ordinary_user(nobodys_folder):
    node = RabbitNode(nobodys_folder, free_port(), free_port(), free_port())
    node.prepare()
    subprocess.run(["chown", "-R", str(NOBODY), nobodys_folder], check=True)  # noqa: ASYNC221 - milliseconds
    guardian, logs = Guardian(), LogBook(nobodys_folder / "logs")
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    processes = [
        SupervisedProcess(
            dataclasses.replace(spec, argv=(*become, *spec.argv)),
            logs=logs,
            guardian=guardian,
            announce=lambda _: None,
            restarts=False,
        )
        for spec in (node.epmd(), node.broker())
    ]
    try:
        for process in processes:
            await process.start()

        await publish(node.url, "anybody", b"1")

        assert {os.stat(f"/proc/{process.pid}").st_uid for process in processes} == {NOBODY}  # noqa: PTH116
    finally:
        for process in reversed(processes):
            await process.stop()
        guardian.dismiss()
        logs.close()
