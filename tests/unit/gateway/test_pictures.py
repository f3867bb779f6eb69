"""Which pictures a job shows, under which names; and the words for its status."""

import pytest

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.families import PictureName
from imagetron_contracts.media import ImageFormat
from imagetron_gateway.domain import pipeline
from imagetron_gateway.domain.job import Job, JobStatus
from imagetron_gateway.domain.pictures import family_urls, job_urls, picture_of, pictures, pictures_of
from imagetron_gateway.domain.statuses import VARIATION_STATUS
from imagetron_gateway.domain.telling import family_completed
from support.builders import (
    CDN,
    JOB_ID,
    a_family,
    a_job,
    an_admitted_job,
    family_published,
    picture_names,
    public_key,
    published_as,
    stage_failed,
    url_of,
)
from unit.gateway.playing import Play


def in_formats(*formats: str) -> Job:
    """One image of a square, of which every picture is there in each of these formats."""
    job = an_admitted_job("square", formats=tuple(map(ImageFormat, formats)))
    return Play(job).hear(published_as(job, "square")).job


def published(*, images: int = 1, bad: tuple[int, ...] = ()) -> Play:
    good = [index for index in range(images) if index not in bad]
    failed = dict.fromkeys(bad, FailureCode.INTERNAL)
    play = Play(an_admitted_job(a_family("square", images=images), "landscape"))
    return play.hear(family_published(indexes=good, bad=failed), stage_failed(family="landscape"))


def test_every_status_of_a_job_has_a_word_of_its_own():
    assert {status: VARIATION_STATUS[status] for status in JobStatus} == {
        JobStatus.QUEUED: "pending",
        JobStatus.RUNNING: "processing",
        JobStatus.COMPLETED: "complete",
        JobStatus.PARTIAL: "partial",
        JobStatus.FAILED: "failed",
        JobStatus.CANCELLED: "cancelled",
    }


@pytest.mark.parametrize("status", JobStatus)
def test_only_a_queued_or_running_job_has_not_ended(status):
    assert status.is_terminal == (status.value not in {"queued", "running"})


def test_a_job_shows_every_picture_of_every_good_image_master_first():
    shown = list(pictures(published(images=3, bad=(1,)).job))

    assert [(picture.family, picture.image, picture.file.name) for picture in shown] == [
        ("square", image, name) for image in (0, 2) for name in picture_names("square")
    ]


def test_a_job_without_pictures_shows_none():
    assert list(pictures(a_job("square", "landscape"))) == []
    assert job_urls(a_job(), url_of) == {}
    assert family_urls(a_family(), url_of) == {}


def test_urls_are_those_of_the_lowest_good_image_and_of_families_that_have_any():
    assert job_urls(published(images=2, bad=(0,)).job, url_of) == {
        "square": {name: f"{CDN}/{public_key(JOB_ID, 'square', name, 1)}" for name in picture_names("square")}
    }


@pytest.mark.parametrize("derivative", [None, "og-image", "profile"])
def test_a_name_points_to_the_lowest_good_image(derivative):
    picture = picture_of(published(images=3, bad=(0,)).job, PictureName(family="square", derivative=derivative))

    assert picture is not None
    assert (picture.family, picture.image, picture.file.name) == ("square", 1, derivative or "square")


def test_of_several_formats_the_first_is_told_where_one_url_is_told():
    job = in_formats("webp", "jpeg", "avif")
    told = {name: f"{CDN}/{public_key(JOB_ID, 'square', name)}" for name in picture_names("square")}

    assert family_urls(job.families["square"], url_of) == told
    assert job_urls(job, url_of) == {"square": told}


def test_an_event_tells_one_url_of_every_picture_the_first_formats():
    job = in_formats("png", "webp")
    event = family_completed(job, "square", url_of)

    urls = [event.public_url, *event.derivatives.values()]
    assert [url.rpartition(".")[2] for url in urls] == ["png"] * 4
    [image] = event.images
    assert (image.url, image.derivatives) == (event.public_url, event.derivatives)


def test_the_pipeline_tells_one_url_of_an_image_whatever_its_family_and_formats():
    job = in_formats("jpeg", "webp")

    assert pipeline.cdn_urls(job, url_of) == [f"{CDN}/{JOB_ID}/square-square-0-r1.jpg"]


def test_all_formats_of_a_picture_are_shown_and_the_first_of_them_is_marked():
    shown = list(pictures(in_formats("webp", "jpeg")))

    assert [(picture.file.name, picture.file.format.value, picture.is_first) for picture in shown[:4]] == [
        *(("square", "webp", True), ("square", "jpeg", False)),
        *(("og-image", "webp", True), ("og-image", "jpeg", False)),
    ]


def test_a_name_stands_for_all_its_formats_the_first_one_first():
    job, name = in_formats("webp", "jpeg"), PictureName(family="square", derivative="profile")
    found = pictures_of(job, name)

    assert [(picture.file.name, picture.file.format.value) for picture in found] == [
        *(("profile", "webp"), ("profile", "jpeg")),
    ]
    assert picture_of(job, name) == found[0]
    assert pictures_of(job, name, index=3) == []


def test_a_name_without_a_published_picture_points_to_nothing():
    job = published().job

    assert picture_of(job, PictureName(family="landscape")) is None
    assert picture_of(job, PictureName(family="square", derivative="banner")) is None
