"""Foreign pictures: what they are read as, which are refused, and what they cannot do to the service or to each other."""

import asyncio
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from imagetron_chassis.errors import Permanent
from imagetron_chassis.pictures.errors import (
    PictureTooLarge,
    PictureUnreadable,
    ReaderCannotStart,
    ReaderDied,
    ReaderTooSlow,
)
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_chassis.pictures.values import Picture, PictureLimits, ReadPicture
from imagetron_contracts.media import Dimensions, ImageFormat
from integration.chassis.picture_files import (
    SCRIPT,
    SIZE,
    TOO_LARGE,
    UNREADABLE,
    a_chunk,
    a_deep_png,
    a_palette,
    a_picture,
    a_plain,
    a_profile,
    encoded,
    with_text,
)
from support.eventually import eventually, eventually_sync

GOOD = encoded(a_picture())
PIXELS = a_picture().tobytes()
TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a picture is stored whose tag says how to turn it back."""


@pytest.fixture
async def reader():
    pictures = PictureReader()
    yield pictures
    await pictures.stop()


def first_pixel(picture: Picture) -> tuple[int, ...]:
    return tuple(picture.pixels[:3])


def is_near(one: tuple[int, ...], other: tuple[int, ...], distance: int = 3) -> bool:
    return all(abs(this - that) <= distance for this, that in zip(one, other, strict=True))


def size(width: int, height: int) -> Dimensions:
    return Dimensions(width=width, height=height)


def is_alive(process_id: int) -> bool:
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


# What pictures are read as.


@pytest.mark.parametrize(
    ("form", "parameters"), [(ImageFormat.PNG, {}), (ImageFormat.WEBP, {"lossless": True}), (ImageFormat.JPEG, {})]
)
async def test_a_picture_is_its_pixels_its_size_their_digest_and_the_files_format(reader, form, parameters):
    data = encoded(a_picture(), form.name, **parameters)
    with Image.open(io.BytesIO(data)) as image:
        pixels = image.convert("RGB").tobytes()

    picture = await reader.read(data)

    assert picture == ReadPicture(pixels, size(*SIZE), hashlib.sha256(pixels).hexdigest(), form)
    assert len(repr(picture)) < 300


CLEAR = a_chunk(b"tRNS", b"\0\x10")
KINDS: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "grey": (a_plain("L", 70), (70, 70, 70)),
    "black and white": (a_plain("1", 1), (255, 255, 255)),
    "a palette": (a_palette(3), (90, 100, 110)),
    "half-transparent red": (a_plain("RGBA", (255, 0, 0, 128)), (255, 127, 127)),
    "wholly transparent black": (a_plain("RGBA", (0, 0, 0, 0)), (255, 255, 255)),
    "half-transparent grey": (a_plain("LA", (0, 51)), (204, 204, 204)),
    "a transparent WebP": (a_plain("RGBA", (0, 0, 255, 0), "WEBP", lossless=True), (255, 255, 255)),
    "a palette with a transparent entry": (a_palette(3, transparency=3), (255, 255, 255)),
    "a palette with a half-transparent entry": (
        a_palette(0, transparency=bytes([128, *[255] * 7])),
        (127, 132, 137),
    ),
    "a transparent shade of grey": (a_plain("L", 70, transparency=70), (255, 255, 255)),
    "another shade than the transparent one": (a_plain("L", 71, transparency=70), (71, 71, 71)),
    "a transparent colour": (a_plain("RGB", (1, 2, 3), transparency=(1, 2, 3)), (255, 255, 255)),
    "16-bit black": (a_deep_png(0, 0), (0, 0, 0)),
    "16-bit grey": (a_deep_png(0, 0x8080), (128, 128, 128)),
    "16-bit dark grey": (a_deep_png(0, 0x1010), (16, 16, 16)),
    "16-bit white": (a_deep_png(0, 0xFFFF), (255, 255, 255)),
    "16-bit grey with a transparent shade": (a_deep_png(0, 0x4040, chunks=(CLEAR,)), (64, 64, 64)),
    "16-bit colours": (a_deep_png(2, 0x1010, 0x8080, 0xFFFF), (16, 128, 255)),
    "16-bit grey with transparency": (a_deep_png(4, 0, 0x8080), (127, 127, 127)),
    "16-bit colours with transparency": (a_deep_png(6, 0xFFFF, 0, 0, 0x8080), (255, 127, 127)),
    "a JPEG in grey": (a_plain("L", 70, "JPEG"), (70, 70, 70)),
    "a JPEG in CMYK": (a_plain("CMYK", (255, 0, 0, 0), "JPEG"), (0, 255, 255)),
    "a JPEG in black ink": (a_plain("CMYK", (0, 0, 0, 255), "JPEG"), (0, 0, 0)),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_pixel_becomes_eight_bit_rgb_on_white(reader, kind):
    data, expected = KINDS[kind]

    picture = await reader.read(data)

    assert is_near(first_pixel(picture), expected), first_pixel(picture)
    assert len(picture.pixels) == picture.size.width * picture.size.height * 3


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
async def test_a_picture_is_turned_upright_as_its_exif_data_say(reader, turn, form):
    exif = Image.Exif()
    exif[0x0112] = turn
    method = TURNED[turn]
    stored = a_picture() if method is None else a_picture().transpose(method)

    picture = await reader.read(encoded(stored, form, lossless=True, exif=exif))

    assert picture.size == size(*SIZE)
    assert picture.pixels == PIXELS


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9, b"SECRET"],
)
async def test_exif_data_that_cannot_be_read_are_ignored(reader, exif):
    assert (await reader.read(encoded(a_picture(), exif=exif))).pixels == PIXELS


async def test_an_orientation_that_does_not_exist_is_upright(reader):
    exif = Image.Exif()
    exif[0x0112] = 9

    assert (await reader.read(encoded(a_picture(), exif=exif))).pixels == PIXELS


async def test_colours_are_brought_from_the_files_profile_to_srgb(reader):
    red = (250, 10, 10)
    picture = await reader.read(a_plain("RGB", red, icc_profile=a_profile(b"RGB ", swapped=True)))

    assert is_near(first_pixel(picture), red[::-1], 20), first_pixel(picture)


async def test_shades_are_brought_from_the_files_profile_to_srgb(reader):
    linear = a_profile(b"GRAY", gamma=1.0)

    picture = await reader.read(a_plain("L", 128, icc_profile=linear))

    # Half of the light is 188 in sRGB (IEC 61966-2-1).
    assert is_near(first_pixel(picture), (188, 188, 188), 2), first_pixel(picture)


async def test_a_transparent_picture_with_a_profile_is_both_flattened_and_converted(reader):
    profile = a_profile(b"RGB ", swapped=True)

    picture = await reader.read(a_plain("RGBA", (255, 0, 0, 0), icc_profile=profile))

    assert is_near(first_pixel(picture), (255, 255, 255))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PROFILES = {
    "sRGB's own": SRGB,
    "one that calls itself sRGB": a_profile(b"RGB ", name="sRGB IEC61966-2.1", swapped=True),
    "one for shades": a_profile(b"GRAY"),
    "one for inks": a_profile(b"CMYK"),
    "one without an end": SRGB[:200],
    "one whose tags lie outside": SRGB[:128] + b"\xff" * 400,
    "no profile at all": b"SECRET",
    "an empty one": b"\0",
    "one of five megabytes": a_profile(b"RGB ", swapped=True) + bytes(5 << 20),
}


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_profile_that_changes_nothing_or_makes_no_sense_leaves_the_pixels_alone(reader, profile):
    data = encoded(a_picture(), "WEBP", lossless=True, icc_profile=PROFILES[profile])

    assert (await reader.read(data)).pixels == PIXELS


async def test_of_a_camera_file_with_several_pictures_the_first_counts(reader):
    other = Image.new("RGB", SIZE, "red")
    several = encoded(a_picture(), "MPO", save_all=True, append_images=[other], quality=95)
    alone = await reader.read(encoded(a_picture(), "JPEG", quality=95))

    picture = await reader.read(several)

    assert picture.source_format is ImageFormat.JPEG
    assert picture.pixels == alone.pixels


async def test_what_stands_in_a_file_besides_pixels_is_left_behind(reader):
    with_page = GOOD + SCRIPT

    assert (await reader.read(with_page)).pixels == PIXELS
    assert b"SECRET" not in (await reader.read(with_text())).pixels


# What is refused.


def corpus() -> list[bytes]:
    return [make() for make in (*TOO_LARGE.values(), *UNREADABLE.values())]


@pytest.mark.parametrize(
    ("what", "error"),
    [*((what, PictureTooLarge) for what in TOO_LARGE), *((what, PictureUnreadable) for what in UNREADABLE)],
)
async def test_a_hostile_file_is_refused_for_good_and_the_same_process_reads_the_next_one(reader, what, error):
    data = {**TOO_LARGE, **UNREADABLE}[what]()
    await reader.read(GOOD)
    process_ids = reader.process_ids

    with pytest.raises(error) as refused:
        await reader.read(data)

    assert isinstance(refused.value, Permanent)
    assert str(refused.value).startswith("the picture ")
    assert (await reader.read(GOOD)).pixels == PIXELS
    assert reader.process_ids == process_ids


@pytest.mark.parametrize(
    "limits",
    [PictureLimits(max_bytes=len(GOOD) - 1), PictureLimits(max_pixels=2399), PictureLimits(max_side=59)],
    ids=["bytes", "pixels", "side"],
)
async def test_a_caller_may_allow_less(reader, limits):
    with pytest.raises(PictureTooLarge, match="the picture "):
        await reader.read(GOOD, limits=limits)


async def test_a_picture_of_just_the_allowed_size_is_read(reader):
    limits = PictureLimits(max_bytes=len(GOOD), max_pixels=2400, max_side=60)

    assert (await reader.read(GOOD, limits=limits)).pixels == PIXELS


async def test_a_sentence_says_what_is_too_much(reader):
    with pytest.raises(PictureTooLarge, match="60x40 and may have 59 pixels a side"):
        await reader.read(GOOD, limits=PictureLimits(max_side=59))
    with pytest.raises(PictureUnreadable, match="3 frames and should have one"):
        await reader.read(UNREADABLE["an animated PNG"]())


async def test_damaged_files_are_refused_or_read_but_never_end_the_process(reader):
    dice = random.Random(random.randrange(1 << 30))  # pytest-randomly sets and prints the seed
    originals = [GOOD, *(encoded(a_picture(), form, icc_profile=SRGB) for form in ("PNG", "JPEG", "WEBP"))]
    await reader.read(GOOD)
    process_ids = reader.process_ids

    for _ in range(200):
        damaged = bytearray(dice.choice(originals))
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(min(len(damaged), 300))] = dice.randrange(256)
        try:
            await reader.read(bytes(damaged))
        except (PictureUnreadable, PictureTooLarge):
            continue

    assert reader.process_ids == process_ids


MEASURING = """
import asyncio, sys
from pathlib import Path
from imagetron_chassis.errors import Permanent
from imagetron_chassis.pictures.reader import PictureReader
from integration.chassis.test_pictures import GOOD

def peak_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

async def main():
    reader = PictureReader()
    await reader.read(GOOD)
    before, refused = peak_kilobytes(), 0
    for file in sorted(Path(sys.argv[1]).iterdir()):
        try:
            await reader.read(file.read_bytes())
        except Permanent:
            refused += 1
    grown = peak_kilobytes() - before
    await reader.stop()
    print(grown, refused)

asyncio.run(main())
"""


def test_the_whole_corpus_costs_the_service_less_than_fifty_megabytes(tmp_path):
    files = corpus()
    for number, data in enumerate(files):
        (tmp_path / f"{number:03}").write_bytes(data)
    tests = Path(__file__).parents[2]

    output = subprocess.run(
        [sys.executable, "-c", MEASURING, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=tests,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ).stdout.splitlines()[-1]

    grown, refused = map(int, output.split())
    assert refused == len(files) >= 25
    assert grown < 50_000


# Resizing.


@pytest.mark.parametrize("to", [(240, 160), (30, 20), (61, 7)])
async def test_pixels_are_resized_with_a_lanczos_filter(reader, to):
    expected = a_picture().resize(to, Image.Resampling.LANCZOS).tobytes()

    picture = await reader.resized(PIXELS, size(*SIZE), to=size(*to))

    assert picture == Picture(expected, size(*to), hashlib.sha256(expected).hexdigest())


async def test_pixels_of_another_size_than_they_say_are_an_error_of_the_caller(reader):
    with pytest.raises(ValueError, match="7199 bytes are no RGB picture of 60x40"):
        await reader.resized(PIXELS[:-1], size(*SIZE), to=size(10, 10))


async def test_nothing_is_resized_beyond_forty_megapixels(reader):
    with pytest.raises(PictureTooLarge, match="8192x4883 is resized only up to 40000000"):
        await reader.resized(PIXELS, size(*SIZE), to=size(8192, 4883))
    with pytest.raises(PictureTooLarge, match="8192x4883"):
        await reader.resized(bytes(8192 * 4883 * 3), size(8192, 4883), to=size(*SIZE))


async def test_the_largest_pictures_are_read_and_resized_within_the_memory_and_time_of_a_process(reader):
    exif = Image.Exif()
    exif[0x0112] = 6
    largest = Image.new("RGBA", (8000, 5000), (255, 0, 0, 128))
    read = await reader.read(
        encoded(largest, compress_level=1, exif=exif, icc_profile=a_profile(b"RGB ", swapped=True))
    )
    assert read.size == size(5000, 8000)

    resized = await reader.resized(read.pixels, read.size, to=size(8192, 4882))

    assert len(resized.pixels) == 8192 * 4882 * 3
    assert len(reader.process_ids) == 1


# Processes.


async def test_no_process_starts_before_the_first_picture(reader):
    assert reader.process_ids == []

    with pytest.raises(PictureUnreadable):
        await reader.read(b"no picture at all")
    assert reader.process_ids == []

    await reader.read(GOOD)
    assert len(reader.process_ids) == 1


async def test_pictures_read_beside_hostile_ones_are_none_the_worse():
    reader = PictureReader(2)
    hostile = corpus()
    mixed = [data for bad in hostile for data in (bad, GOOD)]
    try:
        outcomes = await asyncio.gather(*map(reader.read, mixed), return_exceptions=True)

        assert all(isinstance(outcome, Permanent) for outcome in outcomes[::2])
        assert [outcome.pixels for outcome in outcomes[1::2] if isinstance(outcome, ReadPicture)] == [PIXELS] * len(
            hostile
        )
        assert len(reader.process_ids) == 2
    finally:
        await reader.stop()


async def test_a_killed_process_fails_its_own_picture_alone_and_another_takes_its_place():
    reader = PictureReader(2)
    try:
        await asyncio.gather(reader.read(GOOD), reader.read(GOOD))
        doomed, spared = reader.process_ids
        os.kill(doomed, signal.SIGKILL)
        await eventually(lambda: not is_alive(doomed))

        outcomes = [await asyncio.gather(reader.read(GOOD), return_exceptions=True) for _ in range(4)]

        assert sum(isinstance(outcome, ReaderDied) for [outcome] in outcomes) == 1
        assert sum(isinstance(outcome, ReadPicture) for [outcome] in outcomes) == 3
        assert spared in reader.process_ids
        assert doomed not in reader.process_ids
    finally:
        await reader.stop()


async def test_a_picture_that_takes_too_long_is_ended_and_the_next_one_read():
    reader = PictureReader(deadline_seconds=1)
    try:
        await eventually(lambda: _is_read(reader))
        (slow,) = reader.process_ids
        os.kill(slow, signal.SIGSTOP)
        with pytest.raises(ReaderTooSlow, match="more than 1 s"):
            await reader.read(GOOD)

        await eventually(lambda: _is_read(reader))
        await eventually(lambda: not is_alive(slow))
    finally:
        await reader.stop()


async def _is_read(reader: PictureReader) -> bool:
    try:
        return (await reader.read(GOOD)).pixels == PIXELS
    except ReaderTooSlow:  # on a machine that is busy with other things
        return False


async def test_a_picture_that_burns_more_processor_time_than_allowed_is_ended():
    # None beyond the second that the process has begun; this takes two.
    reader = PictureReader(cpu_seconds=0)
    try:
        with pytest.raises(ReaderDied, match="without an answer"):
            await reader.resized(bytes(8192 * 4882 * 3), size(8192, 4882), to=size(4882, 8192))

        assert reader.process_ids == []
    finally:
        await reader.stop()


async def test_a_picture_that_needs_more_memory_than_a_process_may_have_costs_that_process_alone():
    reader = PictureReader(memory_bytes=120 << 20)
    try:
        await reader.read(GOOD)
        (first,) = reader.process_ids
        with pytest.raises(ReaderDied, match="more memory"):
            await reader.read(encoded(Image.new("RGB", (6000, 6000))))

        assert (await reader.read(GOOD)).pixels == PIXELS
        assert first not in reader.process_ids
    finally:
        await reader.stop()


async def test_a_process_is_replaced_after_its_share_of_pictures():
    reader = PictureReader(orders_each=2)
    try:
        await reader.read(GOOD)
        (first,) = reader.process_ids
        await reader.read(GOOD)
        await reader.read(GOOD)

        assert first not in reader.process_ids
        assert len(reader.process_ids) == 1
    finally:
        await reader.stop()


async def test_a_cancelled_picture_leaves_no_answer_for_the_next_one(reader):
    await reader.read(GOOD)
    (first,) = reader.process_ids
    os.kill(first, signal.SIGSTOP)
    task = asyncio.create_task(reader.read(encoded(Image.new("RGB", SIZE, "red"))))
    await asyncio.wait([task], timeout=0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert (await reader.read(GOOD)).pixels == PIXELS
    assert first not in reader.process_ids


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_does_not_take_the_processes_from_a_service_that_still_drains(reader, number):
    await reader.read(GOOD)
    os.kill(reader.process_ids[0], number)

    assert (await reader.read(GOOD)).pixels == PIXELS


async def test_a_process_sees_no_environment_variable_and_can_write_no_file_and_take_no_more_memory_than_it_may(reader):
    await reader.read(GOOD)
    (process_id,) = reader.process_ids

    environment, limits = _seen_by(process_id)

    assert [entry.split(b"=")[0] for entry in environment if entry] == [b"PYTHONPATH"]
    assert _limit(limits, "Max address space") == str(1 << 30)
    assert _limit(limits, "Max file size") == "0"
    assert _limit(limits, "Max core file size") == "0"
    assert int(_limit(limits, "Max cpu time")) <= 40


def _seen_by(process_id: int) -> tuple[list[bytes], str]:
    process = Path(f"/proc/{process_id}")
    return (process / "environ").read_bytes().split(b"\0"), (process / "limits").read_text()


def _limit(limits: str, name: str) -> str:
    return next(line for line in limits.splitlines() if line.startswith(name)).removeprefix(name).split()[0]


# The end.


async def test_no_process_is_left_after_a_stop_and_none_starts_again():
    reader = PictureReader(2)
    await asyncio.gather(reader.read(GOOD), reader.read(GOOD))
    process_ids = reader.process_ids

    await reader.stop()
    await reader.stop()

    assert not any(is_alive(process_id) for process_id in process_ids)
    with pytest.raises(ReaderCannotStart, match="has been stopped"):
        await reader.read(GOOD)
    assert reader.process_ids == []


async def test_a_stop_ends_pictures_under_way_and_those_that_wait():
    reader = PictureReader()
    await reader.read(GOOD)
    (process_id,) = reader.process_ids
    os.kill(process_id, signal.SIGSTOP)
    under_way, waiting = (asyncio.create_task(reader.read(GOOD)) for _ in range(2))
    await asyncio.wait([under_way, waiting], timeout=0.1)

    await reader.stop()

    outcomes = await asyncio.gather(under_way, waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ReaderDied, ReaderCannotStart]
    assert not is_alive(process_id)


ORPHANING = """
import asyncio
from imagetron_chassis.pictures.reader import PictureReader
from integration.chassis.test_pictures import GOOD

async def main():
    reader = PictureReader(2)
    await asyncio.gather(reader.read(GOOD), reader.read(GOOD))
    print(*reader.process_ids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_processes_end_by_themselves_when_the_service_is_killed():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    service = subprocess.Popen(
        [sys.executable, "-c", ORPHANING],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert service.stdout is not None
    process_ids = [int(word) for word in service.stdout.readline().split()]
    assert len(process_ids) == 2
    assert all(is_alive(process_id) for process_id in process_ids)

    service.kill()
    service.communicate()

    eventually_sync(lambda: not any(is_alive(process_id) for process_id in process_ids))


# Processes that a file has taken over.

LYING = """
import json, sys
from imagetron_chassis.pictures import frames

frames.write(sys.stdout.buffer, {"ready": True})
frames.read(sys.stdin.buffer)
lie = json.loads(sys.argv[1])
if "raw" in lie:
    sys.stdout.buffer.write(lie["raw"].encode("latin-1"))
else:
    frames.write(sys.stdout.buffer, lie["says"], lie["lengths"], [bytes(min(length, 1 << 20)) for length in lie["lengths"]])
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""
RIGHT = {"size": {"width": 60, "height": 40}}
LIES: dict[str, dict[str, object]] = {
    "no frame": {"raw": "\0\0\0\5hello"},
    "a header without end": {"raw": "\xff\xff\xff\xff" + "{" * 70_000},
    "a header of another shape": {"raw": '\0\0\0\x0f{"lengths":"a"}'},
    "no size": {"says": {}, "lengths": [7200, 32]},
    "a size beyond all": {"says": {"size": {"width": 9000, "height": 1}}, "lengths": [27000, 32]},
    "another length than its size": {"says": RIGHT, "lengths": [7199, 32]},
    "a digest of another length": {"says": RIGHT, "lengths": [7200, 31]},
    "a part too few": {"says": RIGHT, "lengths": [7200]},
    "a part too many": {"says": RIGHT, "lengths": [7200, 32, 1]},
    "a negative length": {"says": RIGHT, "lengths": [-1, 32]},
    "more than anybody asked for": {"says": RIGHT, "lengths": [1 << 40, 32]},
    "that it is ready": {"says": {"ready": True}, "lengths": []},
    "a picture and a reason against it": {"says": {**RIGHT, "unreadable": "no"}, "lengths": [7200, 32]},
    "more pixels than anybody allowed": {"says": {"size": {"width": 8192, "height": 8192}}, "lengths": [201326592, 32]},
    "a sentence without end": {"says": {"unreadable": "a" * 201}, "lengths": []},
}


def a_liar(lie: dict[str, object]) -> PictureReader:
    return PictureReader(command=(sys.executable, "-P", "-c", LYING, json.dumps(lie)))


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_that_a_process_says_is_taken_on_trust(lie):
    reader = a_liar(LIES[lie])
    try:
        with pytest.raises(ReaderDied):
            await reader.read(GOOD)
        with pytest.raises(ReaderDied):
            await reader.resized(PIXELS, size(*SIZE), to=size(*SIZE))
    finally:
        await reader.stop()


async def test_a_process_that_makes_another_size_than_was_asked_for_is_not_believed():
    reader = a_liar({"says": {"size": {"width": 40, "height": 60}}, "lengths": [7200, 32]})
    try:
        with pytest.raises(ReaderDied, match="not asked for"):
            await reader.resized(PIXELS, size(*SIZE), to=size(*SIZE))
    finally:
        await reader.stop()


async def test_a_process_without_the_memory_to_resize_is_replaced():
    reader = a_liar({"says": {"exhausted": True}, "lengths": []})
    try:
        with pytest.raises(ReaderDied, match="more memory"):
            await reader.resized(PIXELS, size(*SIZE), to=size(*SIZE))
        assert reader.process_ids == []
    finally:
        await reader.stop()


NOT_READY = """
import sys
from imagetron_chassis.pictures import frames
frames.write(sys.stdout.buffer, {"exhausted": True})
"""


@pytest.mark.parametrize(
    "command",
    [("/no/such/program",), *((sys.executable, "-P", "-c", program) for program in ("pass", "print(7)", NOT_READY))],
    ids=["no program", "silent", "no frame", "not ready"],
)
async def test_a_process_that_does_not_start_is_tried_again_later(command):
    reader = PictureReader(command=command)
    for _ in range(2):
        with pytest.raises(ReaderCannotStart):
            await reader.read(GOOD)
    await reader.stop()
    assert reader.process_ids == []
