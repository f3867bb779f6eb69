"""What is seen in a render: faces, what draws the eye, and how much a process needs for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageOps

from imagetron_deriver.adapters.imaging import detecting
from imagetron_deriver.domain.findings import Finding

PICTURES = Path(__file__).parents[3] / "benchmarks/crops/pictures"


@pytest.fixture(scope="module", autouse=True)
def _prepared():
    detecting.prepare()


def photograph(name: str, size: tuple[int, int] | None = None) -> Image.Image:
    with Image.open(PICTURES / f"{name}.jpg") as image:
        return image.convert("RGB") if size is None else ImageOps.fit(image.convert("RGB"), size)


def a_plain(size: tuple[int, int] = (672, 384)) -> Image.Image:
    return Image.new("RGB", size, (90, 110, 140))


def seen(image: Image.Image) -> Finding:
    return Finding.model_validate(detecting.detect(image))


@pytest.mark.parametrize(
    ("name", "eyes"),
    [
        ("astronaut", (0.435, 0.19)),
        ("admiral", (0.515, 0.32)),
        ("president", (0.54, 0.2)),
        ("vice-president", (0.59, 0.13)),
    ],
)
def test_a_face_is_found_once_with_the_eyes_in_the_middle_of_its_box(name, eyes):
    (face,) = seen(photograph(name)).faces

    left, top, right, bottom = face
    assert abs((left + right) / 2 - eyes[0]) < 0.15 * (right - left)
    assert abs((top + bottom) / 2 - eyes[1]) < 0.15 * (bottom - top)


def test_a_small_face_in_a_wide_landscape_is_found():
    landscape = photograph("mountains", (1344, 768))
    person = photograph("president")
    landscape.paste(person.resize((200, 200 * person.height // person.width)), (1000, 450))

    (face,) = seen(landscape).faces

    assert 1000 / 1344 < face[0] < face[2] < 1200 / 1344


@pytest.mark.parametrize(
    "name", ["temple", "flower", "cat", "coffee", "rocket", "raccoon", "dogs", "alps", "stream", "sheep", "boats"]
)
def test_there_are_no_faces_in_pictures_without_people(name):
    assert seen(photograph(name)).faces == ()


def test_what_stands_out_draws_the_eye():
    image = a_plain()
    ImageDraw.Draw(image).ellipse((500, 60, 580, 140), fill=(230, 60, 20))

    finding = seen(image)

    assert sum(finding.columns[44:60]) > 0.8
    assert sum(finding.rows[6:28]) > 0.8


def test_a_mirrored_picture_draws_the_eye_to_the_mirrored_place():
    image = photograph("house")

    salient = seen(image).as_found().as_detection().salient
    mirrored = seen(ImageOps.mirror(image)).as_found().as_detection().salient

    assert salient is not None
    assert mirrored is not None
    assert abs(salient.x + mirrored.x - 1) < 0.05
    assert abs(salient.y - mirrored.y) < 0.05


def test_nothing_draws_the_eye_in_a_plain_picture():
    finding = seen(a_plain())

    assert (finding.faces, finding.columns, finding.rows) == ((), (), ())


@pytest.mark.parametrize("size", [(1, 1), (1, 8192), (8192, 1), (3, 40), (64, 64)])
def test_pictures_of_any_size_can_be_looked_at(size):
    assert seen(photograph("temple", size)).detector == detecting.DETECTOR


# Like a child process: prepares, then lives within a gibibyte; a square of 40 megapixels is the largest render there is.
LIMITED = """
import resource, sys
from PIL import Image
from imagetron_deriver.adapters.imaging import detecting

detecting.prepare()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
with Image.open(sys.argv[1]) as image:
    side = int(sys.argv[2])
    print(detecting.detect(image.convert("RGB").resize((side, side)))["faces"])
"""


@pytest.mark.parametrize("side", [1024, 6324])
def test_a_process_that_was_prepared_looks_within_a_gibibyte_and_sees_the_same(side):
    command = [sys.executable, "-c", LIMITED, str(PICTURES / "astronaut.jpg"), str(side)]

    limited = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    expected = detecting.detect(photograph("astronaut").resize((side, side)))["faces"]
    assert limited.strip() == str(expected)


def test_the_detector_says_what_its_findings_depend_on():
    assert detecting.DETECTOR.startswith("opencv 4.")
    assert "haarcascade_frontalface_alt2" in detecting.DETECTOR
