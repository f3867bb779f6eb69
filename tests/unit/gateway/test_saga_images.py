"""Families of several images: one bad image never sinks the others."""

import pytest

from imagetron_contracts.failures import FailureCode, Stage
from imagetron_gateway.domain.job import ImageStatus, JobStatus
from support.builders import (
    CDN,
    JOB_ID,
    a_family,
    a_family_started,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    picture_names,
    public_key,
    renders_generated,
    stage_failed,
)
from unit.gateway.playing import Play, statuses

FILTERED = {0: FailureCode.CONTENT_FILTERED}
LOST = {0: FailureCode.STORAGE_UNAVAILABLE}


def three() -> Play:
    return Play(an_admitted_job(a_family("square", images=3)))


def test_one_bad_image_makes_the_family_partial_and_the_others_are_published():
    play = three().hear(
        renders_generated(indexes=(1, 2), bad=FILTERED),
        derivatives_rendered(indexes=(1, 2)),
        family_published(indexes=(1, 2)),
    )
    event = play.event("FAMILY_COMPLETED")

    assert statuses(play.job) == {"square": "partial"}
    assert play.job.status is JobStatus.PARTIAL
    assert event["publicUrl"] == f"{CDN}/{public_key(JOB_ID, 'square', 'square', 1)}"
    assert event["derivatives"] == {
        name: f"{CDN}/{public_key(JOB_ID, 'square', name, 1)}" for name in picture_names("square")[1:]
    }
    assert [(image["index"], image.get("url"), image.get("error")) for image in event["images"]] == [
        (0, None, "image 0: content_filtered"),
        (1, f"{CDN}/{public_key(JOB_ID, 'square', 'square', 1)}", None),
        (2, f"{CDN}/{public_key(JOB_ID, 'square', 'square', 2)}", None),
    ]
    assert play.event("VARIATION_PARTIAL")["errors"] == {"square": "image 0: content_filtered"}


@pytest.mark.parametrize(
    ("message", "stage"),
    [
        (renders_generated(indexes=(1, 2), bad=FILTERED), Stage.GENERATING),
        (derivatives_rendered(indexes=(1, 2), bad=LOST), Stage.DERIVING),
        (family_published(indexes=(1, 2), bad=LOST), Stage.PUBLISHING),
    ],
)
def test_a_bad_image_remembers_the_stage_that_reported_it(message, stage):
    image = three().hear(message).job.families["square"].images[0]

    assert image.status is ImageStatus.FAILED
    assert image.failure is not None
    assert image.failure.stage is stage


def test_all_bad_images_fail_the_family_with_the_reason_of_the_lowest():
    bad = {0: FailureCode.CONTENT_FILTERED, 1: FailureCode.OUT_OF_MEMORY, 2: FailureCode.OUT_OF_MEMORY}
    play = three().hear(renders_generated(indexes=(), bad=bad))
    event = play.event("FAMILY_FAILED")

    assert (event["stage"], event["code"], event["retryable"]) == ("generating", "content_filtered", False)
    assert play.event_types == ["FAMILY_FAILED", "VARIATION_FAILED"]


def test_a_stage_that_gives_up_fails_only_the_images_it_names():
    play = three().hear(stage_failed(indexes=(0, 2)))
    assert [image.status.value for image in play.job.families["square"].images] == ["failed", "waiting", "failed"]
    assert play.events == []

    play.hear(family_published(indexes=(1,)))
    assert play.event_types == ["FAMILY_COMPLETED", "VARIATION_PARTIAL"]


def test_a_published_image_is_not_failed_by_a_stage_that_gives_up_later():
    play = three().hear(family_published(indexes=(0, 1)), stage_failed(indexes=(0, 1, 2)))

    assert [image.status.value for image in play.job.families["square"].images] == ["published", "published", "failed"]


def test_a_failed_image_is_not_published_by_a_late_result():
    play = three().hear(stage_failed(indexes=(0,)), family_published(indexes=(0, 1, 2)))

    assert [image.status.value for image in play.job.families["square"].images] == ["failed", "published", "published"]


def test_images_asked_for_one_by_one_add_up():
    play = three()
    for index in (2, 0, 1):
        play.hear(renders_generated(indexes=(index,), model_seconds=2))
    for index in (0, 1, 2):
        play.hear(derivatives_rendered(indexes=(index,)))
    assert play.events == []
    for index in (1, 2, 0):
        play.hear(family_published(indexes=(index,)))
    square = play.job.families["square"]

    assert (square.model_seconds, square.encode_seconds) == (6, 4.5)
    assert play.event_types == ["FAMILY_COMPLETED", "VARIATION_COMPLETED"]


def test_a_familys_status_is_that_of_its_least_advanced_open_image():
    play = three().hear(a_family_started(indexes=(0,)))
    seen = [
        statuses(play.hear(message).job)["square"]
        for message in (
            renders_generated(indexes=(0, 1)),
            stage_failed(indexes=(2,)),
            derivatives_rendered(indexes=(0,)),
            derivatives_rendered(indexes=(1,)),
        )
    ]

    assert seen == ["generating", "deriving", "deriving", "publishing"]


def test_an_image_that_the_family_does_not_have_is_ignored():
    play = three().hear(
        renders_generated(indexes=(7,), bad={8: FailureCode.INTERNAL}),
        derivatives_rendered(indexes=(7,)),
        family_published(indexes=(7,)),
        stage_failed(indexes=(7,)),
    )

    assert play.job == three().job
