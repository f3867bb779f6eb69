"""A generator that is killed at each line of its way, after every image of a family: five images in the end, each once."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.stages import RendersGenerated
from imagetron_contracts.topology import DELIVERY_LIMIT
from imagetron_generator.domain.work_format import digest_of
from integration.generator.unruly import SIZE, UNRULY, Client, UnrulyTriton, a_client, unruly, unruly_session
from support.eventually import eventually
from support.rabbitmq import FreshBroker
from support.service_process import StartService, start_service

__all__ = ["start_service", "unruly", "unruly_session"]

IMAGES = 5


def each_image(point: str) -> list[str]:
    """A life that finds the image before unfinished makes that one again first, and so dies at its second pass."""
    return [f"{point}=1"] + [f"{point}=2"] * (IMAGES - 1)


# What each life dies of. In whatever order the broker gives them the family, everyone dies and leaves one image more.
DEATHS = {
    "before the render is stored": each_image("generator.model_answered"),
    "before its record is stored": each_image("generator.render_stored"),
    "after its record was stored": ["generator.record_stored=1"] * IMAGES,
    "around the result": ["delivery.before_facts=1", "delivery.before_ack=1"],
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def client(fresh_broker: FreshBroker, store: Path) -> AsyncIterator[Client]:
    work = FilesystemBlobs(store / "work")
    async with a_client(fresh_broker.url, work) as client:
        yield client
    await work.close()


@pytest.mark.parametrize("deaths", DEATHS.values(), ids=DEATHS.keys())
async def test_every_image_is_there_once_and_at_most_one_is_made_again_for_each_kill(
    deaths: list[str],
    client: Client,
    unruly: UnrulyTriton,
    store: Path,
    tmp_path: Path,
    start_service: StartService,
):
    assert len(deaths) <= DELIVERY_LIMIT
    environ = {
        "AMQP_URL": client.url,
        "STORAGE_PATH": str(store),
        "GENERATOR_TRITON_URL": unruly.address,
        "GENERATOR_HEALTH_MODELS": UNRULY,
        "FAULT_LEDGER": str(tmp_path / "ledger"),
    }
    request = await client.ask(images=IMAGES)

    # All at once: starting takes most of the time. The broker gives the family to one after the other.
    doomed = [start_service("generator", **environ, FAULT_PLAN=plan) for plan in deaths]
    assert all(life.killed_itself() for life in doomed), "\n".join(life.output for life in doomed)
    successor = start_service("generator", **environ).until_ready()
    result = (await client.results([request], within_seconds=60))[request.job_id]
    await eventually(client.nothing_waits)
    assert successor.stop() == 0

    assert points_of(tmp_path / "ledger") == sorted(plan.partition("=")[0] for plan in deaths)
    await all_are_there_once(result, client)
    assert renders_in(store) == IMAGES
    calls = unruly.calls(request.job_id)
    assert set(calls) == set(range(1, IMAGES + 1))
    assert len(calls) <= IMAGES + len(deaths)
    assert await client.failures() == []
    assert await client.nothing_waits()


async def all_are_there_once(result: RendersGenerated, client: Client) -> None:
    assert [(image.index, image.seed) for image in result.images] == [(number, number + 1) for number in range(IMAGES)]
    assert not result.errors
    for image in result.images:
        stored = await client.work.get(image.key)
        pixels = bytes([image.seed]) * (SIZE.width * SIZE.height * 3)
        assert image.digest == digest_of(stored) == hashlib.sha256(pixels).hexdigest()


def points_of(ledger: Path) -> list[str]:
    return sorted(json.loads(line)["point"] for line in ledger.read_text().splitlines())


def renders_in(store: Path) -> int:
    return sum(1 for _ in store.rglob("render"))
