"""A message speaks of its own job's objects only: whoever can publish cannot bring in somebody else's pictures."""

import pytest
from pydantic import ValidationError

from imagetron_contracts.spec import spec_key
from imagetron_contracts.stages import FamilyRequested, Lane
from support.builders import JOB_ID, a_job_id, derivatives_rendered, family_published, renders_generated

OTHER = a_job_id(2)


def changed(message, replace):
    """The message read back after its text was forged."""
    return type(message).model_validate_json(replace(message.model_dump_json()))


@pytest.mark.parametrize("message", [renders_generated(), derivatives_rendered(), family_published()])
def test_a_message_about_its_own_objects_is_read(message):
    assert changed(message, lambda text: text) == message


@pytest.mark.parametrize("message", [renders_generated(), derivatives_rendered()])
@pytest.mark.parametrize(
    ("own", "foreign"),
    [
        (f"jobs/{JOB_ID}/1/square/1/0/", f"jobs/{OTHER}/1/square/1/0/"),
        (f"jobs/{JOB_ID}/1/square/1/0/", f"jobs/{JOB_ID}/2/square/1/0/"),
        (f"jobs/{JOB_ID}/1/square/1/0/", f"jobs/{JOB_ID}/1/square/1/1/"),
        (f"jobs/{JOB_ID}/1/square/1/0/", f"jobs/{JOB_ID}/1/square/1/0/../../../../../{OTHER}/"),
    ],
)
def test_work_objects_of_another_job_revision_or_image_are_refused(message, own, foreign):
    with pytest.raises(ValidationError, match="own folder"):
        changed(message, lambda text: text.replace(own, foreign))


@pytest.mark.parametrize("foreign", [f"{OTHER}/", "../../documents/", "@evil.example/", "//evil.example/", ""])
def test_public_keys_that_are_not_made_of_the_job_and_the_digest_are_refused(foreign):
    with pytest.raises(ValidationError, match="public key"):
        changed(family_published(), lambda text: text.replace(f'"{JOB_ID}/', f'"{foreign}'))


@pytest.mark.parametrize("digest", ["", "a\r\nSet-Cookie: x=1", "../x", 'a"b', "é"])
def test_a_digest_is_plain_letters_and_digits_for_it_becomes_a_header(digest):
    forged = renders_generated().model_dump()
    forged["images"][0]["digest"] = digest

    with pytest.raises(ValidationError, match="digest"):
        type(renders_generated()).model_validate(forged)


def test_the_spec_of_another_job_is_refused():
    request = {"family": "square", "attempt": 1, "lane": Lane.BATCH, "image_indexes": (0,), "budget_seconds": 60}

    with pytest.raises(ValidationError, match="specKey"):
        FamilyRequested(job_id=JOB_ID, revision=1, spec_key=spec_key(OTHER, 1), **request)
    with pytest.raises(ValidationError, match="specKey"):
        changed(renders_generated(), lambda text: text.replace(spec_key(JOB_ID, 1), spec_key(JOB_ID, 2)))
