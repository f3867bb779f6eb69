"""A publisher that dies around an upload leaves every picture listed once."""

import json
from collections import Counter
from pathlib import Path

import pytest

from imagetron_chassis.blobs.s3 import S3Blobs
from imagetron_contracts.stages import FamilyPublished
from imagetron_contracts.topology import DELIVERY_LIMIT, GATEWAY_PUBLISHED, PUBLISHER_DERIVATIVES
from integration.chassis.workbench import Bench, a_bench
from support.rabbitmq import FreshBroker
from support.s3 import S3Server, fronted_s3
from support.service_process import StartService, start_service
from unit.publisher.families import an_image, derivatives_rendered, put_derived

__all__ = ["start_service"]

# In the order in which the work passes them, so that every death finds more of it done.
DEATHS = ("publisher.file_copied=1", "publisher.file_copied=3", "delivery.before_facts=1", "delivery.before_ack=1")
WORK, PUBLIC = "killed-work", "killed-public"


@pytest.fixture
async def bench(fresh_broker: FreshBroker):
    async with a_bench(fresh_broker) as bench:
        yield bench


def environ(bench: Bench, server: S3Server) -> dict[str, str]:
    return {
        "AMQP_URL": bench.url,
        "S3_ENDPOINT": server.endpoint,
        "S3_BUCKET": PUBLIC,
        "S3_WORK_BUCKET": WORK,
        "S3_ACCESS_KEY_ID": server.access_key_id,
        "S3_SECRET_ACCESS_KEY": server.secret_access_key,
    }


def blobs(server: S3Server, bucket: str) -> S3Blobs:
    return S3Blobs(
        endpoint=server.endpoint,
        bucket=bucket,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
    )


async def test_each_picture_is_listed_once_wherever_the_publisher_was_killed(
    bench: Bench, start_service: StartService, tmp_path: Path
):
    assert len(DEATHS) <= DELIVERY_LIMIT
    ledger = tmp_path / "ledger"
    message = derivatives_rendered(an_image(0), an_image(1))
    with fronted_s3(WORK, PUBLIC) as (server, front):
        work, public = blobs(server, WORK), blobs(server, PUBLIC)
        await put_derived(work, message)
        await bench.publish(message)

        for plan in DEATHS:
            doomed = start_service("publisher", **environ(bench, server), FAULT_PLAN=plan, FAULT_LEDGER=str(ledger))
            assert doomed.killed_itself(), doomed.output
        # The fact of the last death was told already and is told again, under the same id.
        successor = start_service("publisher", **environ(bench, server))
        told, again = [await bench.take_envelope(GATEWAY_PUBLISHED.name, within_seconds=60) for _ in range(2)]
        assert successor.stop() == 0

        deaths = [json.loads(line)["point"] for line in ledger.read_text().splitlines()]
        assert deaths == [plan.partition("=")[0] for plan in DEATHS]
        assert told.id == again.id
        assert told.data == again.data
        assert isinstance(told.data, FamilyPublished)
        files = [file for image in told.data.images for file in image.files]
        sources = [file for image in message.images for file in image.files]
        # By the store's own account: stored once, every repetition refused, and half a body (400) no object.
        puts = front.puts(PUBLIC)
        assert Counter(key for key, status in puts if status == 200) == Counter(file.key for file in files)
        assert {status for _, status in puts} - {400} == {200, 412}
        for source, file in zip(sources, files, strict=True):
            assert await public.get(file.key) == await work.get(source.key)
        await work.close()
        await public.close()
    assert await bench.is_empty(PUBLISHER_DERIVATIVES.name, PUBLISHER_DERIVATIVES.dead_letters, GATEWAY_PUBLISHED.name)
