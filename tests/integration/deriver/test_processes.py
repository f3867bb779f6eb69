"""The child processes that cut pictures: what they make, what they refuse, and what happens when one of them dies."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.windows import Window
from imagetron_deriver.ports import Cutter, CutterDied, CutterTooSlow, Cutting
from integration.chassis.picture_files import a_profile
from integration.deriver.pictures import SIZE, a_picture, a_render, a_render_with_secrets, encoded
from support.eventually import eventually, eventually_sync

RENDER = Dimensions(width=SIZE[0], height=SIZE[1])
WHOLE = Window(0, 0, *SIZE)


def a_cut(width: int = 168, height: int = 96, form: ImageFormat = ImageFormat.WEBP, window: Window = WHOLE) -> Cut:
    return Cut(window, Dimensions(width=width, height=height), form)


async def cut(cutter: Cutter, render: bytes, size: Dimensions, cuts: Sequence[Cut]) -> Cutting:
    async with cutter.opened(render, size) as opened:
        return await opened.cut(cuts)


@pytest.fixture
async def cutter():
    processes = PillowProcesses(1)
    await processes.start()
    yield processes
    await processes.stop()


def is_alive(process_id: int) -> bool:
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def environment_names(process_id: int) -> list[bytes]:
    environment = Path(f"/proc/{process_id}/environ").read_bytes()
    return [entry.split(b"=")[0] for entry in environment.split(b"\0") if entry]


@pytest.mark.parametrize("form", ImageFormat)
async def test_a_picture_has_the_format_and_size_asked_for_and_shows_the_window(cutter, form):
    window = Window(100, 20, 160, 90)

    cutting = await cut(cutter, a_render(), RENDER, [a_cut(320, 180, form, window)])

    with Image.open(io.BytesIO(cutting.pictures[0].data)) as picture:
        assert (picture.format, picture.size, picture.mode) == (form.name, (320, 180), "RGB")
        expected = a_picture().getpixel((180, 65))
        shown = picture.getpixel((160, 90))
    assert isinstance(expected, tuple)
    assert isinstance(shown, tuple)
    assert all(abs(one - other) <= 6 for one, other in zip(expected, shown, strict=True))
    assert cutting.seconds > 0


async def test_the_same_render_and_cut_give_the_same_bytes_and_digest_in_any_process(cutter):
    (first,) = (await cut(cutter, a_render(), RENDER, [a_cut()])).pictures
    os.kill(cutter.process_ids[0], signal.SIGKILL)
    with pytest.raises(CutterDied):
        await cut(cutter, a_render(), RENDER, [a_cut()])
    (again,) = (await cut(cutter, a_render(), RENDER, [a_cut()])).pictures

    assert again == first


async def test_a_process_that_was_killed_while_it_had_nothing_to_do_costs_the_next_render_nothing(cutter):
    (idle,) = cutter.process_ids
    os.kill(idle, signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{idle}").exists())

    assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
    assert idle not in cutter.process_ids


async def test_a_small_delivery_of_a_provider_leaves_no_limit_behind_for_the_next_render(cutter):
    small, large = Dimensions(width=64, height=64), Dimensions(width=1344, height=768)
    window = Window(0, 0, 1000, 500)
    await cut(cutter, encoded(a_picture((64, 64)), "PNG"), small, [a_cut(32, 32, window=Window(0, 0, 64, 64))])
    process_ids = cutter.process_ids

    cutting = await cut(cutter, a_render((1344, 768)), large, [a_cut(640, 320, window=window)])

    assert len(cutting.pictures) == 1
    assert cutter.process_ids == process_ids


async def test_a_process_whose_start_is_no_longer_waited_for_does_not_stay():
    cutter = PillowProcesses(1, command=(sys.executable, "-c", "import sys; sys.stdin.read()"))
    starting = asyncio.create_task(cutter.start())
    (process_id,) = await eventually(lambda: cutter.process_ids)

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    await eventually(lambda: not is_alive(process_id))
    assert cutter.process_ids == []
    await cutter.stop()


async def test_another_window_size_or_format_gives_another_digest(cutter):
    cuts = [a_cut(), a_cut(window=Window(1, 0, 335, 192)), a_cut(170), a_cut(form=ImageFormat.JPEG)]

    cutting = await cut(cutter, a_render(), RENDER, cuts)

    assert len({picture.digest for picture in cutting.pictures}) == len(cuts)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
async def test_lossless_deliveries_of_providers_give_the_pictures_of_the_render_itself(cutter, form):
    own = await cut(cutter, a_render(), RENDER, [a_cut()])

    delivered = await cut(cutter, encoded(a_picture(), form, lossless=True), RENDER, [a_cut()])

    assert delivered.pictures == own.pictures


@pytest.mark.parametrize("form", ImageFormat)
async def test_nothing_of_a_renders_metadata_survives_and_every_picture_is_marked_as_made_by_a_model(cutter, form):
    render = a_render_with_secrets()
    assert b"SECRET" in render

    cutting = await cut(cutter, render, RENDER, [a_cut(form=form)])

    data = cutting.pictures[0].data
    assert b"SECRET" not in data
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        assert set(picture.info) & {"exif", "icc_profile", "parameters"} == set()
        assert b"digitalsourcetype/trainedAlgorithmicMedia" in bytes(picture.info["xmp"])


async def test_a_killed_process_fails_its_own_render_and_no_other():
    cutter = PillowProcesses(2)
    await cutter.start()
    doomed, spared = cutter.process_ids
    try:
        outcomes: list[Cutting | CutterDied] = []
        async with contextlib.AsyncExitStack() as sessions:
            opened = [await sessions.enter_async_context(cutter.opened(a_render(), RENDER)) for _ in range(2)]
            os.kill(doomed, signal.SIGKILL)
            await eventually(lambda: not is_alive(doomed))
            for each in opened:
                try:
                    outcomes.append(await each.cut([a_cut()]))
                except CutterDied as error:
                    outcomes.append(error)

        assert sum(isinstance(outcome, CutterDied) for outcome in outcomes) == 1
        for _ in range(2):
            await cut(cutter, a_render(), RENDER, [a_cut()])
        assert spared in cutter.process_ids
        assert doomed not in cutter.process_ids
        assert len(cutter.process_ids) == 2
    finally:
        await cutter.stop()


async def test_a_render_that_needs_more_memory_than_a_process_may_have_costs_that_process_alone():
    cutter = PillowProcesses(1, memory_bytes=560 << 20)
    await cutter.start()
    (first,) = cutter.process_ids
    large = Dimensions(width=6000, height=6000)
    try:
        with pytest.raises(CutterDied):
            await cut(cutter, a_render((6000, 6000)), large, [a_cut()])

        assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
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
                await cut(cutter, a_render(), RENDER, [a_cut()])

        assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
        await eventually(lambda: not is_alive(slow))
    finally:
        await cutter.stop()


async def test_a_picture_that_burns_more_processor_time_than_allowed_is_ended():
    cutter = PillowProcesses(1, cpu_seconds=1)
    await cutter.start()
    try:
        endless = [a_cut(4096, 4096)] * 20
        with pytest.raises(CutterDied):
            await cut(cutter, a_render(), RENDER, endless)

        assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
    finally:
        await cutter.stop()


async def test_the_largest_renders_are_looked_at_and_cut_in_every_format_within_the_limits_of_one_process(cutter):
    process_ids = cutter.process_ids
    turned = Image.Exif()
    turned[0x0112] = 6
    largest = Dimensions(width=5000, height=8000)
    clear = Image.new("RGBA", (8000, 5000), (255, 0, 0, 128))
    padded = Window(-1000, -1000, 7000, 10000)
    for render in (
        a_render((5000, 8000)),
        encoded(clear, "PNG", compress_level=1, exif=turned, icc_profile=a_profile(b"RGB ", swapped=True)),
    ):
        async with cutter.opened(render, largest) as opened:
            await opened.look()
            cutting = await opened.cut([a_cut(1400, 2000, form, padded) for form in ImageFormat])
        assert len(cutting.pictures) == len(ImageFormat)

    assert cutter.process_ids == process_ids


async def test_a_render_is_opened_once_for_a_look_and_any_number_of_cuttings(cutter):
    async with cutter.opened(a_render(), RENDER) as opened:
        found = await opened.look()
        first = await opened.cut([a_cut(), a_cut(form=ImageFormat.PNG)])
        again = await opened.cut([a_cut()])

    assert again.pictures == first.pictures[:1]
    assert found.detector
    assert 0 < again.seconds < first.seconds


async def test_two_renders_at_once_with_one_process_wait_for_each_other(cutter):
    process_ids = cutter.process_ids
    other = encoded(a_picture().transpose(Image.Transpose.ROTATE_180), "PPM")

    one, two, three = await asyncio.gather(
        *(cut(cutter, data, RENDER, [a_cut()]) for data in (a_render(), other, a_render()))
    )

    assert one.pictures == three.pictures != two.pictures
    assert cutter.process_ids == process_ids


async def test_a_session_that_is_given_up_between_two_orders_leaves_its_process_to_the_next(cutter):
    process_ids = cutter.process_ids

    with contextlib.suppress(LookupError):
        async with cutter.opened(a_render(), RENDER) as opened:
            await opened.look()
            raise LookupError

    assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
    assert cutter.process_ids == process_ids


async def test_a_session_that_is_given_up_in_the_middle_of_an_order_costs_its_process(cutter):
    (process_id,) = cutter.process_ids
    opened = asyncio.Event()

    async def give_up() -> None:
        async with cutter.opened(a_render(), RENDER) as render:
            os.kill(process_id, signal.SIGSTOP)
            opened.set()
            await render.look()

    task = asyncio.create_task(give_up())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
    assert process_id not in cutter.process_ids


@pytest.mark.parametrize(
    "ask", [lambda opened: opened.look(), lambda opened: opened.cut([a_cut()])], ids=["look", "cut"]
)
async def test_a_process_that_dies_with_a_render_open_is_replaced(cutter, ask):
    (process_id,) = cutter.process_ids

    async with cutter.opened(a_render(), RENDER) as opened:
        os.kill(process_id, signal.SIGKILL)
        with pytest.raises(CutterDied, match="a render of 336x192"):
            await ask(opened)

    assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1
    assert process_id not in cutter.process_ids


async def test_a_process_is_replaced_after_its_share_of_renders():
    cutter = PillowProcesses(1, renders_each=2)
    await cutter.start()
    (first,) = cutter.process_ids
    try:
        for _ in range(3):
            await cut(cutter, a_render(), RENDER, [a_cut()])

        assert first not in cutter.process_ids
        assert len(cutter.process_ids) == 1
    finally:
        await cutter.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_does_not_take_the_processes_from_a_service_that_still_drains(cutter, number):
    os.kill(cutter.process_ids[0], number)

    assert len((await cut(cutter, a_render(), RENDER, [a_cut()])).pictures) == 1


async def test_no_process_is_left_after_a_stop():
    cutter = PillowProcesses(2)
    await cutter.start()
    process_ids = cutter.process_ids

    await cutter.stop()

    assert not any(is_alive(process_id) for process_id in process_ids)


async def test_a_process_sees_no_environment_variable_that_could_be_a_secret(cutter):
    one_thread_each = {b"OPENBLAS_NUM_THREADS", b"VIPS_CONCURRENCY"}
    assert set(environment_names(cutter.process_ids[0])) == {b"PYTHONPATH"} | one_thread_each


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
