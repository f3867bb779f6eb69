"""A family from render to files, with real pictures, real processes and a folder as the work store."""

import asyncio
import io
import os
import signal
from contextlib import AbstractAsyncContextManager

import pytest
from PIL import Image, ImageChops

from imagetron_chassis.blobs.filesystem import FilesystemBlobs
from imagetron_contracts.crops import Box, Fit, Misfit, Subject
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.ports import CutterDied, OpenRender
from imagetron_deriver.usecases import derive_family
from integration.chassis.picture_files import TOO_LARGE
from integration.deriver.pictures import a_picture, a_render
from unit.deriver.renders import (
    FAMILY,
    a_prefix,
    a_spec,
    an_image,
    derivatives_requested,
    put_render,
    put_spec,
    renders_generated,
)


class TellingCutter:
    """Says when it was asked."""

    def __init__(self, cutter: PillowProcesses, asked: asyncio.Event) -> None:
        self._cutter = cutter
        self._asked = asked

    def opened(self, render: bytes, size: Dimensions) -> AbstractAsyncContextManager[OpenRender]:
        self._asked.set()
        return self._cutter.opened(render, size)


@pytest.fixture
async def work(tmp_path):
    store = FilesystemBlobs(tmp_path)
    await put_spec(store)
    await put_render(store, a_render((1344, 768)), 0)
    await put_render(store, TOO_LARGE["a PNG of a hundred kilobytes and 81 megapixels"](), 1)
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


async def test_a_picture_is_borrowed_and_another_padded_with_a_single_process(tmp_path):
    work = FilesystemBlobs(tmp_path)
    zone = Subject(safe_zone=Box(left=0.05, top=0.3, right=0.95, bottom=0.7), misfit=Misfit.BORROW)
    tall = FileSpec(name="tall", size=Dimensions(width=384, height=672), format=ImageFormat.PNG)
    taller = FileSpec(name="taller", size=Dimensions(width=200, height=800))
    portrait = Dimensions(width=768, height=1344)
    others = {"square": Dimensions(width=1024, height=1024), "portrait": portrait}
    await put_spec(work, a_spec(tall, taller, others=others))
    await put_render(work, a_render((1344, 768)))
    await put_render(work, TOO_LARGE["a PNG of 48 megapixels"](), family="square")
    await put_render(work, a_render((768, 1344)), family="portrait")
    cutter = PillowProcesses(1)
    await cutter.start()
    try:
        async with asyncio.timeout(60):
            fact = await derive_family(derivatives_requested(subject=zone), tries=1, work=work, cutter=cutter)
    finally:
        await cutter.stop()

    assert fact is not None
    crops = [file.crop for file in fact.images[0].files]
    assert [(crop.fit, crop.family) for crop in crops if crop] == [(Fit.BORROWED, "portrait"), (Fit.PADDED, None)]
    with Image.open(io.BytesIO(await work.get(fact.images[0].files[0].key))) as picture:
        expected = a_picture((768, 1344)).resize((384, 672), Image.Resampling.LANCZOS)
        # Another library's Lanczos: it rounds elsewhere.
        assert max(ImageChops.difference(picture, expected).tobytes()) <= 3
    await work.close()


async def test_cutting_again_makes_the_same_files_of_the_same_subject_and_looks_no_second_time(work, cutter):
    first = await derive_family(renders_generated(), tries=1, work=work, cutter=cutter)
    detection = await work.head(f"{a_prefix()}/detection.json")

    again = await derive_family(derivatives_requested(), tries=1, work=work, cutter=cutter)

    assert first is not None
    assert again is not None
    assert (again.images, again.derivation) == (first.images, 1)
    assert detection is not None
    assert first.images[0].detection is not None
