"""The child processes that cut pictures: what they make, what they refuse, and what happens when one of them dies."""

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.windows import Window
from imagetron_deriver.ports import CutterDied, CutterTooSlow, Cutting, RenderUnreadable
from integration.deriver.pictures import HOSTILE, SCRIPT, SIZE, a_picture, a_render, a_render_with_secrets, encoded
from support.eventually import eventually, eventually_sync

RENDER = Dimensions(width=SIZE[0], height=SIZE[1])
WHOLE = Window(0, 0, *SIZE)


def a_cut(width: int = 168, height: int = 96, form: ImageFormat = ImageFormat.WEBP, window: Window = WHOLE) -> Cut:
    return Cut(window, Dimensions(width=width, height=height), form)


@pytest.fixture
async def cutter():
    processes = PillowProcesses(1)
    await processes.start()
    yield processes
    await processes.stop()


def memory_kilobytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def is_alive(process_id: int) -> bool:
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def environment_names(process_id: int) -> list[bytes]:
    environment = Path(f"/proc/{process_id}/environ").read_bytes()
    return [entry.split(b"=")[0] for entry in environment.split(b"\0") if entry]


@pytest.mark.parametrize("form", ImageFormat)
async def test_a_picture_has_the_format_and_size_asked_for_and_shows_the_window(cutter, form):
    window = Window(100, 20, 160, 90)

    cutting = await cutter.cut(a_render(), RENDER, [a_cut(320, 180, form, window)])

    with Image.open(io.BytesIO(cutting.pictures[0].data)) as picture:
        assert (picture.format, picture.size, picture.mode) == (form.name, (320, 180), "RGB")
        expected = a_picture().getpixel((180, 65))
        shown = picture.getpixel((160, 90))
    assert isinstance(expected, tuple)
    assert isinstance(shown, tuple)
    assert all(abs(one - other) <= 6 for one, other in zip(expected, shown, strict=True))
    assert cutting.seconds > 0


async def test_the_same_render_and_cut_give_the_same_bytes_and_digest_in_any_process(cutter):
    (first,) = (await cutter.cut(a_render(), RENDER, [a_cut()])).pictures
    os.kill(cutter.process_ids[0], signal.SIGKILL)
    with pytest.raises(CutterDied):
        await cutter.cut(a_render(), RENDER, [a_cut()])
    (again,) = (await cutter.cut(a_render(), RENDER, [a_cut()])).pictures

    assert again == first


async def test_another_window_size_or_format_gives_another_digest(cutter):
    cuts = [a_cut(), a_cut(window=Window(1, 0, 335, 192)), a_cut(170), a_cut(form=ImageFormat.JPEG)]

    cutting = await cutter.cut(a_render(), RENDER, cuts)

    assert len({picture.digest for picture in cutting.pictures}) == len(cuts)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
async def test_lossless_deliveries_of_providers_give_the_pictures_of_the_render_itself(cutter, form):
    own = await cutter.cut(a_render(), RENDER, [a_cut()])

    delivered = await cutter.cut(encoded(a_picture(), form, lossless=True), RENDER, [a_cut()])

    assert delivered.pictures == own.pictures


@pytest.mark.parametrize("form", ImageFormat)
async def test_nothing_of_a_renders_metadata_survives_and_every_picture_is_marked_as_made_by_a_model(cutter, form):
    render = a_render_with_secrets()
    assert b"SECRET" in render

    cutting = await cutter.cut(render, RENDER, [a_cut(form=form)])

    data = cutting.pictures[0].data
    assert b"SECRET" not in data
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert set(picture.info) & {"exif", "icc_profile", "parameters"} == set()
        assert b"digitalsourcetype/trainedAlgorithmicMedia" in bytes(picture.info["xmp"])


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_file_is_refused_for_good_and_the_same_process_makes_the_next_picture(cutter, what):
    data = HOSTILE[what]()
    process_ids = cutter.process_ids
    before = memory_kilobytes()

    with pytest.raises(RenderUnreadable) as refused:
        await cutter.cut(data, RENDER, [a_cut()])

    assert str(refused.value).startswith("the render ")
    assert memory_kilobytes() - before < 50_000
    assert len((await cutter.cut(a_render(), RENDER, [a_cut()])).pictures) == 1
    assert cutter.process_ids == process_ids


async def test_a_render_beyond_forty_megapixels_is_refused_even_if_it_was_promised(cutter):
    promised = Dimensions(width=8000, height=5001)

    with pytest.raises(RenderUnreadable, match="more than 40000000 pixels"):
        await cutter.cut(b"P6\n8000 5001\n255\n", promised, [a_cut()])


async def test_what_hides_behind_a_good_picture_stays_behind(cutter):
    polyglot = encoded(a_picture(), "PNG") + HOSTILE["a zip archive"]() + SCRIPT

    cutting = await cutter.cut(polyglot, RENDER, [a_cut()])

    assert SCRIPT not in cutting.pictures[0].data
    assert b"PK" + b"\x05\x06" not in cutting.pictures[0].data


async def test_damaged_files_are_refused_or_read_but_never_end_the_process(cutter):
    dice = random.Random(random.randrange(1 << 30))  # pytest-randomly sets and prints the seed
    originals = [a_render(), *(encoded(a_picture(), form) for form in ("PNG", "JPEG", "WEBP"))]
    process_ids = cutter.process_ids

    for _ in range(200):
        damaged = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(min(len(damaged), 300))] = dice.randrange(256)
        try:
            await cutter.cut(bytes(damaged), RENDER, [a_cut(16, 16)])
        except RenderUnreadable:
            continue

    assert cutter.process_ids == process_ids


async def test_a_killed_process_fails_its_own_render_and_no_other():
    cutter = PillowProcesses(2)
    await cutter.start()
    doomed, spared = cutter.process_ids
    try:
        os.kill(doomed, signal.SIGKILL)
        await eventually(lambda: not is_alive(doomed))

        outcomes: list[Cutting | CutterDied] = []
        for _ in range(4):
            try:
                outcomes.append(await cutter.cut(a_render(), RENDER, [a_cut()]))
            except CutterDied as error:
                outcomes.append(error)

        assert sum(isinstance(outcome, CutterDied) for outcome in outcomes) == 1
        assert spared in cutter.process_ids
        assert doomed not in cutter.process_ids
        assert len(cutter.process_ids) == 2
    finally:
        await cutter.stop()


async def test_a_render_that_needs_more_memory_than_a_process_may_have_costs_that_process_alone():
    cutter = PillowProcesses(1, memory_bytes=200 << 20)
    await cutter.start()
    (first,) = cutter.process_ids
    large = Dimensions(width=6000, height=6000)
    try:
        with pytest.raises(CutterDied):
            await cutter.cut(a_render((6000, 6000)), large, [a_cut()])

        assert len((await cutter.cut(a_render(), RENDER, [a_cut()])).pictures) == 1
        assert first not in cutter.process_ids
    finally:
        await cutter.stop()


async def test_a_picture_that_takes_too_long_is_ended_and_the_next_one_made():
    cutter = PillowProcesses(1, deadline_seconds=0.5)
    await cutter.start()
    (slow,) = cutter.process_ids
    try:
        os.kill(slow, signal.SIGSTOP)
        async with asyncio.timeout(10):
            with pytest.raises(CutterTooSlow, match=r"more than 0\.5 s"):
                await cutter.cut(a_render(), RENDER, [a_cut()])

        assert len((await cutter.cut(a_render(), RENDER, [a_cut()])).pictures) == 1
        await eventually(lambda: not is_alive(slow))
    finally:
        await cutter.stop()


async def test_a_picture_that_burns_more_processor_time_than_allowed_is_ended():
    cutter = PillowProcesses(1, cpu_seconds=1)
    await cutter.start()
    try:
        endless = [a_cut(4096, 4096)] * 20
        with pytest.raises(CutterDied):
            await cutter.cut(a_render(), RENDER, endless)

        assert len((await cutter.cut(a_render(), RENDER, [a_cut()])).pictures) == 1
    finally:
        await cutter.stop()


async def test_a_process_is_replaced_after_its_share_of_orders():
    cutter = PillowProcesses(1, orders_each=2)
    await cutter.start()
    (first,) = cutter.process_ids
    try:
        for _ in range(3):
            await cutter.cut(a_render(), RENDER, [a_cut()])

        assert first not in cutter.process_ids
        assert len(cutter.process_ids) == 1
    finally:
        await cutter.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_does_not_take_the_processes_from_a_service_that_still_drains(cutter, number):
    os.kill(cutter.process_ids[0], number)

    assert len((await cutter.cut(a_render(), RENDER, [a_cut()])).pictures) == 1


async def test_no_process_is_left_after_a_stop():
    cutter = PillowProcesses(2)
    await cutter.start()
    process_ids = cutter.process_ids

    await cutter.stop()

    assert not any(is_alive(process_id) for process_id in process_ids)


async def test_a_process_sees_no_environment_variable_that_could_be_a_secret(cutter):
    assert environment_names(cutter.process_ids[0]) == [b"PYTHONPATH"]


ORPHANING = """
import asyncio
from imagetron_deriver.adapters.processes import PillowProcesses

async def main():
    cutter = PillowProcesses(2)
    await cutter.start()
    print(*cutter.process_ids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_processes_end_by_themselves_when_the_service_is_killed():
    service = subprocess.Popen([sys.executable, "-c", ORPHANING], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    process_ids = [int(word) for word in service.stdout.readline().split()]
    assert len(process_ids) == 2
    assert all(is_alive(process_id) for process_id in process_ids)

    service.kill()
    service.communicate()

    eventually_sync(lambda: not any(is_alive(process_id) for process_id in process_ids))
