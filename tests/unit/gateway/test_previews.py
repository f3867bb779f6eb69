"""What a crop preview shows, where it is on the render, and how it is drawn."""

import re

import pytest

from imagetron_chassis.blobs import BlobInfo
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_chassis.pictures.errors import PictureUnreadable
from imagetron_chassis.pictures.overlays import MOST_LABEL_CHARACTERS, MOST_SHAPES, Overlay
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_contracts.crops import Box, Crop, Detection, Evidence, Fit, Point, Subject, Window
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.stages import PublishedFile
from imagetron_gateway.adapters.previews import MOST_SIDE, PreviewsDrawnApart
from imagetron_gateway.domain.job import Family, Image, Render
from imagetron_gateway.domain.previews import Frame, Kind, Mark, Preview, preview_of
from imagetron_gateway.ports import RenderGone
from imagetron_gateway.usecases.previewing import ImageMissing, drawn_preview
from support.builders import a_family, a_job

RENDER = Dimensions(width=1000, height=500)
KEY = "jobs/1/1/square/1/0/render"


def a_file(name: str, left: int = 0, *, form: ImageFormat = ImageFormat.WEBP, **crop) -> PublishedFile:
    window = Window(left=left, top=10, width=100, height=50)
    values = {"window": window, "evidence": Evidence.CENTRE, "fit": Fit.WHOLE} | crop
    size = Dimensions(width=200, height=100)
    return PublishedFile(
        name=name, key=f"j/{name}", size=size, format=form, byte_count=1, digest=name, crop=Crop(**values)
    )


def with_files(family: Family, *files: PublishedFile, **image) -> Family:
    return family.model_copy(update={"images": (family.images[0].model_copy(update={"files": files, **image}),)})


def shown(*families: Family) -> Preview:
    """Of the first family's first image."""
    return preview_of(a_job(*families), families[0], families[0].images[0], RENDER)


def windows(preview: Preview) -> list[tuple[str, int]]:
    return [(frame.label, frame.box[0]) for frame in preview.frames if frame.kind is Kind.WINDOW]


def test_nothing_is_shown_of_which_nothing_is_known():
    without_crop = a_file("square").model_copy(update={"crop": None})

    assert shown(with_files(a_family(), without_crop)) == Preview(frames=(), marks=())


def test_pictures_with_one_window_share_it_and_a_format_is_no_picture_of_its_own():
    files = (a_file("square"), a_file("square", form=ImageFormat.AVIF), a_file("profile"), a_file("og-image", 7))

    assert windows(shown(with_files(a_family(), *files))) == [("square, profile", 0), ("og-image", 7)]


@pytest.mark.parametrize(
    ("fit", "label"), [(Fit.WHOLE, "square"), (Fit.CUT, "square (cut)"), (Fit.PADDED, "square (padded)")]
)
def test_a_window_that_does_not_hold_everything_says_so(fit, label):
    assert windows(shown(with_files(a_family(), a_file("square", fit=fit)))) == [(label, 0)]


def test_what_was_borrowed_is_shown_on_the_lenders_render_only():
    lender = with_files(a_family("square"), a_file("square"))
    borrowed = a_file("hero", 30, fit=Fit.BORROWED, family="square")
    borrower = with_files(a_family("landscape"), a_file("landscape", 20), borrowed)

    assert windows(shown(lender, borrower)) == [("square", 0), ("landscape.hero", 30)]
    assert windows(shown(borrower, lender)) == [("landscape", 20)]


def test_another_image_of_the_borrower_has_its_window_on_another_render():
    lender = with_files(a_family("square"), a_file("square"))
    second = Image(index=1, seed=8, files=(a_file("hero", 30, fit=Fit.BORROWED, family="square"),))
    borrower = a_family("landscape").model_copy(update={"images": (second,)})

    assert windows(shown(lender, borrower)) == [("square", 0)]


def test_shares_become_pixels_of_the_render_and_what_must_stay_lies_on_top_of_the_windows():
    zone = Box(left=0.1004, top=0.25, right=0.5996, bottom=1)
    found = Detection(detector="d", faces=(Box(left=0, top=0, right=0.5, bottom=0.5),), salient=Point(x=0.25, y=0.5))
    family = a_family(subject=Subject(safe_zone=zone, focal_point=Point(x=1, y=0)))

    preview = shown(with_files(family, a_file("square"), detection=found))

    assert preview.frames == (
        Frame(Kind.WINDOW, (0, 10, 100, 60), "square"),
        Frame(Kind.FACE, (0, 0, 500, 250), "face"),
        Frame(Kind.SAFE_ZONE, (100, 125, 600, 500), "safe zone"),
    )
    assert preview.marks == (Mark(Kind.SALIENT, (250, 250)), Mark(Kind.FOCAL_POINT, (1000, 0)))


class Draws:
    """Remembers what it should draw, and gives four black pixels back."""

    def __init__(self) -> None:
        self.overlays: list[Overlay] = []

    async def drawn(
        self, data: bytes, size: Dimensions, overlay: Overlay, *, most_side: int, limits: PictureLimits
    ) -> Picture:
        assert (size, most_side) == (RENDER, MOST_SIDE)
        assert len(data) <= limits.max_bytes
        self.overlays.append(overlay)
        return Picture(bytes(12), Dimensions(width=2, height=2), "")


class CannotRead(Draws):
    """The file is no picture of that size."""

    async def drawn(
        self, data: bytes, size: Dimensions, overlay: Overlay, *, most_side: int, limits: PictureLimits
    ) -> Picture:
        raise PictureUnreadable("the picture is 9x9, not 1000x500")


class Enormous(InMemoryBlobs):
    """Says that its objects are larger than they could be."""

    async def head(self, key: str) -> BlobInfo | None:
        return BlobInfo(key, size_bytes=1 << 40, content_type="", cache_control=None, etag='"1"')


class ForgetsMeanwhile(InMemoryBlobs):
    """The object expires between a look at it and its reading."""

    async def head(self, key: str):
        info = await super().head(key)
        await self.delete(key)
        return info


async def drawn(preview: Preview, work: InMemoryBlobs | None = None) -> Overlay:
    work, drawer = work or InMemoryBlobs(), Draws()
    await work.put_if_absent(KEY, b"pixels", content_type="image/x-portable-pixmap")
    png = await PreviewsDrawnApart(work, drawer).draw(Render(key=KEY, size=RENDER), preview)
    assert png.startswith(b"\x89PNG")
    (overlay,) = drawer.overlays
    return overlay


def frames(count: int) -> tuple[Frame, ...]:
    return tuple(Frame(Kind.WINDOW, (number, 0, number + 9, 9), f"window {number}") for number in range(count))


async def test_neighbouring_windows_have_other_colours_and_none_that_stands_for_something_else():
    stays = tuple(Frame(kind, (0, 0, 9, 9), kind.value) for kind in (Kind.FACE, Kind.SAFE_ZONE))
    marks = (Mark(Kind.SALIENT, (1, 1)), Mark(Kind.FOCAL_POINT, (2, 2)))
    overlay = await drawn(Preview(frames=(*frames(8), *stays), marks=marks))

    colours = [*(outline.colour for outline in overlay.outlines), *(spot.colour for spot in overlay.spots)]
    assert len(set(colours)) == len(colours) == 12
    assert [outline.is_dashed for outline in overlay.outlines] == [False] * 8 + [True] * 2


async def test_more_windows_than_can_be_drawn_are_left_out_and_the_places_stay():
    overlay = await drawn(Preview(frames=frames(MOST_SHAPES + 5), marks=(Mark(Kind.SALIENT, (1, 1)),)))

    assert (len(overlay.outlines), len(overlay.spots)) == (MOST_SHAPES - 1, 1)


async def test_a_label_that_is_too_long_ends_with_an_ellipsis():
    overlay = await drawn(Preview(frames=(Frame(Kind.WINDOW, (0, 0, 9, 9), "w" * 500),), marks=()))

    assert overlay.outlines[0].label == "w" * (MOST_LABEL_CHARACTERS - 1) + "…"


@pytest.mark.parametrize("work", [InMemoryBlobs(), ForgetsMeanwhile()])
async def test_a_render_that_is_not_there_is_gone(work):
    if isinstance(work, ForgetsMeanwhile):
        await work.put_if_absent(KEY, b"pixels", content_type="image/x-portable-pixmap")

    with pytest.raises(RenderGone, match=r"^the render is no longer kept$"):
        await PreviewsDrawnApart(work, Draws()).draw(Render(key=KEY, size=RENDER), Preview((), ()))


class Shows:
    """Remembers which renders were to be drawn on."""

    def __init__(self) -> None:
        self.renders: list[Render] = []

    async def draw(self, render: Render, preview: Preview) -> bytes:
        self.renders.append(render)
        return b"a picture"


def rendered(*indexes: int) -> Family:
    """A family of three images, of which these are rendered."""
    family = a_family(images=3)
    images = [
        image.model_copy(update={"render": Render(key=f"render-{image.index}", size=RENDER)})
        if image.index in indexes
        else image
        for image in family.images
    ]
    return family.model_copy(update={"images": tuple(images)})


@pytest.mark.parametrize(("index", "key"), [(None, "render-1"), (1, "render-1"), (2, "render-2")])
async def test_the_image_that_was_asked_for_is_drawn_or_else_the_first_that_is_rendered(index, key):
    family, previews = rendered(1, 2), Shows()

    assert await drawn_preview(a_job(family), family, index, previews=previews) == b"a picture"
    assert [render.key for render in previews.renders] == [key]


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (None, "square has no image that has been rendered (yet)"),
        (0, "square has no image with the index 0 that has been rendered (yet)"),
        (7, "square has no image with the index 7 that has been rendered (yet)"),
    ],
)
async def test_an_image_that_nobody_has_rendered_cannot_be_drawn(index, sentence):
    family = rendered()

    with pytest.raises(ImageMissing, match=re.escape(sentence)):
        await drawn_preview(a_job(family), family, index, previews=Shows())


async def test_a_render_that_is_larger_than_any_worker_keeps_is_not_read():
    work = Enormous()

    with pytest.raises(RenderGone):
        await PreviewsDrawnApart(work, Draws()).draw(Render(key=KEY, size=RENDER), Preview((), ()))


async def test_a_render_that_is_no_picture_is_gone_and_the_sentence_says_why():
    work = InMemoryBlobs()
    await work.put_if_absent(KEY, b"pixels", content_type="image/x-portable-pixmap")

    with pytest.raises(RenderGone, match="the render can no longer be read: the picture is 9x9"):
        await PreviewsDrawnApart(work, CannotRead()).draw(Render(key=KEY, size=RENDER), Preview((), ()))
