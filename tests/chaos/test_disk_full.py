"""Disks without room: refused before damage, whole whatever is there, and on with the work when there is room again."""

import asyncio
import io
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from chaos.gateway_desk import Answer, GatewayDesk, a_desk, requests_of, until_it_consumes
from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.stages import DerivativesRendered
from imagetron_contracts.topology import DERIVER_RENDERS, PUBLISHER_DERIVATIVES
from integration.chassis.workbench import Bench, a_bench
from integration.deriver.pictures import a_render
from support.eventually import eventually
from support.rabbitmq import FreshBroker
from support.service_process import StartService, start_service
from support.small_disk import SmallDisk, small_disk
from unit.deriver.renders import FAMILY, a_prefix, put_render, put_spec, renders_generated

__all__ = ["small_disk", "start_service"]

BACK_WITHIN_SECONDS = 10.0


@pytest.fixture
async def bench(fresh_broker: FreshBroker) -> AsyncIterator[Bench]:
    async with a_bench(fresh_broker) as bench:
        yield bench


def objects(folder: Path) -> set[str]:
    """Everything below the folder that is a file, unfinished ones included."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


async def test_a_picture_that_does_not_fit_is_refused_whole_and_fits_later(small_disk: SmallDisk):
    folder = small_disk.path / "public"
    store = FilesystemBlobs(folder)
    await store.put_if_absent("a/first.webp", b"first", content_type="image/webp")
    small_disk.fill(leave_bytes=500_000)

    for _ in range(3):
        with pytest.raises(BlobsUnavailable, match="No space left"):
            await store.put_if_absent("a/second.webp", bytes(2_000_000), content_type="image/webp")

    assert objects(folder) == {"a/first.webp"}
    assert small_disk.free_bytes > 0
    assert await store.get("a/first.webp") == b"first"
    small_disk.make_room()
    assert await store.put_if_absent("a/second.webp", bytes(2_000_000), content_type="image/webp")
    assert await store.get("a/second.webp") == bytes(2_000_000)
    await store.close()


async def test_a_deriver_without_room_for_its_pictures_waits_and_completes_them_when_there_is_room(
    bench: Bench, small_disk: SmallDisk, start_service: StartService
):
    folder = small_disk.path / "work"
    work = FilesystemBlobs(folder)
    await put_spec(work)
    await put_render(work, a_render((1344, 768)))
    given = objects(folder)
    small_disk.fill()
    await bench.publish(renders_generated())
    deriver = start_service("deriver", AMQP_URL=bench.url, STORAGE_PATH=str(small_disk.path), DERIVER_PROCESSES="1")

    await eventually(lambda: deriver.said("image_not_derived") >= 2, within_seconds=60)
    # The next try may be under way already; what it leaves is gone as well.
    await eventually(lambda: objects(folder) == given)
    assert await bench.is_empty(PUBLISHER_DERIVATIVES.name, DERIVER_RENDERS.dead_letters)

    small_disk.make_room()
    envelope = await bench.take_envelope(PUBLISHER_DERIVATIVES.name, within_seconds=60)

    assert isinstance(envelope.data, DerivativesRendered)
    (image,) = envelope.data.images
    assert len(image.files) == 1 + len(FAMILY.derivatives)
    for file in image.files:
        with Image.open(io.BytesIO(await work.get(file.key))) as picture:
            picture.load()
    records = {f"{a_prefix()}/detection.json", f"{a_prefix()}/files/manifest.json"}
    assert objects(folder) - given == {file.key for file in image.files} | records
    await work.close()


async def test_a_gateway_without_room_for_documents_refuses_new_jobs_keeps_the_old_and_goes_on_when_there_is_room(
    bench: Bench, small_disk: SmallDisk, start_service: StartService, tmp_path: Path
):
    database = small_disk.path / "gateway.sqlite3"
    gateway = start_service(
        "gateway",
        AMQP_URL=bench.url,
        STORAGE_PATH=str(tmp_path / "objects"),
        GATEWAY_DOCUMENTS_URL=f"sqlite:///{database}",
    )
    await asyncio.to_thread(gateway.until_ready)
    await asyncio.to_thread(until_it_consumes, gateway)
    async with a_desk(gateway) as desk:
        before = await desk.submit("before")
        assert before.status == httpx.codes.ACCEPTED
        assert (await requests_of(bench, [before.body["id"]])).keys() == {before.body["id"]}

        await until_refused(desk, small_disk)
        answers = [await submitted_when_full(desk, small_disk, f"during-{number}") for number in range(5)]
        assert {answer.status for answer in answers} == {httpx.codes.SERVICE_UNAVAILABLE}
        assert all(int(answer.response.headers["Retry-After"]) >= 1 for answer in answers)
        assert (await desk.read(before.body["id"])).status == httpx.codes.OK

        small_disk.make_room()
        roomy_at = time.monotonic()
        await eventually(lambda: is_accepted(desk, "after"), within_seconds=30)
        assert time.monotonic() - roomy_at < BACK_WITHIN_SECONDS

        names = await desk.names()
        assert names == sorted({"before", "after", *(name for name in names if name.startswith("filling-"))})
        assert (await desk.read(before.body["id"])).body["id"] == before.body["id"]
    assert gateway.stop() == 0
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (len(names),)
    connection.close()


async def is_accepted(desk: GatewayDesk, name: str) -> bool:
    return (await desk.submit(name)).status == httpx.codes.ACCEPTED


async def submitted_when_full(desk: GatewayDesk, disk: SmallDisk, name: str) -> Answer:
    """The database gives room back when it tidies its own files up; that is filled as well."""
    disk.fill()
    return await desk.submit(name)


async def until_refused(desk: GatewayDesk, disk: SmallDisk) -> None:
    """Fill the disk, and what room the database's own files have left."""
    accepted = 0

    async def is_refused() -> bool:
        nonlocal accepted
        answer = await submitted_when_full(desk, disk, f"filling-{accepted}")
        accepted += answer.status == httpx.codes.ACCEPTED
        return answer.status == httpx.codes.SERVICE_UNAVAILABLE

    await eventually(is_refused, within_seconds=60)
