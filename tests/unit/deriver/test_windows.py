"""Which part of a render a picture shows."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.windows import Focus, Window, window

BUCKETS = ("1024x1024", "1344x768", "768x1344", "1536x640")
TABLE = {
    f"{family.name}.{name}": size
    for family in FAMILIES.values()
    for name, size in (("master", family.master), *((item.name, item.size) for item in family.derivatives))
}


def size(text: str) -> Dimensions:
    width, height = map(int, text.split("x"))
    return Dimensions(width=width, height=height)


def nearest(side: Fraction) -> int:
    return math.floor(side + Fraction(1, 2))


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("name", TABLE)
def test_a_picture_of_the_table_shows_the_largest_centred_window_of_its_ratio_rounded_to_the_nearest_pixel(
    bucket, name
):
    render, target = size(bucket), TABLE[name]
    ratio = Fraction(target.width, target.height)

    cut = window(render, target)

    if ratio > Fraction(render.width, render.height):
        assert (cut.left, cut.width) == (0, render.width)
        assert cut.height == nearest(render.width / ratio)
        assert cut.top == (render.height - cut.height) // 2
    else:
        assert (cut.top, cut.height) == (0, render.height)
        assert cut.width == nearest(render.height * ratio)
        assert cut.left == (render.width - cut.width) // 2


@pytest.mark.parametrize(
    ("render", "target", "expected"),
    [
        ("1024x1024", "1200x1200", Window(0, 0, 1024, 1024)),
        ("1344x768", "1920x1080", Window(0, 6, 1344, 756)),
        ("768x1344", "1080x1920", Window(6, 0, 756, 1344)),
        ("768x1344", "750x1334", Window(6, 0, 756, 1344)),
        ("1536x640", "2560x1097", Window(21, 0, 1494, 640)),
        ("1536x640", "1920x823", Window(21, 0, 1493, 640)),
        ("1344x768", "1200x628", Window(0, 32, 1344, 703)),
        ("1344x768", "1200x627", Window(0, 33, 1344, 702)),
        ("1344x768", "1024x1024", Window(288, 0, 768, 768)),
    ],
)
def test_the_windows_of_the_table_are_these(render, target, expected):
    assert window(size(render), size(target)) == expected


@pytest.mark.parametrize(
    ("focus", "left"),
    [(Focus(0, 0), 0), (Focus(0.3, 0.5), 19), (Focus(0.5, 0.5), 288), (Focus(0.9, 0.5), 576), (Focus(1, 1), 576)],
)
def test_a_window_follows_the_focus_as_far_as_the_render_reaches(focus, left):
    assert window(size("1344x768"), size("800x800"), focus) == Window(left, 0, 768, 768)


dimensions = st.builds(Dimensions, width=st.integers(1, 8192), height=st.integers(1, 8192))
shares = st.floats(0, 1)


@given(dimensions, dimensions, st.builds(Focus, shares, shares))
def test_a_window_has_a_pixel_at_least_and_never_leaves_the_render(render, target, focus):
    left, top, right, bottom = window(render, target, focus).box

    assert 0 <= left < right <= render.width
    assert 0 <= top < bottom <= render.height
