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


def test_the_built_in_models_are_our_own_and_then_those_of_others():
    assert list(load_catalogue(BUILT_IN)) == [*PARAMETERS, "upscaler", "gpt-image", "midjourney", "nanobanana"]


@pytest.mark.parametrize("buckets", [("512x1024", "2048x1024"), ("2048x1024", "512x1024")])
@pytest.mark.parametrize(("side", "bucket"), [(9, "512x1024"), (1000, "2048x1024"), (3000, "2048x1024")])
def test_of_native_sizes_that_are_equally_far_off_the_smallest_that_has_all_the_pixels_wins(buckets, side, bucket):
    assert str(a_model(*buckets).bucket_for(Dimensions(width=side, height=side))) == bucket


@pytest.mark.parametrize(
    ("name", "provider", "delivery", "pool"),
    [
        ("photorealistic", "triton", "direct", "gpu"),
        ("upscaler", "triton", "direct", "gpu"),
        ("gpt-image", "openai", "direct", "external"),
        ("midjourney", "callback", "called_back", "external"),
        ("nanobanana", "polled", "polled", "external"),
    ],
)
def test_each_model_comes_from_its_provider_in_that_ones_way(name, provider, delivery, pool):
    model = load_catalogue(BUILT_IN)[name]

    assert (model.provider, model.delivery.value, model.pool.value) == (provider, delivery, pool)


@pytest.mark.parametrize("model", load_catalogue(BUILT_IN).values(), ids=lambda model: model.name)
def test_every_built_in_model_says_its_licence_its_tone_and_its_price(model):
    assert model.licence
    assert model.tone
    assert model.prices


@pytest.mark.parametrize(
    ("size", "micros"),
    [("512x512", 5000), ("768x768", 10_000), ("1024x1024", 12_500), ("1200x628", 12_500), ("1536x1536", 45_000)],
)
def test_our_own_models_cost_by_the_size_that_was_asked_for(size, micros):
    width, height = map(int, size.split("x"))

    assert load_catalogue(BUILT_IN)["anime"].price_micros(Dimensions(width=width, height=height)) == micros


def test_what_is_larger_than_the_largest_tier_costs_as_much_as_that_one():
    assert load_catalogue(BUILT_IN)["anime"].price_micros(Dimensions(width=5120, height=2194)) == 45_000


def test_a_model_without_prices_is_free_and_the_preview_says_that_it_is():
    assert a_model("512x512").price_micros(Dimensions(width=512, height=512)) == 0
    assert load_catalogue(BUILT_IN)["preview"].price_micros(Dimensions(width=1920, height=1080)) == 0


def test_the_deadline_of_a_polled_provider_follows_the_size():
    model = load_catalogue(BUILT_IN)["nanobanana"]
    seconds = [model.estimated_seconds(size, 1) for size in model.buckets[:4]]

    # What such a service typically takes at most for 512, 768, 1024 and 1536 squares: 30, 45, 90, 300 s.
    assert [round(second) for second in seconds] == [34, 77, 136, 307]


def test_a_provider_that_the_code_does_not_know_is_refused():
    with pytest.raises(
        ValidationError, match="has the provider 'elsewhere'; there are triton, openai, callback, polled"
    ):
        Model.model_validate(a_model("512x512").model_dump() | {"provider": "elsewhere"})


def test_a_model_that_says_nothing_of_its_speed_is_refused():
    with pytest.raises(ValidationError, match="says nothing of how long an image takes"):
        a_model("512x512", seconds=0)


def test_only_who_is_held_by_a_worker_must_finish_while_its_message_is_held():
    slow = a_model("512x512").model_dump() | {"provider": "callback", "secondsPerImage": 3600}

    assert Model.model_validate(slow).estimated_seconds(Dimensions(width=512, height=512), 1) > 3600


@pytest.mark.parametrize("fallback", ["photorealistic", "nobody", "midjourney"])
def test_a_fallback_that_could_not_help_is_told(tmp_path, fallback):
    file = tmp_path / "catalogue.yaml"
    file.write_text(BUILT_IN.read_text().replace("fallback: gpt-image", f"fallback: {fallback}"))

    with pytest.raises(WrongCatalogue, match=f"gives photorealistic the fallback '{fallback}'; it must be another"):
        load_catalogue(file)


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
