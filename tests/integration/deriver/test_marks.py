"""What files say of their making: in every format, as readers of metadata see it, and nothing else."""

import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from imagetron_chassis.marks.packets import packet
from imagetron_chassis.marks.reading import is_marked
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.rpc import MAX_PROMPT_CHARACTERS
from imagetron_deriver.adapters.imaging.making import make
from imagetron_deriver.adapters.orders import OrderedPicture
from integration.deriver.pictures import SIZE, a_picture

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
DESCRIPTION = ".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
FORMATS = [form.value for form in ImageFormat]
PROMPTS = {
    "words": "A red fox in snow",
    "markup": "The \"fox\" <b>&amp; hen</b> ]]> <!-- 'end' %s {}",
    "every script": "Лиса и заяц, 雪の中の狐, الثعلب, 🦊🏽, e\u0301, \U0010fffd",
    "lines": "one\ntwo\r\nthree\rfour\tfive ",
    "nothing": "",
}
needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")


def a_file(form: str, prompt: str | None = None) -> bytes:
    return make(a_picture(), OrderedPicture((0, 0, *SIZE), (168, 96), form, "quality", prompt=prompt))


def description(data: bytes) -> ET.Element:
    """Of the packet that Pillow finds in a file."""
    with Image.open(io.BytesIO(data)) as image:
        found = ET.fromstring(image.info["xmp"]).find(DESCRIPTION)  # noqa: S314 (our own packet)
    assert found is not None
    return found


def told_by_exiftool(data: bytes, form: str, folder, *options: str) -> dict[str, str]:
    path = folder / f"picture.{ImageFormat(form).extension}"
    path.write_bytes(data)
    command = ["exiftool", "-json", "-charset", "UTF8", *options, str(path)]
    (told,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {name: value for name, value in told.items() if name != "SourceFile"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_file_says_that_a_model_made_it_and_nothing_of_the_prompt_unless_asked(form):
    data = a_file(form)

    assert is_marked(data, ImageFormat(form))
    assert description(data).attrib[f"{EXTENSION}DigitalSourceType"] == SOURCE_TYPE
    assert list(description(data)) == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_a_prompt_is_embedded_letter_by_letter(form, prompt):
    data = a_file(form, prompt)

    assert (description(data).findtext(f"{EXTENSION}AIPromptInformation") or "") == prompt
    assert is_marked(data, ImageFormat(form))


def test_what_xml_cannot_say_does_not_break_the_packet():
    prompt = "".join(map(chr, range(0x20))) + "\x7f\x85 fox \ud83e \ufffe\uffff"

    (information,) = ET.fromstring(packet(prompt)).iter(f"{EXTENSION}AIPromptInformation")  # noqa: S314 (our own packet)

    assert information.text == f"{9 * '�'}\t\n{2 * '�'}\r{18 * '�'}\x7f\x85 fox � ��"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("letter", ["&", "🦊", "\r"])
def test_the_longest_prompt_fits_into_every_format(form, letter):
    prompt = letter * MAX_PROMPT_CHARACTERS

    assert description(a_file(form, prompt)).findtext(f"{EXTENSION}AIPromptInformation") == prompt


@needs_exiftool
@pytest.mark.parametrize("form", FORMATS)
def test_exiftool_reads_the_mark_and_the_prompt_and_finds_no_other_metadata(form, tmp_path):
    prompt = PROMPTS["markup"] + PROMPTS["every script"]

    told = told_by_exiftool(
        a_file(form, prompt), form, tmp_path, "-XMP:all", "-EXIF:all", "-IPTC:all", "-ICC_Profile:all"
    )

    assert told == {"DigitalSourceType": SOURCE_TYPE, "AIPromptInformation": prompt}


@needs_exiftool
@pytest.mark.parametrize("form", FORMATS)
def test_exiftool_finds_nothing_wrong_with_a_file(form, tmp_path):
    told = told_by_exiftool(a_file(form, PROMPTS["lines"]), form, tmp_path, "-Warning", "-Error", "-ExifTool:all")

    assert not {"Warning", "Error"} & told.keys()
