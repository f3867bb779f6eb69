"""The plan of one render."""

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.spec import FileSpec, Output, Profile, Watermark
from imagetron_deriver.domain.cuts import Plan, plan
from imagetron_deriver.domain.windows import Window

OUTPUT = Output()
PROMPT = "a lighthouse"


def a_file(name: str, width: int, height: int, form: ImageFormat = ImageFormat.WEBP, **changes: bool) -> FileSpec:
    return FileSpec(name=name, size=Dimensions(width=width, height=height), format=form, **changes)


def planned(*files: FileSpec, output: Output = OUTPUT) -> Plan:
    windows = {file.size: Window(0, 0, file.size.width, file.size.height) for file in files}
    return plan(files, windows, output, PROMPT)


def test_equal_pictures_are_made_once_for_every_name_in_the_order_asked_for():
    files = (a_file("landscape", 1920, 1080), a_file("banner", 1200, 675), a_file("hero", 1920, 1080))

    to_do = planned(*files)

    assert [str(cut.size) for cut in to_do.cuts] == ["1920x1080", "1200x675"]
    assert [(file.name, position) for file, position in to_do.files] == [("landscape", 0), ("banner", 1), ("hero", 0)]
    assert to_do.cuts[1].window == Window(0, 0, 1200, 675)


def test_files_of_one_name_in_several_formats_are_several_pictures():
    to_do = planned(*(a_file("landscape", 1920, 1080, form) for form in ImageFormat))

    assert [cut.format for cut in to_do.cuts] == list(ImageFormat)


def test_the_output_of_the_job_is_that_of_every_picture():
    mark = Watermark(text="draft")
    output = Output(profile=Profile.FAST, watermark=mark, embeds_prompt=True)

    (cut,) = planned(a_file("landscape", 1920, 1080), output=output).cuts

    assert (cut.profile, cut.watermark, cut.prompt) == (Profile.FAST, mark, PROMPT)


def test_a_prompt_is_in_no_picture_unless_it_is_asked_for():
    (cut,) = planned(a_file("landscape", 1920, 1080)).cuts

    assert cut.prompt is None


def test_a_picture_for_agencies_has_no_watermark_and_is_another_than_the_one_that_has():
    files = (a_file("landscape", 1920, 1080), a_file("stock", 1920, 1080, is_for_stock=True))

    to_do = planned(*files, output=Output(watermark=Watermark(text="draft")))

    assert [cut.watermark is None for cut in to_do.cuts] == [False, True]
    assert len(planned(*files).cuts) == 1
