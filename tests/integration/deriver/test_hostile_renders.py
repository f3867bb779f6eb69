"""Renders from strangers: each becomes a picture with the right pixels, or is refused for good with a sentence that says why."""

import asyncio
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageCms

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_deriver.adapters.processes import PillowProcesses
from imagetron_deriver.domain.cuts import Cut
from imagetron_deriver.domain.windows import Window
from imagetron_deriver.ports import Cutter, RenderUnreadable
from integration.chassis.picture_files import (
    SCRIPT,
    SIZE,
    a_chunk,
    a_deep_png,
    a_palette,
    a_picture,
    a_plain,
    a_profile,
    encoded,
    with_text,
    zeros,
)
from integration.deriver.hostile import HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = encoded(a_picture(), "PPM")
PIXELS = a_picture().tobytes()
LOSSLESS = [("PNG", {}), ("WEBP", {"lossless": True}), ("PPM", {})]
Size = tuple[int, int]


async def pixels_of(cutter: Cutter, render: bytes, size: Size = SIZE) -> bytes:
    """What a picture of the whole render shows, pixel by pixel."""
    promised = Dimensions(width=size[0], height=size[1])
    whole = Cut(Window(0, 0, *size), promised, ImageFormat.PNG)
    async with cutter.opened(render, promised) as opened:
        (picture,) = (await opened.cut([whole])).pictures
    with Image.open(io.BytesIO(picture.data)) as image:
        assert (image.mode, image.size) == ("RGB", size)
        return image.tobytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cutter():
    """One for all: that it is the same process after every render is what is tested."""
    processes = PillowProcesses(1)
    await processes.start()
    yield processes
    await processes.stop()


# What is refused.


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_render_is_refused_for_good_and_the_same_process_makes_the_next_picture(cutter, what):
    hostile = HOSTILE[what]
    process_ids = cutter.process_ids

    with pytest.raises(RenderUnreadable) as refused:
        await pixels_of(cutter, hostile.make(), hostile.promised)

    assert str(refused.value).startswith("the render ")
    assert await pixels_of(cutter, GOOD) == PIXELS
    assert cutter.process_ids == process_ids


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (
            "a picture that lies on its side",
            "the render is 40x60 and should be 60x40",
        ),
        ("a picture that is smaller than promised", "the render is 30x20 and should be 60x40"),
        ("an animated PNG", "the render should be 60x40: the picture has 3 frames and should have one"),
        ("a PPM of another size", "the render is 40x60 and should be 60x40"),
        ("a PPM that is a byte short", "the render has 7199 bytes of pixels and should have 7200"),
        ("a PPM with 16 bits", "the render is a PPM file that no generator of ours wrote"),
        ("one pixel more than forty megapixels", "the render of 8000x5001 has more than 40000000 pixels"),
    ],
)
async def test_the_sentence_says_what_is_wrong(cutter, what, sentence):
    hostile = HOSTILE[what]

    with pytest.raises(RenderUnreadable) as refused:
        await pixels_of(cutter, hostile.make(), hostile.promised)

    assert str(refused.value) == sentence


MEASURING = """
import asyncio, sys
from pathlib import Path
from imagetron_chassis.errors import Permanent
from imagetron_deriver.adapters.processes import PillowProcesses
from integration.deriver.test_hostile_renders import GOOD, PIXELS, pixels_of

def peak_kilobytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

async def main():
    cutter = PillowProcesses(2)
    await cutter.start()
    children = set(cutter.process_ids)
    assert await pixels_of(cutter, GOOD) == PIXELS
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    before, refused, good = peak_kilobytes(), 0, 0
    for file in sorted(Path(sys.argv[1]).iterdir()):
        size = tuple(map(int, file.suffix[1:].split("x")))
        hostile, neighbour = await asyncio.gather(
            pixels_of(cutter, file.read_bytes(), size), pixels_of(cutter, GOOD), return_exceptions=True
        )
        refused += isinstance(hostile, Permanent)
        good += neighbour == PIXELS
    grown, replaced = peak_kilobytes() - before, len(children - set(cutter.process_ids))
    await cutter.stop()
    print(grown, refused, good, replaced, flush=True)

asyncio.run(main())
"""


def measured(folder: Path) -> list[int]:
    tests = Path(__file__).parents[2]
    output = subprocess.run(
        [sys.executable, "-c", MEASURING, folder],
        capture_output=True,
        text=True,
        check=True,
        cwd=tests,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ).stdout.splitlines()[-1]
    return list(map(int, output.split()))


async def test_the_whole_corpus_costs_the_service_less_than_fifty_megabytes_and_no_neighbour_its_picture(tmp_path):
    for number, hostile in enumerate(HOSTILE.values()):
        (tmp_path / f"{number:03}.{hostile.promised[0]}x{hostile.promised[1]}").write_bytes(hostile.make())

    grown, refused, good, replaced = await asyncio.to_thread(measured, tmp_path)

    assert refused == good == len(HOSTILE) >= 25
    assert replaced == 0
    assert grown < 50_000


# What is read.


@pytest.mark.parametrize(("form", "parameters"), LOSSLESS)
async def test_a_lossless_render_is_its_pixels(cutter, form, parameters):
    assert await pixels_of(cutter, encoded(a_picture(), form, **parameters)) == PIXELS


CLEAR = a_chunk(b"tRNS", b"\0\x10")
KINDS: dict[str, tuple[bytes, Size, tuple[int, int, int]]] = {
    "16-bit grey": (a_deep_png(0, 0x8080), (1, 1), (128, 128, 128)),
    "16-bit grey with a transparent shade": (a_deep_png(0, 0x4040, chunks=(CLEAR,)), (1, 1), (64, 64, 64)),
    "16-bit colours": (a_deep_png(2, 0x1010, 0x8080, 0xFFFF), (1, 1), (16, 128, 255)),
    "16-bit colours with transparency": (a_deep_png(6, 0xFFFF, 0, 0, 0x8080), (1, 1), (255, 127, 127)),
    "black and white": (a_plain("1", 1), (8, 4), (255, 255, 255)),
    "grey": (a_plain("L", 70), (8, 4), (70, 70, 70)),
    "a palette": (a_palette(3), (8, 4), (90, 100, 110)),
    "a palette with a transparent entry": (a_palette(3, transparency=3), (8, 4), (255, 255, 255)),
    "a palette with a half-transparent entry": (
        a_palette(0, transparency=bytes([128, *[255] * 7])),
        (8, 4),
        (127, 132, 137),
    ),
    "wholly transparent black": (a_plain("RGBA", (0, 0, 0, 0)), (8, 4), (255, 255, 255)),
    "a transparent WebP": (a_plain("RGBA", (0, 0, 255, 0), "WEBP", lossless=True), (8, 4), (255, 255, 255)),
    "a JPEG in grey": (a_plain("L", 70, "JPEG"), (8, 4), (70, 70, 70)),
    "a JPEG in CMYK": (a_plain("CMYK", (255, 0, 0, 0), "JPEG"), (8, 4), (0, 255, 255)),
    "red and blue changed over by a profile": (
        a_plain("RGB", (250, 10, 10), icc_profile=a_profile(b"RGB ", swapped=True)),
        (8, 4),
        (10, 10, 250),
    ),
    "half of the light by a linear profile": (
        a_plain("L", 128, icc_profile=a_profile(b"GRAY", gamma=1.0)),
        (8, 4),
        (188, 188, 188),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_pixel_becomes_eight_bit_srgb_on_white(cutter, kind):
    data, size, expected = KINDS[kind]

    shown = await pixels_of(cutter, data, size)

    assert all(abs(one - other) <= 20 for one, other in zip(shown[:3], expected, strict=True)), tuple(shown[:3])


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


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
async def test_a_render_is_turned_upright_before_its_size_is_compared_with_the_promise(cutter, turn, form):
    exif = Image.Exif()
    exif[0x0112] = turn
    method = TURNED[turn]
    stored = a_picture() if method is None else a_picture().transpose(method)

    assert await pixels_of(cutter, encoded(stored, form, lossless=True, exif=exif)) == PIXELS


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
HARMLESS = {
    "a profile without an end": encoded(a_picture(), icc_profile=SRGB[:200]),
    "a profile whose tags lie outside": encoded(a_picture(), icc_profile=SRGB[:128] + b"\xff" * 400),
    "a profile of five megabytes": encoded(
        a_picture(), "WEBP", lossless=True, icc_profile=a_profile(b"RGB ", swapped=True) + bytes(5 << 20)
    ),
    "a profile that is none": encoded(a_picture(), icc_profile=b"SECRET"),
    "EXIF data that are none": encoded(a_picture(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "an orientation that does not exist": encoded(
        a_picture(), exif=struct.pack(">2sHIHHHIII", b"MM", 42, 8, 1, 0x0112, 3, 1, 9 << 16, 0)
    ),
    "a text": with_text(),
    "a script behind the picture": encoded(a_picture()) + SCRIPT,
    "a bomb behind the end": encoded(a_picture()) + a_chunk(b"zTXt", b"a\0\0" + zeros(200 << 20)),
}


@pytest.mark.parametrize("what", HARMLESS)
async def test_what_stands_in_a_file_besides_pixels_changes_none_of_them(cutter, what):
    assert await pixels_of(cutter, HARMLESS[what]) == PIXELS
