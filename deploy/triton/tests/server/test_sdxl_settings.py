"""What an operator sets: a classifier of outputs, a budget of memory, what is loaded before the server is ready."""

import asyncio
from pathlib import Path

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from support.eventually import eventually

from .conftest import LOADS_WITHIN_SECONDS, Client, SdxlOrder, serving, until_ready
from .prude import WITHHELD_WIDTH

# Half as much again as one checkpoint has in its files (1.8 MB).
ROOM_FOR_ONE = 2_700_000


@pytest.fixture(scope="module")
def strict(checkpoints):
    settings = {
        "SDXL_CLASSIFIER": f"{Path(__file__).with_name('prude.py')}:Prude",
        "SDXL_MEMORY_BYTES": str(ROOM_FOR_ONE),
    }
    with serving(checkpoints, settings) as server:
        asyncio.run(until_ready(server))
        yield server


@pytest.fixture
async def client(strict):
    async with InferenceServerClient(strict.address) as connection:
        yield Client(connection)


async def test_what_the_classifier_withholds_is_an_explicit_error_and_its_batch_mates_are_made(client):
    withheld = SdxlOrder(width=WITHHELD_WIDTH)

    before, refused, after = await client.in_one_batch([SdxlOrder(), withheld, SdxlOrder(seeds=(8,))])

    assert str(refused.message()).startswith("CONTENT_FILTERED: ")
    assert before.images is not None
    assert after.images is not None


async def test_two_checkpoints_take_turns_in_memory_for_one(client, checkpoints):
    size = sum(file.stat().st_size for file in (checkpoints / "one").rglob("*.safetensors"))
    assert size < ROOM_FOR_ONE < 2 * size

    first, other, again = [await client.make(SdxlOrder(checkpoint=name)) for name in ("one", "two", "one")]

    assert first.images.tobytes() == again.images.tobytes()
    assert first.fingerprint != other.fingerprint


async def test_a_server_that_cannot_load_what_it_is_to_be_ready_with_does_not_start_and_says_why(checkpoints):
    with serving(checkpoints, {"SDXL_PRELOAD": "one, missing"}) as server:
        await eventually(
            lambda: server.process.poll() is not None, within_seconds=LOADS_WITHIN_SECONDS, every_seconds=0.2
        )

        assert "The checkpoint missing is not on this server; there are: one, two." in server.log.read_text()
