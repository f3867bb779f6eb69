"""One picture of a render: which part of it, and at which size."""

import io
import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from PIL import Image, ImageChops, ImageStat, PngImagePlugin

from imagetron_deriver.adapters.imaging.making import make
from imagetron_deriver.adapters.orders import OrderedPicture
from integration.deriver.pictures import SIZE, a_picture

WHOLE = (0, 0, *SIZE)
RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)
# The whole way in a process of its own: what decides bytes must not be the process.
ELSEWHERE = """
import json, sys
from integration.deriver.pictures import a_picture
from imagetron_deriver.adapters.imaging.making import make
from imagetron_deriver.adapters.orders import OrderedPicture
made = make(a_picture(), OrderedPicture.of(json.loads(sys.argv[1])))
sys.stdout.buffer.write(made)
"""


def wanted(
    size: tuple[int, int] = (168, 96),
    box: tuple[int, int, int, int] = WHOLE,
    form: str = "png",
    profile: str = "quality",
    watermark: dict[str, str] | None = None,
    prompt: str | None = None,
) -> OrderedPicture:
    return OrderedPicture(box, size, form, profile, watermark, prompt)


def opened(made: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(made))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean of all channels, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def stripes() -> Image.Image:
    """Black and white ones of 24 pixels, upright: whatever moves shows."""
    picture = Image.new("RGB", SIZE, "black")
    for left in range(0, SIZE[0], 48):
        picture.paste("white", (left, 0, left + 24, SIZE[1]))
    return picture


def halves(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (200, 100)) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize("size", [(224, 128), (168, 96), (100, 57)])
def test_a_smaller_picture_is_the_render_seen_from_farther_away_and_lies_where_it_lay(size):
    render = stripes()

    picture = opened(make(render, wanted(size)))

    here, beside = (render.resize(size, Image.Resampling.LANCZOS, box=(left, 0, *SIZE)) for left in (0, 1))
    assert difference(picture, here) < 0.5
    assert difference(picture, beside) > 1


def test_a_window_of_the_size_asked_for_comes_out_pixel_for_pixel():
    render = a_picture()

    made = make(render, wanted((160, 90), (100, 20, 260, 110)))

    assert opened(made).tobytes() == render.crop((100, 20, 260, 110)).tobytes()


@pytest.mark.parametrize("size", [(80, 45), (640, 360)])
def test_a_window_is_brought_to_its_size_and_shows_what_is_in_it(size):
    render = Image.new("RGB", (400, 200), RED)
    render.paste(BLUE, (100, 20, 260, 110))

    picture = opened(make(render, wanted(size, (100, 20, 260, 110))))

    assert picture.size == size
    # At a window's edges, resampling looks at up to six neighbours, which are outside.
    reach = size[0] * 6 // 160
    inner = picture.crop((reach, reach, size[0] - reach, size[1] - reach))
    assert inner.getcolors() == [(inner.width * inner.height, BLUE)]


def test_the_render_stays_as_it_was_for_its_next_picture():
    render = a_picture()
    before = render.tobytes()

    for box in (WHOLE, (-50, -50, 400, 300)):
        make(render, wanted(SIZE, box, watermark={"text": "© 2026", "placement": "tiled"}))

    assert render.tobytes() == before


@pytest.mark.parametrize("form", ["webp", "jpeg", "png", "avif"])
def test_nothing_of_the_renders_own_metadata_is_in_a_file(form):
    render = a_picture()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "SECRET")
    render.info = {
        "icc_profile": b"SECRET" * 30,
        "exif": b"Exif\0\0MM\0*\0\0\0\x08SECRET",
        "comment": b"SECRET",
        "xmp": b"SECRET",
        "pnginfo": texts,
        "dpi": (300, 300),
        "transparency": (0, 0, 0),
    }

    for box, size in ((WHOLE, SIZE), (WHOLE, (168, 96)), ((-100, 0, 400, 192), (168, 96))):
        made = make(render, wanted(size, box, form))

        assert b"SECRET" not in made
        assert opened(made).mode == "RGB"
        assert not {"icc_profile", "exif", "comment", "dpi", "transparency"} & opened(made).info.keys()


def test_a_padded_picture_shows_all_of_the_window_that_the_render_has_in_its_place():
    render = a_picture((300, 200))

    picture = opened(make(render, wanted((300, 400), (0, -100, 300, 300))))

    assert picture.crop((0, 100, 300, 300)).tobytes() == render.tobytes()


@pytest.mark.parametrize(
    ("box", "size", "shown"),
    [
        ((-100, 0, 300, 100), (400, 100), (100, 0, 300, 100)),
        ((-100, -50, 300, 150), (200, 100), (50, 25, 150, 75)),
        ((50, -100, 150, 200), (50, 150), (0, 50, 50, 100)),
    ],
)
def test_a_window_may_leave_the_render_on_any_side(box, size, shown):
    render = halves(RED, BLUE)

    picture = opened(make(render, wanted(size, box)))

    assert picture.size == size
    part = render.crop((max(box[0], 0), 0, min(box[2], 200), 100)).resize((shown[2] - shown[0], shown[3] - shown[1]))
    assert difference(picture.crop(shown), part) < 1


def test_beyond_the_render_its_edges_go_on():
    render = halves(RED, BLUE)

    picture = opened(make(render, wanted((600, 100), (-200, 0, 400, 100))))

    left, right = picture.crop((150, 0, 200, 100)), picture.crop((400, 0, 450, 100))
    assert difference(left, Image.new("RGB", left.size, RED)) < 3
    assert difference(right, Image.new("RGB", right.size, BLUE)) < 3


def test_beyond_the_render_nothing_is_in_focus():
    stripes = Image.new("RGB", (200, 200), "white")
    for top in range(0, 200, 10):
        stripes.paste("black", (0, top, 200, top + 5))

    picture = opened(make(stripes, wanted((600, 200), (-200, 0, 400, 200))))

    assert picture.crop((200, 0, 400, 200)).tobytes() == stripes.tobytes()
    beyond = Image.new("RGB", (100, 80), (128, 128, 128))
    assert difference(picture.crop((0, 60, 100, 140)), beyond) < 10


@pytest.mark.parametrize(
    ("render", "box", "size"),
    [
        ((8192, 10), (0, -100_000, 8192, 571_088), (100, 8192)),
        ((50, 20), (0, -100, 50, 5000), (1, 8192)),
        ((3, 3), (-1000, 0, 1003, 3), (2006, 3)),
        ((300, 200), (-1, 0, 299, 200), (1, 1)),
    ],
)
def test_the_oddest_windows_are_padded_too_without_a_canvas_of_their_size(render, box, size):
    picture = opened(make(Image.new("RGB", render, GREEN), wanted(size, box)))

    assert picture.size == size
    assert difference(picture, Image.new("RGB", size, GREEN)) == 0


@pytest.mark.parametrize("form", ["webp", "jpeg", "png", "avif"])
def test_the_same_picture_has_the_same_bytes_in_every_process(form):
    watermark = {"text": "© é مرحبا", "placement": "tiled"}
    order = wanted((192, 168), (-20, 0, 172, 168), form, watermark=watermark, prompt="A fox\r\nin snow")
    here = make(a_picture(), order)

    command = [sys.executable, "-c", ELSEWHERE, json.dumps(asdict(order))]
    there = subprocess.run(command, capture_output=True, check=True, env={"PYTHONPATH": "tests"}).stdout

    assert there == here


OTHERS = {
    "another window": {"box": (0, 0, 335, 192)},
    "another size": {"size": (168, 95)},
    "another format": {"format": "webp"},
    "another profile": {"profile": "fast"},
    "a watermark": {"watermark": {"text": "© 2026", "placement": "centre"}},
    "a prompt": {"prompt": "A fox"},
    "an empty prompt": {"prompt": ""},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_every_part_of_an_order_makes_another_file(other):
    assert make(a_picture(), wanted()) != make(a_picture(), replace(wanted(), **other))
