"""Uploaded pictures: what may be one, what it is called, how it lies in the work store."""

import hashlib
from datetime import timedelta

import pytest

from imagetron_contracts.media import Dimensions
from imagetron_gateway.domain.sources import (
    MAX_PIXELS,
    Pixels,
    is_source_id,
    new_source,
    objection_to_size,
    packed,
)
from support.builders import JOB_ID, NOW


def pixels(width: int = 64, height: int = 64) -> Pixels:
    data = bytes(index % 251 for index in range(width * height * 3))
    return Pixels(data, Dimensions(width=width, height=height), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(("width", "height"), [(64, 64), (4096, 4096), (8192, 2048), (64, 8192)])
def test_sizes_that_are_taken(width, height):
    assert objection_to_size(Dimensions(width=width, height=height)) is None


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 63), (8192, 1)])
def test_a_picture_that_is_too_small_is_told_the_least_size(width, height):
    said = objection_to_size(Dimensions(width=width, height=height))

    assert said == f"the picture is {width}x{height} pixels; each side must have at least 64"


@pytest.mark.parametrize(("width", "height"), [(4097, 4096), (8192, 8192)])
def test_a_picture_with_too_many_pixels_is_told_the_limit(width, height):
    said = objection_to_size(Dimensions(width=width, height=height)) or ""

    assert f"{width}x{height}" in said
    assert str(MAX_PIXELS) in said


def test_the_file_in_the_work_store_is_a_binary_ppm_with_the_pixels_as_they_are():
    picture = pixels(70, 65)

    header, data = packed(picture)[:13], packed(picture)[13:]

    assert header == b"P6\n70 65\n255\n"
    assert hashlib.sha256(data).hexdigest() == picture.digest


def test_a_new_source_has_an_id_of_its_own_and_a_key_made_of_nothing_else():
    source = new_source(pixels(), new_id=JOB_ID, owner="../anna", now=NOW, kept=timedelta(days=7), idempotency=None)

    assert is_source_id(source.id)
    assert source.key == f"sources/{source.id}/render"
    assert (source.created_at, source.expires_at) == (NOW, NOW + timedelta(days=7))


@pytest.mark.parametrize(
    "text", ["", "src_", "src_" + "0" * 31, "src_" + "0" * 33, "src_" + "G" * 32, "src_../../x", "\0"]
)
def test_other_texts_are_no_ids(text):
    assert not is_source_id(text)


def test_pixels_do_not_show_in_logs():
    assert "data" not in repr(pixels())
