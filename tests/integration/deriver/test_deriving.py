"""A family from render to files, with real pictures, real processes and a folder as the work store."""

import asyncio
import io
import os
import signal
from collections.abc import Sequence

import pytest
from PIL import Image

from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.ports import CutterDied, Cutting
from imagetron_deriver.usecases import derive_family
from integration.deriver.pictures import HOSTILE, a_render
from unit.deriver.renders import FAMILY, an_image, put_render, put_spec, renders_generated


class TellingCutter:
    """Says when it was asked."""

    def __init__(self, cutter: PillowProcesses, asked: asyncio.Event) -> None:
        self._cutter = cutter
        self._asked = asked

    async def cut(self, render: bytes, size: Dimensions, cuts: Sequence[Cut]) -> Cutting:
        self._asked.set()
        return await self._cutter.cut(render, size, cuts)


@pytest.fixture
async def work(tmp_path):
    store = FilesystemBlobs(tmp_path)
    await put_spec(store)
    await put_render(store, a_render((1344, 768)), 0)
    await put_render(store, HOSTILE["a PNG of a hundred kilobytes and 81 megapixels"](), 1)
    yield store
    await store.close()


@pytest.fixture
async def cutter():
    processes = PillowProcesses(2)
    await processes.start()
    yield processes
    await processes.stop()


async def test_every_file_of_a_family_decodes_at_its_size_while_the_bomb_beside_it_fails_alone(work, cutter):
    message = renders_generated(an_image(0), an_image(1))

    fact = await derive_family(message, tries=1, work=work, cutter=cutter)

    assert fact is not None
    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.RENDER_UNREADABLE)]
    (image,) = fact.images
    assert [file.name for file in image.files] == [FAMILY.name, *(item.name for item in FAMILY.derivatives)]
    for file in image.files:
        with Image.open(io.BytesIO(await work.get(file.key))) as picture:
            picture.load()
            assert (picture.format, picture.size) == ("WEBP", (file.size.width, file.size.height))
    assert fact.encode_seconds > 0


async def test_a_family_whose_process_is_killed_in_the_middle_is_derived_on_the_next_try(work):
    cutter = PillowProcesses(1)
    await cutter.start()
    message = renders_generated()
    try:
        # Stopped, it is certainly still at work when it is killed.
        (process_id,) = cutter.process_ids
        os.kill(process_id, signal.SIGSTOP)
        asked = asyncio.Event()
        telling = TellingCutter(cutter, asked)
        deriving = asyncio.create_task(derive_family(message, tries=1, work=work, cutter=telling))
        await asked.wait()
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(CutterDied):
            await deriving

        fact = await derive_family(message, tries=2, work=work, cutter=cutter)

        assert fact is not None
        assert len(fact.images) == 1
    finally:
        await cutter.stop()
