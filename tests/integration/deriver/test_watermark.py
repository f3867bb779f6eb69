"""Watermarks: legible whatever the picture shows, where they are asked for, and as large as the picture allows."""

import io
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise, product

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat, features

from imagetron_contracts.spec import MAX_WATERMARK_CHARACTERS, Placement
from imagetron_deriver.adapters.imaging.making import make
from imagetron_deriver.adapters.orders import OrderedPicture
from integration.deriver.pictures import a_picture

SIDE = 512
TEXT = "© Example 2026"
# WCAG 2.2, 1.4.3: what text needs, and what large text needs. All over a picture, a watermark lets more of it through.
CONTRAST = {placement: 3.0 if placement is Placement.TILED else 4.5 for placement in Placement}
CORNERS = [placement for placement in Placement if placement not in {Placement.CENTRE, Placement.TILED}]


def written(picture: Image.Image, text: str, placement: Placement, form: str = "png") -> Image.Image:
    watermark = {"text": text, "placement": placement.value}
    order = OrderedPicture((0, 0, *picture.size), picture.size, form, "quality", watermark)
    image = Image.open(io.BytesIO(make(picture, order)))
    image.load()
    return image


def plain(level: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new("RGB", size, (level, level, level))


def a_noisy_photograph() -> Image.Image:
    """Coarse and fine detail in every colour, from black to white."""
    numbers = random.Random(20)
    picture = plain(128)
    for cell in (128, 32, 8, 2, 1):
        side = SIDE // cell
        detail = Image.frombytes("RGB", (side, side), numbers.randbytes(3 * side * side))
        picture = ImageChops.overlay(picture, detail.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return picture


BACKGROUNDS: dict[str, Callable[[], Image.Image]] = {
    "white": lambda: plain(255),
    "light grey": lambda: plain(200),
    "mid-grey": lambda: plain(128),
    "black": lambda: plain(0),
    "red": lambda: Image.new("RGB", (SIDE, SIDE), "red"),
    "a noisy photograph": a_noisy_photograph,
    "nothing but noise": lambda: Image.frombytes("RGB", (SIDE, SIDE), random.Random(21).randbytes(3 * SIDE * SIDE)),
}


def brightest(picture: Image.Image) -> float:
    return max(ImageStat.Stat(picture.convert("L")).extrema[0])


def ink(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    """The box of what is certainly text or outline, without the shadow's last traces."""
    changed = ImageChops.difference(before, after).convert("L").point(lambda level: 255 if level > 100 else 0)
    box = changed.getbbox()
    assert box is not None
    return box


@cache
def masks(placement: Placement) -> tuple[bytes, bytes]:
    """Where letters are, as black shows them, and where their outline is, as white shows it: 255, else 0."""
    covers = 0.5 * (0.6 if placement is Placement.TILED else 1)
    letters = written(plain(0), TEXT, placement).convert("L").point(lambda level: 255 if level > 255 * covers else 0)
    outline = (
        written(plain(255), TEXT, placement).convert("L").point(lambda level: 255 if level < 255 * (1 - covers) else 0)
    )
    return letters.tobytes(), outline.tobytes()


def luminance(picture: Image.Image) -> list[float]:
    """Of each pixel, as WCAG defines it."""
    linear = [level / 255 / 12.92 if level <= 10 else ((level / 255 + 0.055) / 1.055) ** 2.4 for level in range(256)]
    red, green, blue = (band.tobytes() for band in picture.split())
    return [
        0.2126 * linear[r] + 0.7152 * linear[g] + 0.0722 * linear[b] for r, g, b in zip(red, green, blue, strict=True)
    ]


def contrasts(picture: Image.Image, placement: Placement) -> Iterator[float]:
    """Of letters against their own outline, for each part of the text that is about a letter wide."""
    letters, outline = masks(placement)
    lights = luminance(picture)
    cell = 24
    for left, top in product(range(0, SIDE, cell), range(0, SIDE, cell)):
        places = [y * SIDE + x for y in range(top, min(top + cell, SIDE)) for x in range(left, min(left + cell, SIDE))]
        light = [lights[place] for place in places if letters[place]]
        dark = [lights[place] for place in places if outline[place]]
        # A part with less than a stroke in it tells nothing.
        if len(light) >= 20 and len(dark) >= 20:
            yield (sum(light) / len(light) + 0.05) / (sum(dark) / len(dark) + 0.05)


@pytest.mark.parametrize("placement", [Placement.BOTTOM_RIGHT, Placement.TILED])
@pytest.mark.parametrize("form", ["png", "webp"])
@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_a_watermark_is_legible_on_whatever_lies_behind(background, placement, form):
    found = list(contrasts(written(background(), TEXT, placement, form), placement))

    assert len(found) >= 5
    assert min(found) >= CONTRAST[placement]


def test_a_picture_without_a_watermark_is_not_touched():
    order = OrderedPicture((0, 0, SIDE, SIDE), (SIDE, SIDE), "png", "quality")

    data = make(plain(128), order)

    assert Image.open(io.BytesIO(data)).tobytes() == plain(128).tobytes()


@pytest.mark.parametrize("placement", CORNERS)
@pytest.mark.parametrize("size", [(512, 512), (1500, 300), (300, 900)])
def test_a_watermark_lies_in_its_corner_with_some_room_to_the_edges(placement, size):
    width, height = size
    left, top, right, bottom = ink(plain(0, size), written(plain(0, size), TEXT, placement))

    least, most = min(size) * 0.02, min(size) * 0.06
    beside = left if "left" in placement.value else width - right
    above = top if "top" in placement.value else height - bottom
    assert least <= beside <= most
    assert least <= above <= most


def test_a_watermark_in_the_centre_has_as_much_room_on_both_sides():
    left, top, right, bottom = ink(plain(0), written(plain(0), TEXT, Placement.CENTRE))

    assert abs(left - (SIDE - right)) <= 2
    assert abs(top - (SIDE - bottom)) <= 6


@pytest.mark.parametrize("size", [(512, 512), (1920, 300), (300, 1200)])
def test_a_tiled_watermark_leaves_no_part_of_a_picture_without_it(size):
    after = written(plain(0, size), TEXT, Placement.TILED)

    # As much as two texts are long and four rows are high, so that nobody cuts out a part without one.
    cell = min(size) // 2
    for left, top in product(range(0, size[0] - cell + 1, cell), range(0, size[1] - cell + 1, cell)):
        assert brightest(after.crop((left, top, left + cell, top + cell))) > 100


def test_a_tiled_watermark_lets_more_of_the_picture_through():
    once, tiled = (written(plain(0), TEXT, placement) for placement in (Placement.CENTRE, Placement.TILED))

    assert brightest(tiled) < 0.9 * brightest(once)


def test_letters_grow_with_the_picture():
    sizes = [(400, 400), (800, 800), (1600, 1600)]

    heights = []
    for size in sizes:
        _, top, _, bottom = ink(plain(0, size), written(plain(0, size), "H", Placement.CENTRE))
        heights.append(bottom - top)

    assert all(1.7 < larger / smaller < 2.3 for smaller, larger in pairwise(heights))


@pytest.mark.parametrize("placement", Placement)
@pytest.mark.parametrize("size", [(512, 512), (1200, 200), (200, 1200)])
def test_the_longest_text_is_made_smaller_until_all_of_it_is_in_the_picture(placement, size):
    text = "W" * (MAX_WATERMARK_CHARACTERS - 1)

    one, other = (written(plain(0, size), text + last, placement) for last in "WI")

    # The last letter is there to be read, and nothing of it touches the right edge where the text is whole.
    left, _, right, _ = ink(plain(0, size), one)
    assert one.tobytes() != other.tobytes()
    if placement is not Placement.TILED:
        assert left > 0
        assert right < size[0]


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (16, 16)])
@pytest.mark.parametrize("placement", Placement)
def test_a_picture_too_small_for_letters_is_made_all_the_same(size, placement):
    assert written(plain(128, size), TEXT, placement).size == size


@pytest.mark.parametrize("text", [" ", "\u200b", "\u00a0\u2003", "\u0301"])
def test_a_text_with_next_to_nothing_to_see_breaks_nothing(text):
    for placement in Placement:
        assert written(a_picture(), text, placement).size == a_picture().size


needs_raqm = pytest.mark.skipif(
    not features.check("raqm"), reason="Pillow finds no libfribidi (apt-get install libfribidi0)"
)


@needs_raqm
def test_hebrew_is_written_from_right_to_left():
    # Final nun has a long foot, yod hangs in the air: the picture shows on which side each of them is.
    before = plain(0)

    there = written(before, "\u05d9\u05d9\u05d9\u05d9\u05df", Placement.CENTRE)
    mirrored = written(before, "\u05df\u05d9\u05d9\u05d9\u05d9", Placement.CENTRE)

    feet = []
    for after in (there, mirrored):
        left, _, right, bottom = ink(before, after)
        foot = ink(before.crop((0, bottom - 4, SIDE, bottom)), after.crop((0, bottom - 4, SIDE, bottom)))
        feet.append((foot[0] + foot[2]) / 2 < (left + right) / 2)
    assert feet == [True, False]


@needs_raqm
def test_arabic_letters_are_joined():
    beh = "\u0628"
    before = plain(0)

    joined, apart = (ink(before, written(before, text, Placement.CENTRE)) for text in (beh * 3, "\u200c".join(beh * 3)))

    assert joined[2] - joined[0] < 0.9 * (apart[2] - apart[0])


@needs_raqm
@pytest.mark.parametrize(("composed", "decomposed"), [("é", "e\u0301"), ("Å", "A\u030a"), ("ñ", "n\u0303")])
def test_a_combining_accent_sits_on_its_letter(composed, decomposed):
    one, other = (written(plain(0), text, Placement.CENTRE) for text in (composed, decomposed))

    assert brightest(ImageChops.difference(one, other).filter(ImageFilter.BoxBlur(2))) < 64
