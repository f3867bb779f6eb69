"""The main job over HTTP: one request in, every picture of every family out, and the events that tell of it."""

import io

import httpx
import pytest
from PIL import Image

from e2e.calls import ALL_FAMILIES, a_request, ended, read, submit
from imagetron_contracts.families import FAMILIES
from support.eventually import eventually_sync
from support.listening import Listener
from support.stack import RunningStack


@pytest.fixture(scope="module")
def variation(stack: RunningStack):
    return ended(stack.url, submit(stack.url, a_request("journey-beach", families=ALL_FAMILIES)))


def test_every_picture_of_every_family_is_published_in_its_exact_size(stack, variation):
    expected = {(family.name, family.name): family.master for family in FAMILIES.values()}
    for family in FAMILIES.values():
        expected.update({(family.name, item.name): item.size for item in family.derivatives})

    found = {}
    for picture in variation["derivatives"]:
        answer = httpx.get(picture["url"])
        assert answer.headers["content-type"] == "image/webp"
        image = Image.open(io.BytesIO(answer.content))
        image.load()
        assert image.format == "WEBP"
        found[picture["family"], picture["name"]] = image.size

    assert variation["status"] == "complete"
    assert found == {name: (size.width, size.height) for name, size in expected.items()}


def test_public_objects_are_immutable_and_names_are_short_lived_aliases_of_the_same_bytes(stack, variation):
    for picture in variation["derivatives"]:
        by_key, by_name = httpx.get(picture["url"]), httpx.get(picture["aliasUrl"])

        assert by_key.content == by_name.content
        assert "immutable" in by_key.headers["cache-control"]
        assert by_name.headers["cache-control"] == "public, max-age=60"
        again = httpx.get(picture["aliasUrl"], headers={"If-None-Match": by_name.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_regenerating_gives_the_same_pictures_under_the_same_names(stack, variation):
    answer = httpx.post(variation["links"]["regenerate"])
    again = ended(stack.url, variation["id"])

    assert answer.status_code == 202
    assert again["revision"] == variation["revision"] + 1
    assert [item["digest"] for item in again["derivatives"]] == [item["digest"] for item in variation["derivatives"]]


def test_another_seed_gives_another_picture(stack, variation):
    other = ended(stack.url, submit(stack.url, a_request("journey-other-seed", families=["square"], seed=7)))

    mine = next(item["digest"] for item in variation["derivatives"] if item["name"] == "square")
    assert other["derivatives"][0]["digest"] != mine


async def test_subscribers_hear_the_whole_story_in_order_and_without_gaps(stack):
    async with Listener(stack.amqp_url, "imagetron.events", "image.#") as events:
        variation_id = submit(stack.url, a_request("journey-events", families=["square", "portrait"]))
        story = await events.until("VARIATION_COMPLETED", variation_id)

    assert [event["sequence"] for event in story] == ["0000000001", "0000000002", "0000000003", "0000000004"]
    assert [event["type"] for event in story] == [
        "VARIATION_STARTED",
        "FAMILY_COMPLETED",
        "FAMILY_COMPLETED",
        "VARIATION_COMPLETED",
    ]
    assert story[0]["data"]["familyCount"] == 2
    urls = story[-1]["data"]["publicUrls"]
    assert {family: set(names) for family, names in urls.items()} == {
        "square": {"square", "og-image", "twitter-card", "profile"},
        "portrait": {"portrait", "instagram-story", "mobile-screen"},
    }
    shown = {item["url"] for item in read(stack.url, variation_id)["derivatives"]}
    assert {url for names in urls.values() for url in names.values()} == shown


# A gateway that was just started has heard nothing yet; generators report every fifteen seconds.
REPORTED_WITHIN_SECONDS = 40


def test_the_models_response_time_is_that_of_the_latest_synthetic_inference(stack):
    def reported():
        health = httpx.get(f"{stack.url}/api/images/health/ml").json()
        return health if health["status"] == "available" else None

    health = eventually_sync(reported, within_seconds=REPORTED_WITHIN_SECONDS)

    assert 0 < health["responseTimeSeconds"] < 30


def test_models_say_that_the_preview_stands_in_for_them(stack):
    def served():
        models = {item["name"]: item for item in httpx.get(f"{stack.url}/api/images/models").json()["items"]}
        return models["photorealistic"] if models["photorealistic"]["available"] else None

    model = eventually_sync(served, within_seconds=REPORTED_WITHIN_SECONDS)

    assert model["servedBy"] == "preview"
    assert model["vramGiB"] == 8
