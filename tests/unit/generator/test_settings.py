import pytest

from imagetron_chassis.settings import WrongConfiguration, load
from imagetron_generator.settings import Settings

NEEDED = {"AMQP_URL": "amqp://guest:guest@127.0.0.1/", "STORAGE_PATH": "/tmp/objects"}  # noqa: S108 - never touched


def test_the_names_of_the_original_service_still_work():
    settings = load(
        Settings, "generator", {**NEEDED, "MAX_CONCURRENT_JOBS": "3", "ML_IMAGE_SERVICE_URL": "triton:8001"}
    )

    assert (settings.max_concurrent_jobs, settings.triton_url) == (3, "triton:8001")


def test_watched_models_are_separated_by_commas():
    settings = load(Settings, "generator", {**NEEDED, "GENERATOR_HEALTH_MODELS": "preview, sdxl,"})

    assert settings.health_models == ("preview", "sdxl")


def test_the_preview_model_is_watched_unless_others_are_named():
    assert load(Settings, "generator", NEEDED).health_models == ("preview",)


def test_at_least_one_model_is_watched_because_nothing_else_would_end_a_pause():
    with pytest.raises(WrongConfiguration, match="GENERATOR_HEALTH_MODELS"):
        load(Settings, "generator", {**NEEDED, "GENERATOR_HEALTH_MODELS": " , "})


def test_a_url_in_place_of_host_and_port_is_refused_by_its_name():
    with pytest.raises(WrongConfiguration, match="GENERATOR_TRITON_URL"):
        load(Settings, "generator", {**NEEDED, "GENERATOR_TRITON_URL": "http://triton:8001"})
