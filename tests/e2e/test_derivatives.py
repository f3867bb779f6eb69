"""The files of a job, as strangers find them: in every format asked for, marked, about their subject, and cut again."""

import io
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops

from e2e.calls import a_request, ended, read, submit
from imagetron_contracts.families import FAMILIES
from support.exiftool import MADE_BY_A_MODEL, read_by_exiftool
from support.listening import Listener
from support.stack import RunningStack

FORMATS = ["webp", "jpeg", "png", "avif"]
NAMES = {
    (name, picture)
    for name in ("square", "landscape")
    for picture in (name, *(item.name for item in FAMILIES[name].derivatives))
}
# The render of a landscape is a little higher than 16:9: everything that is this high fits, at the top or at the bottom.
TOP = {"left": 0, "top": 0, "right": 1, "bottom": 0.97}
BOTTOM = {"left": 0, "top": 0.03, "right": 1, "bottom": 1}
# AVIF takes its time on a busy machine.
WITHIN_SECONDS = 100


def derived(stack: RunningStack, name: str, families: list[str], **asked: Any) -> dict[str, Any]:
    variation = ended(
        stack.url, submit(stack.url, {**a_request(name, families=families), **asked}), within_seconds=WITHIN_SECONDS
    )
    errors = [family["error"] for family in variation["families"].values() if family["error"]]
    assert variation["status"] == "complete", errors
    return variation


@pytest.fixture(scope="module")
def variation(stack: RunningStack):
    """Every format, a watermark, and a safe zone for one of two families."""
    return derived(
        stack,
        "derivatives-all",
        ["square", "landscape"],
        output={"formats": FORMATS, "watermark": {"text": "© Imagetron", "placement": "bottom_right"}},
        crop={"families": {"landscape": {"safeZone": TOP}}},
    )


@pytest.fixture(scope="module")
def plain(stack: RunningStack):
    """The same picture without a watermark, with its prompt in it."""
    return derived(stack, "derivatives-plain", ["square"], output={"formats": FORMATS[2:], "embedPrompt": True})


def fetched(variation: dict[str, Any], folder: Path) -> dict[Path, dict[str, Any]]:
    """Every published file, as it lies in the public store."""
    files = {}
    for number, picture in enumerate(variation["derivatives"]):
        answer = httpx.get(picture["url"])
        assert answer.headers["content-type"] == f"image/{picture['format']}"
        path = folder / f"{number}.{picture['url'].rpartition('.')[2]}"
        path.write_bytes(answer.content)
        files[path] = picture
    return files


def picture_of(variation: dict[str, Any], name: str, form: str, family: str | None = None) -> dict[str, Any]:
    [found] = [
        picture
        for picture in variation["derivatives"]
        if (picture["name"], picture["format"]) == (name, form) and picture["family"] == (family or picture["family"])
    ]
    return dict(found)


def pixels_of(picture: dict[str, Any]) -> Image.Image:
    image = Image.open(io.BytesIO(httpx.get(picture["url"]).content))
    image.load()
    return image


def test_every_picture_is_published_in_every_format_and_its_exact_size(variation, tmp_path):
    found = {}
    for path, picture in fetched(variation, tmp_path).items():
        with Image.open(path) as image:
            image.load()
            assert image.size == (picture["width"], picture["height"])
            found[picture["family"], picture["name"], str(image.format).lower()] = image.size

    assert found.keys() == {(family, name, form) for (family, name), form in product(NAMES, FORMATS)}


def test_every_file_of_every_format_says_that_a_model_made_it_and_nothing_of_the_prompt(variation, tmp_path):
    files = fetched(variation, tmp_path)

    assert read_by_exiftool(files) == {path: {"DigitalSourceType": MADE_BY_A_MODEL} for path in files}
    assert [path.name for path in files if b"sunset" in path.read_bytes()] == []


def test_the_prompt_is_in_the_files_where_the_caller_wants_it(plain, tmp_path):
    prompt = a_request("")["generation"]["prompt"]

    said = read_by_exiftool(fetched(plain, tmp_path))

    assert len(said) == 2 * 4
    for found in said.values():
        assert found == {"DigitalSourceType": MADE_BY_A_MODEL, "AIPromptInformation": prompt}


def test_a_watermark_is_in_its_corner_of_the_picture_and_nowhere_else(variation, plain):
    with_mark, without = (pixels_of(picture_of(job, "og-image", "png")) for job in (variation, plain))

    box = ImageChops.difference(with_mark, without).getbbox()

    assert box is not None
    left, top, right, bottom = (edge / 1200 for edge in box)
    assert (left > 0.4, top > 0.85, right > 0.9, bottom > 0.9) == (True, True, True, True)


def test_the_first_format_is_the_one_that_is_told_where_one_url_is_told(stack, variation):
    answer = httpx.get(f"{stack.url}/api/images/derivatives-all/landscape", headers={"Accept": "*/*"})

    assert answer.headers["content-type"] == "image/webp"
    assert answer.content == httpx.get(picture_of(variation, "landscape", "webp")["url"]).content


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "avif"),
        ("image/png;q=0.5,image/jpeg;q=0.9", "jpeg"),
        ("image/png", "png"),
        ("image/*", "webp"),
        ("image/avif;q=0,image/jpeg", "jpeg"),
    ],
)
def test_a_name_gives_the_format_that_the_reader_likes_best(stack, variation, accept, form):
    answer = httpx.get(f"{stack.url}/api/images/derivatives-all/landscape.banner", headers={"Accept": accept})

    assert answer.headers["content-type"] == f"image/{form}"
    assert "accept" in answer.headers["vary"].lower()
    assert answer.content == httpx.get(picture_of(variation, "banner", form)["url"]).content


def test_a_format_that_is_named_is_exact(stack, variation):
    url = f"{stack.url}/api/images/derivatives-all/square"

    named = httpx.get(url, params={"format": "png"}, headers={"Accept": "image/webp"})

    assert named.headers["content-type"] == "image/png"


def test_formats_come_from_the_accept_header_where_the_body_names_none(stack):
    asked = submit(
        stack.url, a_request("derivatives-accept", families=["square"]), Accept="application/json, image/jpeg"
    )

    made = ended(stack.url, asked, within_seconds=WITHIN_SECONDS)

    assert {picture["format"] for picture in made["derivatives"]} == {"jpeg"}


def crops(stack: RunningStack, variation: dict[str, Any], family: str) -> dict[str, Any]:
    answer = httpx.get(f"{stack.url}/api/jobs/{variation['id']}/families/{family}/crops")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def crops_of(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By picture: of its only image, in whichever format, for they are cut alike."""
    [image] = shown["images"]
    return {file["name"]: file["crop"] for file in image["files"]}


def test_the_crops_of_a_family_tell_their_windows_and_what_decided_them(stack, variation):
    landscape = crops_of(crops(stack, variation, "landscape"))
    square = crops_of(crops(stack, variation, "square"))

    assert set(landscape) == {name for family, name in NAMES if family == "landscape"}
    assert {(crop["evidence"], crop["fit"], crop["window"]["top"]) for crop in landscape.values()} == {
        ("safe_zone", "whole", 0)
    }
    assert "safe_zone" not in {crop["evidence"] for crop in square.values()}


def test_the_crops_can_be_looked_at_and_that_picture_too_says_that_a_model_made_it(stack, variation, tmp_path):
    url = f"{stack.url}/api/jobs/{variation['id']}/families/landscape/crops"

    answer = httpx.get(url, headers={"Accept": "image/png"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    shown = tmp_path / "crops.png"
    shown.write_bytes(answer.content)
    with Image.open(shown) as image:
        image.load()
        assert min(image.size) > 300
    assert read_by_exiftool([shown]) == {shown: {"DigitalSourceType": MADE_BY_A_MODEL}}


def facts_of(stack: RunningStack, variation_id: str) -> dict[str, Any]:
    """What only a model, money or another try could change."""
    job = httpx.get(f"{stack.url}/api/jobs/{variation_id}").json()
    family = job["families"]["landscape"]
    return {
        "status": (job["status"], family["status"]),
        "revision": job["revision"],
        "attempt": family["attempt"],
        "cost": job["cost"],
        "images": [(image["digest"], image["seed"], image["seconds"]) for image in family["images"]],
        "model seconds": read(stack.url, variation_id)["timings"]["modelSeconds"],
        "started": family["startedAt"],
    }


def by_name(stack: RunningStack, name: str) -> bytes:
    """What the name gives just now."""
    answer = httpx.get(f"{stack.url}/api/images/{name}")
    assert answer.status_code == 200, answer.text
    return answer.content


def cut_again(stack: RunningStack, variation_id: str, family: str, subject: dict[str, Any]) -> None:
    answer = httpx.patch(f"{stack.url}/api/jobs/{variation_id}/families/{family}/crops", json=subject)
    assert answer.status_code == 202, answer.text


async def test_cutting_again_asks_no_model_and_gives_the_names_new_pictures_of_the_same_renders(stack, tmp_path):
    made = derived(
        stack,
        "derivatives-recut",
        ["landscape"],
        output={"formats": ["png", "jpeg"]},
        crop={"safeZone": TOP},
    )
    before, facts = made["derivatives"], facts_of(stack, made["id"])
    old, name = pixels_of(before[0]), "derivatives-recut/landscape"
    behind_the_name = by_name(stack, name)

    async with (
        Listener(stack.amqp_url, "imagetron.events", "image.#") as events,
        Listener(stack.amqp_url, "imagetron.stages") as stages,
    ):
        cut_again(stack, made["id"], "landscape", {"safeZone": BOTTOM})
        story = await events.until("FAMILY_COMPLETED", made["id"], within_seconds=WITHIN_SECONDS)
        passed = [message["type"] for message in stages.messages(made["id"])]

    told = story[-1]["data"]
    now = read(stack.url, made["id"])
    assert [message["type"] for message in story] == ["FAMILY_COMPLETED"]
    assert told["derivation"] == 1
    assert passed == ["DERIVATIVES_REQUESTED", "DERIVATIVES_RENDERED", "FAMILY_PUBLISHED"]
    assert facts_of(stack, made["id"]) == facts
    # Other pictures, under other immutable URLs; the old ones are where they were, and the name has moved.
    urls = {picture["url"] for picture in now["derivatives"]}
    assert urls.isdisjoint({picture["url"] for picture in before})
    assert {told["publicUrl"], *told["derivatives"].values()} <= urls
    assert pixels_of(before[0]) == old
    assert by_name(stack, name) != behind_the_name
    assert {crop["window"]["top"] for crop in crops_of(crops(stack, now, "landscape")).values()} != {0}
    files = fetched(now, tmp_path)
    assert read_by_exiftool(files) == {path: {"DigitalSourceType": MADE_BY_A_MODEL} for path in files}
