"""Cutting a family again: what is asked of the workers, what their answers change, and what stays whatever they answer."""

from datetime import timedelta
from typing import Any

import pytest

from imagetron_contracts.crops import Box, Crop, Detection, Evidence, Fit, Misfit, Point, Subject, Window
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.families import picture_named
from imagetron_contracts.stages import DerivativesRequested, FamilyPublished, Lane
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.decisions import STAGE_CHECK_AFTER
from imagetron_gateway.domain.job import Job, JobStatus, OutboxEntry
from imagetron_gateway.domain.pictures import picture_of
from imagetron_gateway.domain.recutting import MOST_DERIVATIONS
from support.builders import (
    CDN,
    JOB_ID,
    NOW,
    a_family,
    a_family_started,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    public_key,
    renders_generated,
    stage_failed,
    url_of,
)
from unit.gateway.playing import Play, on_the_wire, seconds_until, statuses

ZONE = Box(left=0.1, top=0.2, right=0.6, bottom=0.9)
POINT = Point(x=0.5, y=0.25)
MAX_REQUESTS = saga.MAX_REQUESTS[Lane.INTERACTIVE]


def published(*families: str, images: int = 1, bad: tuple[int, ...] = (), **fields: Any) -> Play:
    """A job whose families have pictures, but for the bad images, and everything that was told so far is forgotten."""
    good = tuple(index for index in range(images) if index not in bad)
    failed = dict.fromkeys(bad, FailureCode.INTERNAL)
    names = families or ("square",)
    play = Play(an_admitted_job(*(a_family(name, images=images) for name in names), **fields))
    for name in names:
        play.hear(renders_generated(family=name, indexes=good, bad=failed), family_published(family=name, indexes=good))
    return play.forget()


def cut_again(*, images: int = 1, times: int = 1) -> Play:
    play = published(images=images)
    for _ in range(times):
        play.cut_again(safe_zone=ZONE)
    return play


def keys(job: Job, family: str = "square") -> list[list[str]]:
    return [[file.key for file in image.files] for image in job.families[family].images]


def key_of(index: int = 0, derivation: int | None = None) -> str:
    return public_key(JOB_ID, "square", "square", index, 1, derivation)


def masters(job: Job) -> list[str]:
    return [image.files[0].key for image in job.families["square"].images]


def left_edges(job: Job) -> list[int | None]:
    files = job.families["square"].images[0].files
    return [file.crop.window.left if file.crop else None for file in files]


def what_never_changes(job: Job) -> dict[str, Any]:
    """Status, attempt, cost and the like: of the job and of every family."""
    moving = {"history", "families", "published", "sequence", "updated_at", "next_check_at"}
    families = {
        name: family.model_dump(exclude={"images", "subject", "derivation", "recut"})
        for name, family in job.families.items()
    }
    statuses_of_images = {name: [image.status for image in family.images] for name, family in job.families.items()}
    return {"job": job.model_dump(exclude=moving), "families": families, "images": statuses_of_images}


def with_crops(message: FamilyPublished, *, left: int, detection: Detection | None) -> FamilyPublished:
    crop = Crop(window=Window(left=left, top=0, width=9, height=9), evidence=Evidence.SAFE_ZONE, fit=Fit.WHOLE)
    images = tuple(
        image.model_copy(
            update={
                "files": tuple(file.model_copy(update={"crop": crop}) for file in image.files),
                "detection": detection,
            }
        )
        for image in message.images
    )
    return message.model_copy(update={"images": images})


# Asking.


def test_all_published_images_are_asked_for_with_their_renders_and_what_is_said_of_the_subject():
    play = published(images=3, bad=(1,)).cut_again(safe_zone=ZONE, misfit=Misfit.PAD)
    renders = {image.index: image for image in renders_generated(indexes=(0, 2)).images}

    (request,) = play.cuttings
    assert (request.derivation, request.attempt, request.revision) == (1, 1, 1)
    assert request.subject == Subject(safe_zone=ZONE, misfit=Misfit.PAD)
    assert {image.index: image for image in request.images} == renders
    assert request.spec_key == f"jobs/{JOB_ID}/1/spec.json"
    assert play.events == []


def test_an_image_of_an_earlier_attempt_is_asked_for_where_its_render_lies():
    play = published(images=2, bad=(1,)).retry().admit()
    play.hear(renders_generated(indexes=(1,), attempt=2), family_published(indexes=(1,), attempt=2)).forget()
    play.cut_again(safe_zone=ZONE)

    (request,) = play.cuttings
    assert request.attempt == 2
    assert [image.key.split("/")[4] for image in request.images] == ["1", "2"]


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (None, {"safe_zone": ZONE}, Subject(safe_zone=ZONE)),
        (None, {}, None),
        (Subject(safe_zone=ZONE), {"focal_point": POINT}, Subject(safe_zone=ZONE, focal_point=POINT)),
        (Subject(safe_zone=ZONE, misfit=Misfit.CUT), {"safe_zone": None}, Subject(misfit=Misfit.CUT)),
        (Subject(safe_zone=ZONE), {"safe_zone": None}, None),
        (Subject(safe_zone=ZONE), {}, Subject(safe_zone=ZONE)),
    ],
)
def test_what_is_left_out_stays_and_what_is_null_is_taken_back(before, said, after):
    play = published()
    square = play.job.families["square"].model_copy(update={"subject": before})
    play.job = play.job.model_copy(update={"families": {"square": square}})

    play.cut_again(**said)

    assert play.job.families["square"].subject == after
    assert play.cuttings[0].subject == after


@pytest.mark.parametrize(
    ("play", "sentence"),
    [
        (Play(an_admitted_job()), "square is admitted; it can be cut again when it has ended"),
        (
            Play(an_admitted_job()).hear(stage_failed()),
            "square is failed and has no pictures; there is nothing to cut again",
        ),
        (
            Play(an_admitted_job()).hear(family_published()),
            "nobody knows where the render of image 0 of square lies; ask again in a moment",
        ),
        (
            Play(an_admitted_job("square", "hero")).hear(renders_generated(), family_published()).cancel(),
            "the job was cancelled; it can be regenerated",
        ),
        (published().regenerate(), "square is waiting; it can be cut again when it has ended"),
    ],
)
def test_what_cannot_be_cut_again_says_why_and_what_to_do(play, sentence):
    with pytest.raises(NotAllowed, match=f"^{sentence}$"):
        play.cut_again(safe_zone=ZONE)


def test_one_revision_is_cut_again_so_often_and_then_made_anew():
    play = published()
    often = play.job.families["square"].model_copy(update={"derivation": MOST_DERIVATIONS})
    play.job = play.job.model_copy(update={"families": {"square": often}})

    with pytest.raises(NotAllowed, match=r"^square was cut again 100 times; regenerate the job to begin anew$"):
        play.cut_again(safe_zone=ZONE)
    assert play.regenerate().job.families["square"].derivation == 0


def test_a_family_that_ended_is_cut_again_while_others_still_run():
    play = Play(an_admitted_job("square", "hero")).hear(renders_generated(), family_published()).forget()
    play.cut_again().hear(family_published(derivation=1))

    assert masters(play.job) == [key_of(derivation=1)]
    assert statuses(play.job) == {"square": "completed", "hero": "admitted"}
    assert play.job.published == {}
    assert play.event_types == ["FAMILY_COMPLETED"]


# Answers.


def test_files_and_what_was_found_are_replaced_the_names_move_and_subscribers_hear_of_it():
    play = cut_again()
    found = Detection(detector="yunet-2023mar", faces=(ZONE,))
    before = play.job
    play.hear(
        derivatives_rendered(derivation=1),
        with_crops(family_published(derivation=1), left=7, detection=found),
    )
    image = play.job.families["square"].images[0]
    told = play.event("FAMILY_COMPLETED")

    assert masters(play.job) == [key_of(derivation=1)]
    assert (left_edges(play.job), image.detection) == ([7] * 4, found)
    assert play.job.published["square"].images == (image,)
    assert play.job.families["square"].recut is None
    assert (told["derivation"], told["publicUrl"]) == (1, f"{CDN}/{key_of(derivation=1)}")
    assert all("-d1.webp" in url for url in told["derivatives"].values())
    assert play.sequences == [before.sequence + 1]
    assert [line.what for line in play.job.history][-2:] == ["recut_asked", "recut"]


def test_the_first_cutting_is_kept_with_its_windows_and_what_was_found_and_is_told_without_a_derivation():
    found = Detection(detector="yunet-2023mar")
    play = Play(an_admitted_job()).hear(with_crops(family_published(), left=3, detection=found))
    image = play.job.families["square"].images[0]

    assert (left_edges(play.job), image.detection) == ([3] * 4, found)
    assert "derivation" not in play.event("FAMILY_COMPLETED")


@pytest.mark.parametrize("status", ["completed", "partial"])
@pytest.mark.parametrize(
    "answers",
    [
        (),
        (derivatives_rendered(derivation=1), family_published(derivation=1)),
        (stage_failed(derivation=1),),
        (derivatives_rendered(indexes=(), bad={0: FailureCode.RENDER_UNREADABLE}, derivation=1),),
    ],
)
def test_whatever_comes_of_it_status_attempt_and_price_stay(status, answers):
    play = published(images=2, bad=(1,)) if status == "partial" else published()
    before = what_never_changes(play.job)
    play.cut_again(safe_zone=ZONE).later(1).hear(*answers)

    assert play.job.status.value == status
    assert what_never_changes(play.job) == before


def test_what_fails_keeps_its_files_and_says_why():
    play = cut_again(images=2)
    before = play.job.families["square"].images
    play.hear(stage_failed(indexes=(0, 1), stage=Stage.DERIVING, code=FailureCode.RENDER_UNREADABLE, derivation=1))
    recut = play.job.families["square"].recut

    assert play.job.families["square"].images == before
    assert recut is not None
    assert (recut.is_under_way, recut.check_at) == (False, None)
    assert recut.failure is not None
    assert (recut.failure.code, recut.failure.support_id) == (FailureCode.RENDER_UNREADABLE, "support-1")
    assert play.job.next_check_at is None
    assert play.events == []
    assert play.job.history[-1].detail == "derivation 1: render_unreadable"


ERROR = {0: FailureCode.STORAGE_UNAVAILABLE}


@pytest.mark.parametrize(
    ("answers", "stage"),
    [
        (
            (derivatives_rendered(indexes=(1,), bad=ERROR, derivation=1), family_published(indexes=(1,), derivation=1)),
            Stage.DERIVING,
        ),
        (
            (family_published(indexes=(1,), derivation=1), derivatives_rendered(indexes=(1,), bad=ERROR, derivation=1)),
            Stage.DERIVING,
        ),
        ((family_published(indexes=(1,), bad=ERROR, derivation=1),), Stage.PUBLISHING),
        (
            (
                family_published(indexes=(1,), derivation=1),
                stage_failed(indexes=(0, 1), stage=Stage.PUBLISHING, derivation=1),
            ),
            Stage.PUBLISHING,
        ),
    ],
)
def test_images_that_fail_keep_their_files_while_the_others_have_new_ones_in_whatever_order_it_is_heard(answers, stage):
    play = cut_again(images=2).hear(*answers)
    recut = play.job.families["square"].recut

    assert masters(play.job) == [key_of(0), key_of(1, derivation=1)]
    assert recut is not None
    assert [(image.index, image.is_cut, image.is_owed) for image in recut.images] == [
        (0, False, False),
        (1, True, False),
    ]
    assert recut.images[0].failure is not None
    assert recut.images[0].failure.stage is stage
    assert play.event_types == ["FAMILY_COMPLETED"]
    assert play.job.next_check_at is None


def test_an_image_that_was_cut_is_never_said_to_have_failed_later():
    play = cut_again().hear(family_published(derivation=1)).forget()
    play.hear(stage_failed(derivation=1), derivatives_rendered(indexes=(), bad=ERROR, derivation=1))

    assert play.job.families["square"].recut is None
    assert play.emissions == []


def test_answers_that_come_twice_say_nothing_new():
    play = cut_again(images=2)
    for answer in (
        derivatives_rendered(indexes=(1,), bad=ERROR, derivation=1),
        family_published(indexes=(1,), derivation=1),
    ):
        play.hear(answer).later(1)

        assert saga.apply(play.job, answer, play.now, url_of) is None


@pytest.mark.parametrize("make", [derivatives_rendered, family_published, stage_failed])
@pytest.mark.parametrize(
    "other", [{"derivation": 1}, {"derivation": 3}, {"revision": 2}, {"attempt": 2}, {"derivation": None}]
)
def test_only_answers_to_the_newest_derivation_count(make, other):
    play = cut_again(times=2).later(5)

    assert saga.apply(play.job, make(**({"derivation": 2} | other)), play.now, url_of) is None


@pytest.mark.parametrize("make", [derivatives_rendered, family_published, stage_failed])
def test_an_answer_to_what_nobody_asked_for_is_ignored(make):
    assert saga.apply(published().job, make(derivation=1), NOW, url_of) is None
    assert saga.apply(an_admitted_job(), make(derivation=1), NOW, url_of) is None
    assert saga.apply(cut_again().job, make(family="hero", derivation=1), NOW, url_of) is None
    assert saga.apply(cut_again().job, make(indexes=(4,), derivation=1), NOW, url_of) is None


def test_a_request_that_comes_back_is_no_answer():
    play = cut_again()

    assert saga.apply(play.job, play.cuttings[0], NOW, url_of) is None


def test_a_new_wish_supersedes_the_one_under_way():
    play = cut_again(times=2)
    play.hear(family_published(derivation=1))
    assert masters(play.job) == [key_of()]
    assert play.events == []

    play.hear(family_published(derivation=2), family_published(derivation=1))
    assert masters(play.job) == [key_of(derivation=2)]
    assert [event["derivation"] for event in map(on_the_wire, play.events)] == [2]


def test_after_a_failure_the_same_may_be_asked_for_again():
    play = cut_again().hear(stage_failed(derivation=1)).cut_again().hear(family_published(derivation=2))

    assert masters(play.job) == [key_of(derivation=2)]
    assert play.job.families["square"].subject == Subject(safe_zone=ZONE)
    assert play.job.families["square"].recut is None


def test_only_the_family_that_was_meant_changes():
    play = published("square", "hero")
    hero = play.job.families["hero"]
    play.cut_again("square", safe_zone=ZONE).hear(family_published(derivation=1))

    assert play.job.families["hero"] == hero
    assert play.job.published["hero"].images == hero.images


# Checks.


def test_what_is_not_answered_is_asked_for_again_later_each_time_and_then_given_up():
    play = cut_again()
    waits = []
    while play.job.next_check_at is not None:
        waits.append(seconds_until(play.job.next_check_at, play.now))
        play.later(waits[-1])
        assert play.tick()
    recut = play.job.families["square"].recut

    assert waits == [STAGE_CHECK_AFTER.total_seconds() * 2**sent for sent in range(MAX_REQUESTS)]
    assert [request.message_id() for request in play.cuttings] == [play.cuttings[0].message_id()] * MAX_REQUESTS
    assert recut is not None
    assert recut.failure is not None
    assert recut.failure.code is FailureCode.WORK_LOST
    assert recut.failure.message == f"no answer after asking {MAX_REQUESTS} times; please quote {JOB_ID}"
    assert masters(play.job) == [key_of()]
    assert play.job.status is JobStatus.COMPLETED
    assert play.events == []
    assert not play.later(10**6).tick()


def test_an_answer_after_it_was_given_up_comes_too_late():
    play = cut_again()
    while play.job.next_check_at is not None:
        play.later(seconds_until(play.job.next_check_at, play.now)).tick()

    assert saga.apply(play.job, family_published(derivation=1), play.now, url_of) is None


def test_only_what_is_still_owed_is_asked_for_again():
    play = cut_again(images=2).hear(family_published(indexes=(1,), derivation=1)).forget()
    play.later(STAGE_CHECK_AFTER.total_seconds()).tick()

    assert [request.indexes() for request in play.cuttings] == [(0,)]


def test_what_the_broker_has_not_taken_yet_is_not_asked_for_again():
    play = cut_again()
    unsent = OutboxEntry(id=play.cuttings[0].message_id(), exchange="", routing_key="", body="")
    play.job = play.job.model_copy(update={"outbox": (unsent,)})
    play.forget().later(60)

    assert play.tick()
    assert play.cuttings == []
    assert play.job.next_check_at == play.now + STAGE_CHECK_AFTER
    recut = play.job.families["square"].recut
    assert recut is not None
    assert recut.requests_sent == 1


def test_nothing_is_asked_before_it_is_due():
    assert not cut_again().later(STAGE_CHECK_AFTER.total_seconds() - 1).tick()


def test_the_next_check_of_a_running_job_is_the_sooner_one():
    play = Play(an_admitted_job("square", "hero")).hear(renders_generated(), family_published())
    hero = play.job.families["hero"].check_at
    assert play.job.next_check_at == hero

    play.cut_again()

    assert play.job.next_check_at == NOW + STAGE_CHECK_AFTER


# What else people ask.


def test_cancelling_ends_what_is_under_way_and_leaves_its_pictures():
    play = Play(an_admitted_job("square", "hero")).hear(renders_generated(), family_published()).cut_again().cancel()
    recut = play.job.families["square"].recut

    assert recut is not None
    assert recut.failure is not None
    assert recut.failure.code is FailureCode.CANCELLED
    assert play.job.status is JobStatus.CANCELLED
    assert saga.apply(play.job, family_published(derivation=1), play.now, url_of) is None
    assert masters(play.job) == [key_of()]


def test_workers_hear_of_a_cancellation_when_nothing_but_a_cutting_again_is_under_way():
    play = published("square", images=2, bad=(1,)).cut_again().retry().cancel()

    assert play.job.unmarked_revision == 1


def test_regenerating_keeps_what_was_said_of_the_subject_and_forgets_the_cuttings():
    play = cut_again().regenerate()
    square = play.job.families["square"]

    assert (square.subject, square.derivation, square.recut) == (Subject(safe_zone=ZONE), 0, None)
    assert play.job.next_check_at is None
    assert saga.apply(play.job, family_published(derivation=1), play.now, url_of) is None
    assert play.job.published["square"].images[0].files[0].key == key_of()


def test_after_a_regeneration_names_follow_the_new_revision_only_once_it_has_ended():
    play = published("square").regenerate().admit()
    play.hear(renders_generated(play.job), family_published(play.job)).cut_again().forget()
    play.hear(family_published(play.job, derivation=1))

    assert play.job.published["square"].images[0].files[0].key == public_key(JOB_ID, "square", "square", 0, 2, 1)


def test_a_name_that_still_points_to_an_older_revision_stays_there():
    play = published("square", "hero").regenerate().admit()
    play.hear(renders_generated(play.job), family_published(play.job)).cut_again()
    play.hear(family_published(play.job, derivation=1))

    assert masters(play.job) == [public_key(JOB_ID, "square", "square", 0, 2, 1)]
    assert play.job.published["square"].images[0].files[0].key == key_of()


def test_what_is_asked_for_again_after_a_retry_is_still_the_same_work():
    play = published(images=2, bad=(1,)).cut_again().retry()
    play.later(STAGE_CHECK_AFTER.total_seconds()).tick()
    first, second = play.cuttings

    assert (second.attempt, second.message_id()) == (1, first.message_id())


def test_an_image_that_is_said_to_be_public_and_to_have_failed_is_public():
    play = cut_again().hear(family_published(bad=ERROR, derivation=1))

    assert masters(play.job) == [key_of(derivation=1)]
    assert play.job.families["square"].recut is None


def test_a_retry_meanwhile_does_not_disturb_it():
    play = published(images=2, bad=(1,)).cut_again(safe_zone=ZONE).retry()
    play.hear(family_published(indexes=(0,), derivation=1, attempt=1))

    assert play.job.families["square"].images[0].files[0].key == key_of(derivation=1)
    assert play.job.published["square"].images[0].files[0].key == key_of(derivation=1)
    assert play.job.status is JobStatus.QUEUED


def retried_after_it_was_cut_again() -> Play:
    play = published(images=2, bad=(1,)).cut_again(safe_zone=ZONE).hear(family_published(derivation=1))
    return play.retry().admit().forget()


def test_what_a_retry_brings_is_cut_as_was_said_since():
    play = retried_after_it_was_cut_again()
    play.hear(renders_generated(indexes=(1,), attempt=2), family_published(indexes=(1,), attempt=2))

    (request,) = play.cuttings
    assert (request.derivation, request.attempt, request.indexes()) == (2, 2, (0, 1))
    assert request.subject == Subject(safe_zone=ZONE)
    assert play.event_types == ["FAMILY_COMPLETED", "VARIATION_COMPLETED"]


def test_a_render_that_is_heard_of_after_its_pictures_is_asked_for_at_the_next_check():
    play = retried_after_it_was_cut_again().hear(family_published(indexes=(1,), attempt=2))
    assert [request.indexes() for request in play.cuttings] == [(0,)]

    play.hear(renders_generated(indexes=(1,), attempt=2)).forget()
    play.later(STAGE_CHECK_AFTER.total_seconds()).tick()

    assert [request.indexes() for request in play.cuttings] == [(0, 1)]


def test_renders_that_nobody_ever_hears_of_are_given_up_too():
    play = retried_after_it_was_cut_again()
    play.hear(family_published(indexes=(1,), attempt=2), family_published(indexes=(0,), derivation=2, attempt=2))
    play.forget()
    while play.job.next_check_at is not None:
        play.later(seconds_until(play.job.next_check_at, play.now)).tick()

    assert play.cuttings == []
    recut = play.job.families["square"].recut
    assert recut is not None
    assert recut.failure is not None
    assert recut.failure.code is FailureCode.WORK_LOST


def test_a_retry_of_what_was_never_cut_again_is_not_cut_again():
    play = published(images=2, bad=(1,)).retry().admit().hear(family_published(indexes=(1,), attempt=2))

    assert play.cuttings == []


def test_the_picture_behind_a_name_is_the_new_one():
    play = cut_again().hear(family_published(derivation=1))
    name = picture_named("square.profile", play.job.families)
    assert name is not None
    picture = picture_of(play.job, name)

    assert picture is not None
    assert picture.file.key == public_key(JOB_ID, "square", "profile", 0, 1, 1)


def test_requests_of_two_derivations_are_other_work_and_of_one_the_same():
    play = cut_again(times=2)
    first, second = play.cuttings

    assert first.message_id() != second.message_id()
    assert first.message_id() == DerivativesRequested.model_validate_json(first.model_dump_json()).message_id()


def test_a_start_of_the_model_that_comes_late_has_nothing_to_do_with_it():
    play = cut_again()

    assert saga.apply(play.job, a_family_started(at=NOW + timedelta(seconds=9)), play.now, url_of) is None
