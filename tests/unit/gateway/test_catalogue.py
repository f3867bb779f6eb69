"""Models: the nearest native size of each family, ranges, and a file that says what is wrong with it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from imagetron_contracts.families import FAMILIES
from imagetron_contracts.media import Dimensions
from imagetron_gateway.adapters.catalogue import BUILT_IN, WrongCatalogue, load_catalogue
from imagetron_gateway.domain.catalogue import IntegerRange, Model, NumberRange

BUCKETS = {
    "square": "1024x1024",
    "landscape": "1344x768",
    "portrait": "768x1344",
    "hero": "1536x640",
    "facebook-og": "1344x768",
}
# Steps, then guidance: minimum, maximum, default.
PARAMETERS = {
    "photorealistic": ((10, 60, 30), (1, 15, 7.5)),
    "anime": ((10, 60, 28), (1, 15, 7)),
    "turbo": ((1, 4, 4), (0, 0, 0)),
    "preview": ((1, 60, 30), (0, 15, 7.5)),
}


def a_model(*buckets: str, seconds: float = 2) -> Model:
    sizes = [Dimensions(width=int(size.split("x")[0]), height=int(size.split("x")[1])) for size in buckets]
    return Model(
        name="a",
        title="A",
        description="",
        provider="triton",
        provider_model="a",
        buckets=tuple(sizes),
        steps=IntegerRange(minimum=1, maximum=4, default=2),
        guidance=NumberRange(minimum=0, maximum=1, default=0.5),
        vram_gib=8,
        seconds_per_megapixel_step=seconds,
    )


@pytest.mark.parametrize("model", PARAMETERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_rendered_at_its_nearest_native_size(model, family):
    bucket = load_catalogue(BUILT_IN)[model].bucket_for(FAMILIES[family].master)

    assert str(bucket) == BUCKETS[family]


@pytest.mark.parametrize("model", PARAMETERS)
def test_the_built_in_models_have_these_ranges_and_defaults(model):
    built_in = load_catalogue(BUILT_IN)[model]
    ranges = [(item.minimum, item.maximum, item.default) for item in (built_in.steps, built_in.guidance)]

    assert tuple(ranges) == PARAMETERS[model]


def test_the_built_in_models_are_these_four_in_this_order():
    assert list(load_catalogue(BUILT_IN)) == list(PARAMETERS)


def test_too_wide_and_too_high_by_the_same_factor_count_alike_and_the_larger_size_wins():
    assert str(a_model("512x1024", "2048x1024").bucket_for(Dimensions(width=9, height=9))) == "2048x1024"
    assert str(a_model("2048x1024", "512x1024").bucket_for(Dimensions(width=9, height=9))) == "2048x1024"


def test_an_image_may_take_as_long_as_its_pixels_and_steps():
    assert a_model("1000x1000").estimated_seconds(Dimensions(width=1000, height=500), 30) == 30


@pytest.mark.parametrize("kind", [IntegerRange, NumberRange])
@pytest.mark.parametrize("default", [0, 5])
def test_a_default_outside_its_range_is_refused(kind, default):
    with pytest.raises(ValidationError, match=rf"default {default} is outside 1\.\.4"):
        kind(minimum=1, maximum=4, default=default)


def test_a_model_without_native_sizes_is_refused():
    with pytest.raises(ValidationError, match="buckets"):
        a_model()


def test_a_missing_catalogue_is_told_with_its_path(tmp_path: Path):
    with pytest.raises(WrongCatalogue, match=r"none\.yaml cannot be read: No such file"):
        load_catalogue(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("models: [", "is not YAML"),
        ("models: 3", "models: Input should be a valid list"),
        ("{}", "models: Field required"),
        ("", "Input should be a valid dictionary"),
        ("models: [{name: a}]", r"models\.0\.title: Field required; models\.0\.description"),
    ],
)
def test_everything_that_is_wrong_with_a_catalogue_is_told(tmp_path, text, problem):
    file = tmp_path / "catalogue.yaml"
    file.write_text(text)

    with pytest.raises(WrongCatalogue, match=problem):
        load_catalogue(file)


def test_a_model_that_is_named_twice_is_told(tmp_path):
    file = tmp_path / "catalogue.yaml"
    text = BUILT_IN.read_text().replace("name: anime", "name: turbo")
    file.write_text(text)

    with pytest.raises(WrongCatalogue, match="names twice: turbo"):
        load_catalogue(file)


def test_a_model_whose_slowest_image_cannot_finish_while_its_message_is_held_is_refused():
    a_model("512x512", "1024x1024", seconds=114)  # 1.049 megapixels x 4 steps x 114 s = 478 s

    with pytest.raises(ValidationError, match="may need 482 s for one image of 1024x1024 in 4 steps; at most 480"):
        a_model("512x512", "1024x1024", seconds=115)
