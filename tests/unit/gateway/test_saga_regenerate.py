"""Regenerating: the same inputs as a new revision, while names keep pointing to the pictures that exist."""

import pytest

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.families import PictureName
from imagetron_gateway.domain import commands, saga
from imagetron_gateway.domain.job import ImageStatus, JobStatus
from imagetron_gateway.domain.pictures import picture_of
from support.builders import (
    CDN,
    JOB_ID,
    a_family,
    a_job,
    an_admitted_job,
    family_published,
    public_key,
    renders_generated,
    stage_failed,
    url_of,
)
from unit.gateway.playing import Play, statuses

SQUARE = PictureName(family="square")


def ended(*families: str) -> Play:
    play = Play(an_admitted_job(*families))
    return play.hear(*(family_published(family=family) for family in families)).forget()


def shown_revision(play: Play, family: str = "square") -> int | None:
    picture = picture_of(play.job, PictureName(family=family))
    return int(picture.file.digest.rsplit("-r", 1)[1]) if picture else None


@pytest.mark.parametrize("job", [a_job(), an_admitted_job()])
def test_a_variation_that_has_not_ended_cannot_be_regenerated(job):
    with pytest.raises(commands.NotAllowed, match="the variation is queued; it can be regenerated when it has ended"):
        commands.regenerate(job, job.created_at)


def test_a_running_variation_cannot_be_regenerated():
    play = Play(an_admitted_job()).hear(renders_generated())

    with pytest.raises(commands.NotAllowed, match="running"):
        play.regenerate()


def test_a_new_revision_waits_with_the_same_inputs_and_seeds():
    play = ended("square", "landscape").later(60).regenerate()
    job = play.job

    assert (job.revision, job.status, job.error, job.started_at, job.finished_at) == (
        2,
        JobStatus.QUEUED,
        None,
        None,
        None,
    )
    assert statuses(job) == {"square": "waiting", "landscape": "waiting"}
    assert [image.seed for family in job.families.values() for image in family.images] == [7, 7]
    assert {image.status for family in job.families.values() for image in family.images} == {ImageStatus.WAITING}
    assert (job.waiting_since, job.in_flight_families, job.next_check_at) == (play.now, 0, None)
    assert (job.history[-1].what, job.history[-1].detail) == ("regenerated", "revision 2")
    assert play.emissions == []


def test_a_new_revision_starts_the_variation_again_and_the_sequence_goes_on():
    play = ended("square").regenerate().admit()
    play.hear(family_published(revision=2))

    assert play.event("VARIATION_STARTED")["revision"] == 2
    assert play.event_types == ["VARIATION_STARTED", "FAMILY_COMPLETED", "VARIATION_COMPLETED"]
    assert play.sequences == [4, 5, 6]
    assert [request.revision for request in play.requests] == [2]
    assert play.requests[0].spec_key == f"jobs/{JOB_ID}/2/spec.json"


def test_names_keep_pointing_to_the_old_pictures_until_the_new_revision_ends():
    play = ended("square", "landscape")
    seen = [shown_revision(play), shown_revision(play.regenerate()), shown_revision(play.admit())]
    seen.append(shown_revision(play.hear(family_published(family="square", revision=2))))
    seen.append(shown_revision(play.hear(family_published(family="landscape", revision=2))))

    assert seen == [1, 1, 1, 1, 2]


def test_before_the_first_revision_ends_names_point_to_what_is_published():
    play = Play(an_admitted_job("square", "landscape"))
    assert shown_revision(play) is None

    assert shown_revision(play.hear(family_published())) == 1


def test_a_partial_new_revision_moves_the_names_of_its_good_families_only():
    play = ended("square", "landscape").regenerate().admit()
    play.hear(family_published(revision=2), stage_failed(family="landscape", revision=2))

    assert (shown_revision(play, "square"), shown_revision(play, "landscape")) == (2, 1)
    assert play.event("VARIATION_PARTIAL")["partialUrls"].keys() == {"square"}


def test_a_failed_new_revision_moves_no_name():
    play = ended("square").regenerate().admit().hear(stage_failed(revision=2))

    assert play.job.status is JobStatus.FAILED
    assert shown_revision(play) == 1


def test_a_partial_family_shows_its_good_images_of_the_new_revision():
    play = Play(an_admitted_job(a_family("square", images=2))).hear(family_published(indexes=(0, 1)))
    play.regenerate().admit().hear(family_published(indexes=(1,), bad={0: FailureCode.STORAGE_UNAVAILABLE}, revision=2))
    picture = picture_of(play.job, SQUARE)

    assert picture is not None
    assert (picture.image, url_of(picture.file.key)) == (1, f"{CDN}/{public_key(JOB_ID, 'square', 'square', 1, 2)}")


def test_results_of_the_revision_before_change_nothing_any_more():
    play = ended("square").regenerate().admit()

    assert saga.apply(play.job, family_published(revision=1), play.now, url_of) is None
    assert saga.apply(play.job, stage_failed(revision=1), play.now, url_of) is None
