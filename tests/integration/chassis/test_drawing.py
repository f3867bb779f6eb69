"""Shapes over a small copy of a picture: where they lie, that labels can be read, and which files are refused."""

import io

import pytest
from PIL import Image

from imagetron_chassis.pictures.errors import PictureTooLarge, PictureUnreadable
from imagetron_chassis.pictures.overlays import MOST_SHAPES, Colour, Outline, Overlay, Spot
from imagetron_chassis.pictures.png import png_of
from imagetron_chassis.pictures.reader import PictureReader
from imagetron_chassis.pictures.values import Picture, PictureLimits
from imagetron_contracts.media import Dimensions
from integration.chassis.picture_files import a_picture, encoded

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
ROOM = (96, 96, 96)
SIZE = Dimensions(width=400, height=200)
NOTHING = Overlay()


@pytest.fixture
async def reader():
    reader = PictureReader()
    yield reader
    await reader.stop()


def a_render(width: int = SIZE.width, height: int = SIZE.height, grey: int = 200) -> bytes:
    """A file as our own workers write it."""
    return b"P6\n%d %d\n255\n" % (width, height) + bytes([grey]) * (3 * width * height)


def an_outline(box: tuple[int, int, int, int], colour: Colour = RED, label: str = "", **fields: bool) -> Outline:
    return Outline(box, colour, label, **fields)


async def drawn(
    reader: PictureReader, *shapes: Outline | Spot, render: bytes | None = None, most_side: int = 1024
) -> Image.Image:
    outlines = tuple(shape for shape in shapes if isinstance(shape, Outline))
    spots = tuple(shape for shape in shapes if isinstance(shape, Spot))
    picture = await reader.drawn(render or a_render(), SIZE, Overlay(outlines, spots), most_side=most_side)
    return as_image(picture)


def as_image(picture: Picture) -> Image.Image:
    return Image.frombytes("RGB", (picture.size.width, picture.size.height), picture.pixels)


def colours_of(image: Image.Image) -> list[Colour]:
    data = image.tobytes()
    return list(zip(data[::3], data[1::3], data[2::3], strict=True))


def box_of(image: Image.Image, colour: Colour) -> tuple[int, int, int, int] | None:
    """Around all pixels of exactly this colour."""
    mask = Image.new("1", image.size)
    mask.putdata([pixel == colour for pixel in colours_of(image)])
    return mask.getbbox()


def pixels(image: Image.Image, colour: Colour) -> int:
    return sum(pixel == colour for pixel in colours_of(image))


async def test_a_small_picture_keeps_its_size_and_its_pixels(reader):
    image = await drawn(reader)

    assert image.size == (400, 200)
    assert pixels(image, (200, 200, 200)) == 400 * 200


async def test_a_large_one_is_scaled_down_with_what_is_drawn_on_it(reader):
    image = await drawn(reader, an_outline((100, 40, 300, 160)), most_side=100)

    assert image.size == (100, 50)
    # The line lies one pixel, its dark casing, inside the edges.
    assert box_of(image, RED) == (26, 11, 74, 39)


async def test_an_outline_lies_along_the_edges_of_its_box(reader):
    image = await drawn(reader, an_outline((100, 40, 300, 160)))

    assert box_of(image, RED) == (101, 41, 299, 159)
    assert image.getpixel((200, 100)) == (200, 200, 200)


async def test_a_dashed_line_has_gaps(reader):
    whole = await drawn(reader, an_outline((100, 40, 300, 160)))
    dashed = await drawn(reader, an_outline((100, 40, 300, 160), is_dashed=True))

    assert 0.3 < pixels(dashed, RED) / pixels(whole, RED) < 0.7


async def test_around_the_picture_is_room_for_what_lies_outside_it(reader):
    image = await drawn(reader, an_outline((-100, -50, 500, 200)))

    assert image.size == (600, 250)
    assert image.getpixel((50, 100)) == ROOM
    assert image.getpixel((300, 100)) == (200, 200, 200)
    assert image.getpixel((550, 240)) == ROOM


@pytest.mark.parametrize("count", [2, 5])
async def test_outlines_whose_edges_fall_together_are_all_seen(reader, count):
    colours = [RED, GREEN, BLUE, YELLOW, (255, 0, 255)][:count]
    image = await drawn(reader, *(an_outline((50, 20, 350, 180), colour) for colour in colours))
    column = [image.getpixel((x, 100)) for x in range(50, 50 + 5 * count)]

    assert [colour for colour in column if colour in colours] == [colour for colour in colours for _ in range(3)]


async def test_edges_that_do_not_fall_together_stay_where_they_are(reader):
    image = await drawn(reader, an_outline((50, 20, 350, 180), RED), an_outline((50, 60, 200, 180), GREEN))

    assert box_of(image, GREEN) == (56, 61, 199, 174)


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize(("colour", "letters"), [(YELLOW, (0, 0, 0)), (BLUE, (255, 255, 255))])
async def test_a_label_can_be_read_on_light_and_dark(reader, grey, colour, letters):
    image = await drawn(reader, an_outline((50, 20, 350, 180), colour, "profile"), render=a_render(grey=grey))
    label = image.crop((54, 24, 130, 40))

    assert pixels(label, colour) > 300
    assert pixels(label, letters) > 100


async def test_no_label_covers_another(reader):
    several = [an_outline((50, 20, 350, 180), colour, "i" * 9) for colour in (RED, GREEN, BLUE)]
    image = await drawn(reader, *several)
    alone = [await drawn(reader, outline) for outline in several]

    def letters(shown: Image.Image) -> int:
        return sum(max(pixel) < 30 or min(pixel) > 225 for pixel in colours_of(shown))

    assert pixels(image, RED) >= pixels(alone[0], RED) * 0.9
    assert letters(image) > letters(alone[0]) * 1.5


async def test_a_label_stays_on_the_picture(reader):
    image = await drawn(reader, Spot((399, 199), RED, "focal point"))
    box = box_of(image, RED)

    assert box is not None
    assert box[0] < 399 - 80
    assert box[2] <= 400


async def test_a_spot_has_a_ring_around_its_place(reader):
    image = await drawn(reader, Spot((200, 100), RED, ""))

    assert image.getpixel((200, 100)) == RED
    assert image.getpixel((200 - 9, 100)) == RED
    assert image.getpixel((195, 100)) == (200, 200, 200)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
async def test_files_of_providers_are_drawn_on_too(reader, form):
    source = a_picture()
    size = Dimensions(width=source.width, height=source.height)
    picture = await reader.drawn(encoded(source, form), size, NOTHING, most_side=1024)

    assert picture.size == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P6",
        a_render()[:-1],
        a_render() + b"\0",
        a_render().replace(b"255", b"254", 1),
        a_render().replace(b"P6\n", b"P6\n# a comment\n", 1),
        a_render().replace(b"P6", b"P5", 1),
        b"P6\n0 200\n255\n",
        b"P6\n99999 1\n255\n" + bytes(3 * 99999),
        b"GIF89a",
    ],
)
async def test_a_file_that_no_worker_writes_is_unreadable(reader, data):
    with pytest.raises(PictureUnreadable):
        await reader.drawn(data, SIZE, NOTHING, most_side=1024)


async def test_a_picture_of_another_size_than_was_promised_is_unreadable(reader):
    with pytest.raises(PictureUnreadable, match="the picture is 40x20, not 400x200"):
        await reader.drawn(a_render(40, 20), SIZE, NOTHING, most_side=1024)


@pytest.mark.parametrize(
    "limits", [PictureLimits(max_bytes=1000), PictureLimits(max_pixels=1000), PictureLimits(max_side=300)]
)
async def test_more_than_the_limits_is_not_drawn_on(reader, limits):
    with pytest.raises(PictureTooLarge):
        await reader.drawn(a_render(), SIZE, NOTHING, most_side=1024, limits=limits)


async def test_the_largest_render_that_there_may_be_is_drawn_in_the_memory_that_a_process_has(reader):
    width, height = 8000, 5000
    size, limits = Dimensions(width=width, height=height), PictureLimits(max_bytes=width * height * 3 + 100)
    picture = await reader.drawn(a_render(width, height), size, NOTHING, most_side=1024, limits=limits)

    assert str(picture.size) == "1024x640"


@pytest.mark.parametrize(
    "overlay",
    [
        lambda: Overlay((an_outline((0, 0, 9, 9)),) * (MOST_SHAPES + 1)),
        lambda: Overlay(spots=(Spot((0, 0), RED, "x" * 81),)),
    ],
)
def test_more_than_one_order_holds_is_refused(overlay):
    with pytest.raises(ValueError, match="at most 200 shapes, with 80 characters each, are drawn"):
        overlay()


async def test_the_most_that_may_be_drawn_is_drawn(reader):
    shapes = [an_outline((-99999, -99999, 99999, 99999), label="x" * 80) for _ in range(MOST_SHAPES)]

    assert (await drawn(reader, *shapes)).size == (1024, 1024)


async def test_a_png_holds_the_same_pixels(reader):
    picture = await reader.drawn(a_render(), SIZE, Overlay((an_outline((9, 9, 99, 99)),)), most_side=333)

    with Image.open(io.BytesIO(png_of(picture))) as image:
        assert (image.format, image.mode, image.tobytes()) == ("PNG", "RGB", picture.pixels)
