"""Settings: where a value comes from, and that everything wrong is said at once and no secret ever."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import AliasChoices, Field, ValidationError

from imagetron_chassis.settings import BaseServiceSettings, Environment, WrongConfiguration, load

CANARY = "canary-7f3a-do-not-print"


class Settings(BaseServiceSettings):
    PREFIX: ClassVar[str] = "PAINTER_"

    brushes: int = Field(default=2, ge=1, description="How many brushes.")
    canvas_url: str = Field(description="Where the canvas is.")
    max_concurrent_jobs: int = Field(
        default=2,
        ge=1,
        validation_alias=AliasChoices("PAINTER_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"),
        description="Jobs at once.",
    )


class Pictureless(Settings):
    USES_OBJECTS: ClassVar[bool] = False


RIGHT = {"AMQP_URL": "amqp://guest:guest@127.0.0.1/", "STORAGE_PATH": "objects", "PAINTER_CANVAS_URL": "http://canvas"}
S3 = {
    "S3_BUCKET": "public",
    "S3_WORK_BUCKET": "work",
    "S3_ENDPOINT": "http://127.0.0.1:9000",
    "S3_ACCESS_KEY_ID": "key",
    "S3_SECRET_ACCESS_KEY": CANARY,
}


def loaded(settings: type[Settings] = Settings, /, **changes: str | None) -> Settings:
    environ = {name: value for name, value in {**RIGHT, **changes}.items() if value is not None}
    return load(settings, "painter", environ)


def problems(settings: type[Settings] = Settings, /, **changes: str | None) -> list[str]:
    with pytest.raises(WrongConfiguration) as caught:
        loaded(settings, **changes)
    return caught.value.problems


def test_values_come_from_the_variables_and_else_from_the_defaults():
    settings = loaded(PAINTER_BRUSHES="7")

    assert (settings.brushes, settings.canvas_url, settings.environment) == (
        7,
        "http://canvas",
        Environment.DEVELOPMENT,
    )
    assert settings.storage_path == Path("objects")


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        loaded().brushes = 3  # type: ignore[misc]


def test_every_problem_is_said_at_once_and_names_its_variable():
    said = problems(
        AMQP_URL=None,
        PAINTER_CANVAS_URL=None,
        STORAGE_PATH=None,
        PAINTER_BRUSHES="none",
        LOG_LEVEL="loud",
        PROBES_PORT="70000",
        PAINTER_BRUSHS="3",
    )

    assert sorted(line.split(":")[0] for line in said) == [
        *("AMQP_URL", "LOG_LEVEL", "PAINTER_BRUSHES", "PAINTER_BRUSHS"),
        *("PAINTER_CANVAS_URL", "PROBES_PORT", "STORAGE_PATH or S3_BUCKET"),
    ]


def test_a_missing_setting_is_explained_with_its_description():
    assert problems(PAINTER_CANVAS_URL=None) == ["PAINTER_CANVAS_URL: is required. Where the canvas is."]


def test_the_whole_report_is_a_sentence_for_each_problem_under_the_services_name():
    with pytest.raises(WrongConfiguration) as caught:
        loaded(PAINTER_CANVAS_URL=None, PAINTER_BRUSHES="0")

    lines = str(caught.value).splitlines()
    assert lines[0] == "painter: 2 problem(s) in the configuration:"
    assert len(lines) == 3


def test_an_unknown_variable_of_the_prefix_is_refused_with_the_name_that_was_meant():
    assert problems(PAINTER_BRUSHS="3") == ["PAINTER_BRUSHS: no such setting; did you mean PAINTER_BRUSHES?"]
    assert problems(PAINTER_XYZZY="3") == ["PAINTER_XYZZY: no such setting"]


def test_variables_of_others_are_none_of_our_business():
    assert loaded(GENERATOR_BRUSHS="3", PATH="/bin", PAINTERS="4").brushes == 2


@pytest.mark.parametrize("name", ["PAINTER_BRUSHES", "LOG_LEVEL", "PROBES_PORT", "S3_BUCKET", "SPANS_FILE"])
def test_an_empty_variable_is_not_set(name: str):
    assert loaded(**{name: ""}) == loaded()


def test_an_empty_required_variable_is_missing():
    assert problems(AMQP_URL="")[0].startswith("AMQP_URL: is required.")


def test_a_setting_is_read_under_each_of_its_names_and_the_prefixed_one_wins():
    assert loaded(MAX_CONCURRENT_JOBS="5").max_concurrent_jobs == 5
    assert loaded(PAINTER_MAX_CONCURRENT_JOBS="6").max_concurrent_jobs == 6
    assert loaded(MAX_CONCURRENT_JOBS="5", PAINTER_MAX_CONCURRENT_JOBS="6").max_concurrent_jobs == 6
    assert loaded(MAX_CONCURRENT_JOBS="5", PAINTER_MAX_CONCURRENT_JOBS="").max_concurrent_jobs == 5


def test_a_field_is_not_read_under_its_bare_name():
    assert loaded(BRUSHES="9", brushes="9").brushes == 2


def test_objects_need_a_place():
    assert problems(STORAGE_PATH=None) == ["STORAGE_PATH or S3_BUCKET: set one of them; objects need a place"]


def test_a_service_without_pictures_needs_no_place_for_objects():
    assert loaded(Pictureless, STORAGE_PATH=None).storage_path is None


def test_an_s3_store_that_is_complete_is_enough():
    assert loaded(STORAGE_PATH=None, **S3).s3_bucket == "public"


@pytest.mark.parametrize("missing", sorted(set(S3) - {"S3_BUCKET"}))
def test_an_s3_store_is_refused_while_a_part_of_it_is_missing(missing: str):
    assert problems(**{**S3, missing: None}) == [f"{missing}: is required because S3_BUCKET is set"]


def test_all_missing_parts_of_an_s3_store_are_said_at_once():
    assert len(problems(S3_BUCKET="public")) == len(S3) - 1


def test_no_secret_is_in_a_report_of_problems():
    with pytest.raises(WrongConfiguration) as caught:
        loaded(
            AMQP_URL=f"amqp://guest:{CANARY}@broker/",
            S3_BUCKET="public",
            S3_SECRET_ACCESS_KEY=CANARY,
            PAINTER_BRUSHES=CANARY,
            LOG_LEVEL=CANARY,
            PROBES_PORT=CANARY,
            PAINTER_TOKEN=CANARY,
        )

    assert len(caught.value.problems) >= 5
    assert CANARY not in str(caught.value)


def test_no_secret_is_in_the_settings_own_text():
    settings = loaded(AMQP_URL=f"amqp://guest:{CANARY}@broker/", **S3)

    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert CANARY in settings.amqp_url.get_secret_value()


@pytest.mark.parametrize("settings", [BaseServiceSettings, Settings])
def test_every_setting_says_what_it_is_for(settings: type[BaseServiceSettings]):
    assert [name for name, field in settings.model_fields.items() if not field.description] == []
