"""A deriver that dies in the middle of its work costs time and nothing else."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.stages import DerivativesRendered, DerivedImage
from imagetron_contracts.topology import DELIVERY_LIMIT, DERIVER_RENDERS, PUBLISHER_DERIVATIVES
from integration.chassis.workbench import Bench, a_bench
from integration.deriver.pictures import a_render
from support.rabbitmq import FreshBroker
from support.service_process import StartService, start_service
from unit.deriver.renders import FAMILY, a_prefix, put_render, put_spec, renders_generated

__all__ = ["start_service"]

# In the order in which the work passes them, so that every death finds more of it done.
DEATHS = (
    "blobs.before_link=1",
    "deriver.file_stored=2",
    "deriver.manifest_stored=1",
    "delivery.before_facts=1",
    "delivery.before_ack=1",
)


@pytest.fixture
async def bench(fresh_broker: FreshBroker):
    async with a_bench(fresh_broker) as bench:
        yield bench


async def facts(bench: Bench, count: int) -> list[DerivativesRendered]:
    envelopes = [await bench.take_envelope(PUBLISHER_DERIVATIVES.name, within_seconds=60) for _ in range(count)]
    assert len({envelope.id for envelope in envelopes}) == 1
    return [envelope.data for envelope in envelopes if isinstance(envelope.data, DerivativesRendered)]


def objects(folder: Path) -> dict[str, bytes]:
    """Everything that has a name in the store; what is still being written has none."""
    files = (file for file in folder.rglob("*") if file.is_file() and ".incoming" not in file.parts)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def decodes(name: str, data: bytes) -> bool:
    """Whether the object is whole: a picture to its last pixel, JSON to its last brace."""
    if name.endswith(".json"):
        return isinstance(json.loads(data), dict)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
    return True


async def test_derivatives_are_complete_and_none_is_half_written_wherever_the_deriver_was_killed(
    bench: Bench, start_service: StartService, tmp_path: Path
):
    assert len(DEATHS) <= DELIVERY_LIMIT
    store, ledger = tmp_path / "objects" / "work", tmp_path / "ledger"
    work = FilesystemBlobs(store)
    await put_spec(work)
    await put_render(work, a_render((1344, 768)))
    environ = {"AMQP_URL": bench.url, "STORAGE_PATH": str(store.parent), "DERIVER_PROCESSES": "1"}
    await bench.publish(renders_generated())
    found: dict[str, bytes] = {}

    for plan in DEATHS:
        doomed = start_service("deriver", **environ, FAULT_PLAN=plan, FAULT_LEDGER=str(ledger))
        assert doomed.killed_itself(), doomed.output
        earlier, found = found, objects(store)
        assert all(decodes(name, data) for name, data in found.items())
        assert earlier.items() <= found.items()

    # The fact of the last death was told already and is told again, under the same id.
    successor = start_service("deriver", **environ)
    told, again = await facts(bench, 2)
    assert successor.stop() == 0

    assert [json.loads(line)["point"] for line in ledger.read_text().splitlines()] == [
        plan.partition("=")[0] for plan in DEATHS
    ]
    assert told.images == again.images
    (image,) = told.images
    await every_file_is_whole(image, work)
    kept = {name for name in objects(store) if name.startswith(f"{a_prefix()}/files/")}
    assert kept == {file.key for file in image.files} | {f"{a_prefix()}/files/manifest.json"}
    assert await bench.is_empty(DERIVER_RENDERS.name, DERIVER_RENDERS.dead_letters, PUBLISHER_DERIVATIVES.name)
    await work.close()


async def every_file_is_whole(image: DerivedImage, work: FilesystemBlobs) -> None:
    assert [file.name for file in image.files] == [FAMILY.name, *(item.name for item in FAMILY.derivatives)]
    for file in image.files:
        data = await work.get(file.key)
        assert len(data) == file.byte_count
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.size == (file.size.width, file.size.height)
