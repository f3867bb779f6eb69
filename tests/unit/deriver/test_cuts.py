"""The plan of one render."""

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec
from imagetron_deriver.domain.cuts import plan
from imagetron_deriver.domain.encoding import PARAMETERS

RENDER = Dimensions(width=1344, height=768)


def a_file(name: str, width: int, height: int, form: ImageFormat = ImageFormat.WEBP) -> FileSpec:
    return FileSpec(name=name, size=Dimensions(width=width, height=height), format=form)


def test_equal_pictures_are_made_once_and_filed_under_every_name_in_the_order_asked_for():
    files = (a_file("landscape", 1920, 1080), a_file("banner", 1200, 675), a_file("hero", 1920, 1080))

    planned = plan(RENDER, files)

    assert [str(cut.size) for cut in planned.cuts] == ["1920x1080", "1200x675"]
    assert [(file.name, position) for file, position in planned.files] == [("landscape", 0), ("banner", 1), ("hero", 0)]


def test_a_picture_is_stored_under_the_name_of_its_first_file_with_the_extension_of_its_format():
    files = (a_file("landscape", 1920, 1080), a_file("hero", 1920, 1080), a_file("print", 1920, 1080, ImageFormat.JPEG))

    planned = plan(RENDER, files)

    assert [planned.file_name(position) for position in range(len(planned.cuts))] == ["landscape.webp", "print.jpg"]


def test_every_format_has_its_encoder_parameters():
    assert set(PARAMETERS) == set(ImageFormat)
