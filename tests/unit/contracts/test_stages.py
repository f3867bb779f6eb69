"""What stage messages say of the work they are about, and the ids that make a repeat recognisable."""

import uuid

import pytest
from pydantic import ValidationError

from imagetron_contracts.events import VariationStarted
from imagetron_contracts.examples import EXAMPLES
from imagetron_contracts.stages import (
    STAGE_MESSAGES,
    DerivativesRendered,
    FamilyMessage,
    FamilyPublished,
    FamilyRequested,
    FamilyResult,
    FamilyStarted,
    Lane,
    Progress,
    RendersGenerated,
    StageFailed,
)

FAMILY_MESSAGES = [message for message in STAGE_MESSAGES if issubclass(message, FamilyMessage)]


@pytest.mark.parametrize("message", FAMILY_MESSAGES, ids=lambda message: message.TYPE)
def test_a_repeat_of_the_same_work_has_the_same_id(message):
    example = EXAMPLES[message]

    assert example.message_id() == example.model_copy().message_id()
    assert uuid.UUID(example.message_id()).version == 5


@pytest.mark.parametrize("message", FAMILY_MESSAGES, ids=lambda message: message.TYPE)
@pytest.mark.parametrize("change", [{"attempt": 2}, {"revision": 2}, {"family": "hero"}], ids=str)
def test_another_attempt_revision_or_family_has_another_id(message, change):
    example = EXAMPLES[message]

    assert example.model_copy(update=change).message_id() != example.message_id()


def test_two_messages_of_one_split_family_have_different_ids():
    whole = EXAMPLES[FamilyRequested]

    ids = {whole.model_copy(update={"image_indexes": part}).message_id() for part in ((0,), (1,), (0, 1), (10, 1))}

    assert len(ids) == 4


@pytest.mark.parametrize("message", [RendersGenerated, DerivativesRendered, FamilyPublished])
def test_a_result_speaks_of_its_good_and_its_failed_images(message):
    example = EXAMPLES[message]

    assert isinstance(example, FamilyResult)
    assert example.good_indexes() == (0,)
    assert example.indexes() == (0, 1)


@pytest.mark.parametrize("message", [FamilyRequested, FamilyStarted, StageFailed])
def test_a_message_without_results_speaks_of_the_images_it_names(message):
    example = EXAMPLES[message]

    assert isinstance(example, FamilyMessage)
    assert example.indexes() == (0, 1)


def test_a_message_that_names_no_images_speaks_of_none():
    work = {"job_id": "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e41", "revision": 1, "family": "square", "attempt": 1}

    assert FamilyMessage(**work).indexes() == ()
    assert FamilyResult(**work).indexes() == ()


def test_every_step_of_every_image_is_news():
    first = EXAMPLES[Progress]

    ids = {first.model_copy(update={"index": i, "step": step}).message_id() for i in range(3) for step in range(12)}

    assert len(ids) == 36


def test_a_message_without_natural_identity_has_a_new_id_each_time():
    example = EXAMPLES[VariationStarted]

    assert example.message_id() != example.message_id()


@pytest.mark.parametrize("lane", Lane)
def test_a_request_travels_on_its_lane(lane):
    request = EXAMPLES[FamilyRequested].model_copy(update={"lane": lane})

    assert request.routing_key() == f"family.requested.{lane.value}"


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_budget_is_a_positive_number_that_json_can_hold(seconds):
    work = EXAMPLES[FamilyRequested].model_dump() | {"budgetSeconds": seconds}

    with pytest.raises(ValidationError):
        FamilyRequested.model_validate(work)
