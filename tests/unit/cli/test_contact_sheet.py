from dataclasses import replace

import pytest
from PIL import Image, ImageChops

from imagetron_cli.api import Picture
from imagetron_cli.contact_sheet import draw_contact_sheet, save_contact_sheet
from imagetron_cli.gallery import SavedPicture
from unit.cli.answers import a_picture

MARGIN = 48


@pytest.fixture
def saved(tmp_path):
    def make(family: str, *sizes: tuple[int, int], colour: str = "orange") -> list[SavedPicture]:
        made = []
        for index, size in enumerate(sizes):
            name = family if index == 0 else f"derivative-{index}"
            path = tmp_path / f"{family}-{name}.webp"
            Image.new("RGB", size, colour).save(path)
            made.append(SavedPicture(Picture.model_validate(a_picture(family, name)), path, size, is_marked=True))
        return made

    return make


def test_the_sheet_is_as_wide_as_its_widest_family_and_has_even_margins(saved):
    sheet = draw_contact_sheet(
        {"beach": saved("hero", (2560, 1097), (2560, 1097)), "lake": saved("square", (512, 512))}
    )

    drawn = ImageChops.difference(sheet, Image.new("RGB", sheet.size, sheet.getpixel((0, 0)))).getbbox()
    assert drawn is not None
    assert drawn[0] == MARGIN
    assert sheet.width - drawn[2] == MARGIN


def test_each_family_adds_a_row(saved):
    square, hero = saved("square", (64, 64)), saved("hero", (256, 110))

    one, two = draw_contact_sheet({"beach": square}), draw_contact_sheet({"beach": [*square, *hero]})

    assert two.height > one.height + 200


def test_pictures_keep_their_proportions(saved):
    sheet = draw_contact_sheet({"beach": saved("hero", (2560, 1097), colour="#ff0000")})

    unlike_red = ImageChops.difference(sheet, Image.new("RGB", sheet.size, "#ff0000")).convert("L")
    box = unlike_red.point(lambda value: 255 if value < 8 else 0).getbbox()
    assert box is not None
    width, height = box[2] - box[0], box[3] - box[1]
    assert width / height == pytest.approx(2560 / 1097, rel=0.03)


def test_labels_differ_when_names_or_sizes_differ(saved):
    blue = saved("square", (512, 512))
    renamed = [replace(item, picture=item.picture.model_copy(update={"name": "profile"})) for item in blue]
    resized = [replace(item, size=(256, 256)) for item in blue]

    sheets = [draw_contact_sheet({"beach": items}).tobytes() for items in (blue, renamed, resized)]

    assert len(set(sheets)) == 3


def test_the_sheet_is_a_png_file_in_a_folder_that_need_not_exist(saved, tmp_path):
    path = tmp_path / "not" / "yet" / "sheet.png"

    save_contact_sheet({"beach": saved("square", (64, 64))}, path)

    with Image.open(path) as image:
        assert image.format == "PNG"
