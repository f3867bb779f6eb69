"""Small values that cross the wire: sizes, formats, failure codes, keys."""

import pytest
from pydantic import ValidationError

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Value
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, cancelled_key, image_prefix, spec_key

JOB = "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41"


class TwoWords(Value):
    first_word: str
    second_word: int = 1


def test_a_value_is_written_in_camel_case_and_read_in_both():
    value = TwoWords(first_word="a")

    assert value.model_dump() == {"firstWord": "a", "secondWord": 1}
    assert TwoWords.model_validate({"firstWord": "a"}) == TwoWords.model_validate({"first_word": "a"}) == value


def test_a_value_cannot_be_changed():
    with pytest.raises(ValidationError):
        TwoWords(first_word="a").first_word = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("format_", "content_type", "extension"),
    [
        (ImageFormat.WEBP, "image/webp", "webp"),
        (ImageFormat.PNG, "image/png", "png"),
        (ImageFormat.JPEG, "image/jpeg", "jpg"),
        (ImageFormat.AVIF, "image/avif", "avif"),
    ],
)
def test_a_format_knows_its_content_type_and_its_usual_extension(format_, content_type, extension):
    assert (format_.content_type, format_.extension) == (content_type, extension)


def test_dimensions_read_as_people_write_them():
    assert str(Dimensions(width=1200, height=628)) == "1200x628"


@pytest.mark.parametrize("side", [0, -1, 8193])
def test_a_side_has_from_1_to_8192_pixels(side):
    Dimensions(width=1, height=8192)

    with pytest.raises(ValidationError):
        Dimensions(width=side, height=100)


RETRYABLE = {
    "model_refused": False,
    "model_unavailable": True,
    "out_of_memory": True,
    "content_filtered": False,
    "quota_exceeded": True,
    "render_unreadable": True,
    "storage_unavailable": True,
    "deadline_exceeded": True,
    "work_lost": True,
    "cancelled": False,
    "internal": True,
}


def test_every_failure_code_says_whether_asking_again_can_help():
    assert {code.value: code.is_retryable for code in FailureCode} == RETRYABLE


def test_the_stages_are_the_ways_of_a_family():
    assert [stage.value for stage in Stage] == ["generating", "deriving", "publishing"]


def test_keys_in_the_work_store_depend_on_the_work_alone():
    assert spec_key(JOB, 2) == f"jobs/{JOB}/2/spec.json"
    assert cancelled_key(JOB, 2) == f"jobs/{JOB}/2/cancelled"
    assert image_prefix(JOB, 2, "square", 3, 4) == f"jobs/{JOB}/2/square/3/4"


def test_a_spec_keeps_its_prompt_byte_for_byte():
    prompt = "  A “sunset”\tbeach, 日没, e\u0301 and é \u2028 {x} \\n  "
    size = Dimensions(width=1024, height=1024)
    spec = RenderSpec(
        job_id=JOB,
        revision=1,
        prompt=prompt,
        negative_prompt="",
        model="photorealistic",
        served_by="sdxl",
        steps=30,
        guidance_scale=7.5,
        families={"square": FamilySpec(render=size, seeds=(1,), files=(FileSpec(name="square", size=size),))},
    )

    again = RenderSpec.model_validate_json(spec.model_dump_json())

    assert again == spec
    assert again.prompt.encode() == prompt.encode()
