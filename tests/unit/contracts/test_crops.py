"""Parts of a render, and the request to cut one again: what makes no sense is refused by whoever reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from imagetron_contracts.crops import Box
from imagetron_contracts.stages import DerivativesRequested

SAMPLE = Path(__file__).parents[2] / "contract/messages/golden/derivatives-requested.v1/full.json"


def a_request(**fields: Any) -> DerivativesRequested:
    return DerivativesRequested.model_validate(json.loads(SAMPLE.read_text(encoding="utf-8"))["data"] | fields)


@pytest.mark.parametrize("right", [0.2, 0.3])
def test_a_box_has_a_width(right):
    with pytest.raises(ValidationError, match="right must be greater than left"):
        Box(left=0.3, top=0.1, right=right, bottom=0.9)


@pytest.mark.parametrize("bottom", [0.05, 0.1])
def test_a_box_has_a_height(bottom):
    with pytest.raises(ValidationError, match="bottom must be greater than top"):
        Box(left=0.3, top=0.1, right=0.5, bottom=bottom)


def test_a_request_brings_renders_of_earlier_attempts_too():
    request = a_request()

    assert {image.key.split("/")[4] for image in request.images} == {"2", "3"}
    assert request.good_indexes() == request.indexes() == tuple(image.index for image in request.images)


def test_a_request_brings_no_other_jobs_spec():
    with pytest.raises(ValidationError, match="specKey is not the key of this job and revision"):
        a_request(specKey="jobs/0190a5b7-3c4d-7e8f-a1b2-c3d4e5f60719/2/spec.json")


@pytest.mark.parametrize(("old", "new"), [("/landscape/", "/square/"), ("/3/0/", "/4/0/"), ("/render", "/../render")])
def test_a_request_brings_no_other_images_render(old, new):
    images = json.loads(SAMPLE.read_text(encoding="utf-8"))["data"]["images"]
    images[0]["key"] = images[0]["key"].replace(old, new)

    with pytest.raises(ValidationError, match="a key of image 0 does not lie under its own folder"):
        a_request(images=images)
