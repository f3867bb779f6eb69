import io
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from imagetron_cli.api import Gateway, Picture, Variation
from imagetron_cli.gallery import BrokenPicture, SavedPicture, expected_pictures, save_pictures, shortfalls, unmarked
from unit.cli.answers import a_picture, a_variation, webp


def saved_as_promised(*families: str) -> list[SavedPicture]:
    return [
        SavedPicture(
            Picture.model_validate(a_picture(family, name)),
            path=Path(f"{family}-{name}.webp"),
            size=(size.width, size.height),
            is_marked=True,
        )
        for (family, name), size in expected_pictures(families).items()
    ]


def test_masters_and_derivatives_are_expected_at_the_sizes_of_the_table():
    expected = expected_pictures(["facebook-og"])

    assert {name: str(size) for name, size in expected.items()} == {
        ("facebook-og", "facebook-og"): "1200x628",
        ("facebook-og", "link-preview"): "1200x628",
        ("facebook-og", "linkedin"): "1200x627",
    }


def test_nothing_falls_short_when_every_picture_has_its_size():
    assert shortfalls(["square", "hero"], saved_as_promised("square", "hero")) == []


def test_a_missing_picture_and_a_wrong_size_are_told():
    saved = [item for item in saved_as_promised("square") if item.picture.name != "profile"]
    saved[0] = replace(saved[0], size=(1024, 1023))

    assert shortfalls(["square"], saved) == [
        "square/square is 1024x1023 and should be 1024x1024",
        "square/profile is missing",
    ]


@pytest.mark.parametrize("body", [b"", b"not a picture", webp((64, 64))[:-20]], ids=["empty", "text", "cut off"])
async def test_bytes_that_do_not_decode_are_no_picture(tmp_path, body):
    variation = Variation.model_validate(a_variation("complete", [a_picture()]))

    async with Gateway(
        "http://gateway", transport=httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    ) as gateway:
        with pytest.raises(BrokenPicture, match="do not decode"):
            await save_pictures(gateway, variation, tmp_path)

    assert list(tmp_path.iterdir()) == []


async def test_the_size_is_measured_not_believed(tmp_path):
    variation = Variation.model_validate(a_variation("complete", [a_picture(size=(1024, 1024))]))
    small = httpx.MockTransport(lambda _: httpx.Response(200, content=webp((10, 20))))

    async with Gateway("http://gateway", transport=small) as gateway:
        [saved] = await save_pictures(gateway, variation, tmp_path)

    assert saved.size == (10, 20)


def made_by(source_type: str) -> bytes:
    body = io.BytesIO()
    xmp = f'<r:Description xmlns:i="http://iptc.org/" i:DigitalSourceType="{source_type}"/>'
    Image.new("RGB", (10, 20)).save(body, "WEBP", xmp=xmp.encode())
    return body.getvalue()


VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype"


async def test_a_picture_that_does_not_say_that_a_model_made_it_is_told_and_one_that_does_is_not(tmp_path):
    bodies = {
        "square": made_by(f"{VOCABULARY}/trainedAlgorithmicMedia"),
        "og-image": made_by(f"{VOCABULARY}/digitalCapture"),
        "profile": webp((10, 20)),
    }
    variation = Variation.model_validate(a_variation("complete", [a_picture("square", name) for name in bodies]))

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix("/cdn/square-").removesuffix(".webp")
        return httpx.Response(200, content=bodies[name])

    async with Gateway("http://gateway", transport=httpx.MockTransport(answer)) as gateway:
        saved = await save_pictures(gateway, variation, tmp_path)

    assert unmarked(saved) == [
        "square/og-image does not say that a model made it",
        "square/profile does not say that a model made it",
    ]
