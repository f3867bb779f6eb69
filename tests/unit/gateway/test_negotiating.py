"""Which format of a picture a request gets: what browsers really send, what RFC 9110 says, and what is no header at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.stages import PublishedFile
from imagetron_gateway.api.negotiating import chosen, media_ranges

CHROME_PAGE = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
CHROME_PICTURE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX_PICTURE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI_17_PICTURE = (
    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
    "image/*;q=0.8,*/*;q=0.5"
)
SAFARI_13_PICTURE = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
EDGE_18_PICTURE = "image/png, image/svg+xml, image/jxr, image/*; q=0.8, */*; q=0.5"


def files(*formats: str, smaller: bool = True) -> list[PublishedFile]:
    """The first has 1000 bytes, each following one 100 less, or more."""
    step = -100 if smaller else 100
    return [
        PublishedFile(
            name="square",
            key=f"a/{form}",
            size=Dimensions(width=1, height=1),
            format=ImageFormat(form),
            byte_count=1000 + step * place,
            digest=form,
        )
        for place, form in enumerate(formats)
    ]


def taken(accept: str, *formats: str, smaller: bool = True) -> str:
    return chosen(files(*formats, smaller=smaller), accept).format.value


@pytest.mark.parametrize("header", ["", "*/*", "image/*", "image/*, */*;q=0.1", "text/html, */*"])
@pytest.mark.parametrize("formats", [("webp", "jpeg", "avif"), ("avif", "webp"), ("png", "jpeg")])
def test_who_takes_anything_gets_the_first_format(header, formats):
    assert taken(header, *formats) == formats[0]


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (CHROME_PAGE, "avif"),
        (CHROME_PICTURE, "avif"),
        (FIREFOX_PICTURE, "avif"),
        (SAFARI_17_PICTURE, "avif"),
        (SAFARI_13_PICTURE, "png"),
        (EDGE_18_PICTURE, "png"),
    ],
)
def test_a_browser_gets_the_smallest_of_the_formats_that_it_names(header, form):
    assert taken(header, "webp", "jpeg", "png", "avif") == form


def test_of_formats_that_are_named_alike_the_smallest_file_is_sent():
    assert taken(CHROME_PICTURE, "avif", "webp") == "webp"
    assert taken(CHROME_PICTURE, "avif", "webp", smaller=False) == "avif"


@pytest.mark.parametrize("header", [SAFARI_13_PICTURE, EDGE_18_PICTURE])
@pytest.mark.parametrize("formats", [("webp", "jpeg"), ("jpeg", "webp"), ("avif", "webp", "jpeg")])
def test_an_old_browser_gets_what_it_can_show_and_not_what_it_claims_to_take(header, formats):
    assert taken(header, *formats) == "jpeg"


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("image/jpeg", "jpeg"),
        ("IMAGE/JPEG", "jpeg"),
        ("image/jpeg;q=0.9, image/png;q=0.5", "jpeg"),
        ("image/png;q=0.5, image/jpeg;q=0.9", "jpeg"),
        ("image/png ; q=1.000 , image/jpeg;q=0.999", "png"),
        ("image/png;Q=0.5,image/jpeg;q=0.4", "png"),
        ("image/webp;q=0, */*", "jpeg"),
        ("image/webp;q=0.1, image/*;q=0.5", "jpeg"),
        ("image/*;q=0.5, */*;q=1, image/png;q=0.6", "png"),
        ("*/*;q=0.5, image/*;q=0", "webp"),
        ("image/png;q=0.2, image/png;q=0.9, image/jpeg;q=0.5", "png"),
    ],
)
def test_the_most_exact_range_says_how_gladly_a_format_is_taken(header, form):
    assert taken(header, "webp", "jpeg", "png") == form


@pytest.mark.parametrize(
    "header",
    ["text/html", "application/json", "image/gif", "image/webp;q=0, image/jpeg;q=0", "*/*;q=0", "video/*, audio/*"],
)
def test_who_takes_none_of_the_formats_gets_the_first_one_all_the_same(header):
    assert taken(header, "webp", "jpeg") == "webp"


@pytest.mark.parametrize(
    "header",
    [
        *(
            ",",
            ";",
            "/",
            "image",
            "image/",
            "/jpeg",
            "image/jpeg;q=2",
            "image/jpeg;q=-1",
            "image/jpeg;q=",
            "image/jpeg;q",
        ),
        *(
            "image/jpeg;q=0.1234",
            "image/jpeg;q=nan",
            "image/jpeg;level=1",
            'image/jpeg;a="b,c";q=1',
            'image/jpeg;a="b',
            '"',
        ),
    ],
)
def test_what_cannot_be_read_or_means_no_picture_of_ours_counts_as_not_said(header):
    assert media_ranges(header) == ()
    assert taken(header, "webp", "jpeg") == "webp"


def test_the_rest_of_a_header_counts_where_a_part_of_it_cannot_be_read():
    assert taken('image/avif;q=7, text/x;a="image/webp,image/webp";q=1, image/jpeg', "webp", "avif", "jpeg") == "jpeg"


@given(st.text() | st.text(alphabet='image/*,;q=0.1"\\ webpj'))
def test_no_header_takes_a_picture_away(header):
    assert taken(header, "webp", "jpeg") in {"webp", "jpeg"}


@pytest.mark.parametrize("piece", ['"', '\\"', '\\\\"', '",', '";', 'a"', '"a\\'])
def test_whatever_is_quoted_a_header_takes_time_in_proportion_to_its_length(piece):
    # Steps that grow with the square of this would take minutes, and the test's deadline ends them.
    assert media_ranges('"' + piece * (1 << 18)) == ()
    assert media_ranges(f'image/avif, "{piece * 1000}')[:1] == media_ranges("image/avif")
