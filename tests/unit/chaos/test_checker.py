"""The checker of the chaos run must be able to fail: each history here has one thing wrong, and it is found."""

import pytest

from chaos.checker import Finding, Kind, check, points_not_hit, repeats
from chaos.ledger import Acknowledged, Asked, Attempt, Died, Heard, Picture, Quiet, Shown, Stored
from unit.chaos.histories import (
    FAMILY,
    JOB,
    KEY,
    OTHER_JOB,
    URLS,
    a_document,
    a_history,
    a_picture,
    an_event,
    completed,
    family_completed,
    object_key,
    seen,
    shown,
    started,
    url,
)


def found(*args, **kwargs) -> list[tuple[Kind, str]]:
    return [(finding.kind, finding.job) for finding in check(a_history(*args, **kwargs))]


def test_a_run_in_which_all_went_well_has_no_findings():
    assert check(a_history()) == []


def test_an_acknowledged_job_without_a_document_is_lost():
    assert (Kind.LOST, JOB) in found(without=lambda entry: isinstance(entry, Stored))


def test_a_key_that_was_answered_with_two_jobs_is_doubled():
    second = Stored(document=a_document(_id=OTHER_JOB, status="cancelled", sequence=0))

    assert (Kind.DOUBLED, JOB) in found(plus=[Acknowledged(key=KEY, job=OTHER_JOB), second])


def test_a_second_job_that_no_client_heard_of_is_doubled():
    unheard = Stored(document=a_document(_id=OTHER_JOB))

    assert (Kind.DOUBLED, JOB) in found(plus=[unheard])


def test_a_job_that_is_still_running_is_stuck():
    assert (Kind.STUCK, JOB) in found(document=a_document(status="running"))


def test_a_message_that_was_never_sent_is_stuck():
    assert (Kind.STUCK, JOB) in found(document=a_document(outbox=[{"id": "1"}]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (seen("running"), seen("queued")),
        (seen("completed"), seen("running")),
        (seen("completed"), seen("failed")),
        (seen("cancelled"), seen("completed")),
        (seen("queued", revision=2), seen("completed", revision=1)),
        (seen("running", attempt=2), seen("running", attempt=1)),
        (seen("running", family="publishing"), seen("running", family="generating")),
        (seen("running"), seen("answer 404")),
    ],
)
def test_a_status_that_a_client_saw_go_back_is_found(before, after):
    history = a_history(without=lambda entry: type(entry) is type(before), plus=[before, after])

    assert [finding.kind for finding in check(history)] == [Kind.BACKWARDS]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (seen("completed"), seen("queued", revision=2)),
        (seen("failed"), seen("running", attempt=2)),
        (seen("queued"), seen("cancelled")),
        (seen("running", family="generating"), seen("running", family="deriving")),
    ],
)
def test_what_was_asked_for_again_may_start_again(before, after):
    assert check(a_history(without=lambda entry: type(entry) is type(before), plus=[before, after])) == []


def test_a_revision_that_nobody_asked_for_is_doubled():
    document = a_document(revision=2)

    assert (Kind.DOUBLED, JOB) in found(document=document)
    assert (Kind.DOUBLED, JOB) not in found(document=document, plus=[Asked(job=JOB, verb="regenerate", answer="202")])


def test_an_attempt_that_nobody_asked_for_is_doubled():
    document = a_document()
    document["families"][FAMILY]["attempt"] = 2

    assert found(document=document) == [(Kind.DOUBLED, JOB)]
    assert found(document=document, plus=[Asked(job=JOB, verb="retry", answer="202")]) == []


def test_an_event_that_nobody_heard_is_lost():
    assert (Kind.LOST, JOB) in found(without=lambda entry: isinstance(entry, Heard) and entry.sequence == 2)


def test_one_id_with_two_meanings_is_a_contradiction():
    other = an_event(2, "FAMILY_COMPLETED", familyName=FAMILY, publicUrl=URLS[FAMILY])
    changed = Heard(id=other.id, type=other.type, job=JOB, sequence=2, digest="another", data=other.data)

    assert (Kind.CONTRADICTION, JOB) in found(plus=[changed])


def test_an_event_that_no_document_numbered_is_a_contradiction():
    beyond_the_last = an_event(4, "VARIATION_COMPLETED", publicUrls={FAMILY: URLS})
    with_a_foreign_id = Heard(
        id="x", type="FAMILY_COMPLETED", job=JOB, sequence=2, digest="d", data=family_completed().data
    )

    assert (Kind.CONTRADICTION, JOB) in found(plus=[beyond_the_last])
    assert (Kind.CONTRADICTION, JOB) in found(plus=[with_a_foreign_id])


@pytest.mark.parametrize("again", [started(), family_completed(), completed()])
def test_a_fact_that_was_told_as_two_events_is_doubled(again):
    second = an_event(4, again.type, **again.data)
    last = an_event(5, "VARIATION_COMPLETED", publicUrls={FAMILY: URLS}, revision=2)

    assert (Kind.DOUBLED, JOB) in found(document=a_document(sequence=5), plus=[second, last])


def test_a_last_event_that_says_another_end_is_a_contradiction():
    failed = an_event(3, "VARIATION_FAILED", errorMessage="x", errors={})

    assert (Kind.CONTRADICTION, JOB) in found(without=lambda entry: entry == completed(), plus=[failed])


def test_a_last_event_with_other_pictures_is_a_contradiction():
    fewer = {name: address for name, address in URLS.items() if name != "linkedin"}
    said = an_event(3, "VARIATION_COMPLETED", publicUrls={FAMILY: fewer})

    assert found(without=lambda entry: entry == completed(), plus=[said]) == [(Kind.CONTRADICTION, JOB)]


def test_a_url_that_leads_to_nothing_is_found():
    assert (Kind.PICTURE, JOB) in found(without=lambda entry: isinstance(entry, Picture) and "linkedin" in entry.key)


@pytest.mark.parametrize("broken", [a_picture("linkedin", width=1), a_picture("linkedin", error="OSError: truncated")])
def test_a_picture_that_does_not_decode_to_its_exact_size_is_found(broken):
    assert (Kind.PICTURE, JOB) in found(plus=[broken])


def test_a_url_of_another_jobs_object_is_found():
    foreign = {"family": FAMILY, "name": FAMILY, "url": url(FAMILY, OTHER_JOB)}
    there = Picture(key=object_key(FAMILY, OTHER_JOB), width=1200, height=628)

    assert (Kind.PICTURE, JOB) in found(plus=[shown(pictures=[*shown().pictures, foreign]), there])


def test_a_completed_job_that_shows_a_picture_too_few_has_lost_it():
    fewer = shown(pictures=[each for each in shown().pictures if each["name"] != "linkedin"])

    assert found(without=lambda entry: isinstance(entry, Shown), plus=[fewer]) == [(Kind.LOST, JOB)]


def test_an_answer_that_contradicts_the_document_is_found():
    assert (Kind.CONTRADICTION, JOB) in found(plus=[shown(status="running")])


def test_an_image_that_is_there_twice_is_doubled():
    document = a_document()
    document["families"][FAMILY]["images"] *= 2

    assert (Kind.DOUBLED, JOB) in found(document=document)


def test_a_file_that_is_there_twice_is_doubled():
    document = a_document()
    document["families"][FAMILY]["images"][0]["files"] *= 2

    assert (Kind.DOUBLED, JOB) in found(document=document)


def test_a_job_that_failed_because_processes_died_is_found_even_if_a_retry_mended_it():
    failed = an_event(2, "VARIATION_FAILED", errorMessage="x", errors={FAMILY: "x"})

    assert (Kind.FAILED, JOB) in found(plus=[failed], without=lambda entry: entry == family_completed())


def test_a_job_that_nobody_cancelled_and_is_cancelled_is_found():
    document = a_document(status="cancelled")

    assert (Kind.FAILED, JOB) in found(document=document)
    assert (Kind.FAILED, JOB) not in found(document=document, plus=[Asked(job=JOB, verb="cancel", answer="200")])


@pytest.mark.parametrize("answer", ["400", "404", "422", "500"])
def test_a_client_that_was_refused_is_found(answer):
    assert Kind.REFUSED in [kind for kind, _ in found(plus=[Attempt(key=KEY, gateway=0, answer=answer)])]
    assert Kind.REFUSED in [kind for kind, _ in found(plus=[Asked(job=JOB, verb="cancel", answer=answer)])]


@pytest.mark.parametrize("answer", ["202", "503", "429", "ConnectError"])
def test_a_client_that_was_told_to_come_again_is_no_finding(answer):
    assert found(plus=[Attempt(key=KEY, gateway=0, answer=answer)]) == []


def test_a_process_that_ended_by_itself_is_found():
    death = Died(process="deriver-1", service="deriver", pid=1, cause="unexpected", status=1)

    assert found(plus=[death]) == [(Kind.RUN, "")]


@pytest.mark.parametrize(("status", "findings"), [(0, []), (-15, []), (1, [(Kind.RUN, "")]), (-9, [(Kind.RUN, "")])])
def test_a_process_that_did_not_stop_politely_is_found(status, findings):
    stopped = Died(process="deriver-1", service="deriver", pid=1, cause="stopped", status=status)

    assert found(plus=[stopped]) == findings


def test_a_run_that_came_to_no_rest_proves_nothing():
    late = Quiet(in_time=False, seconds=180.0)

    assert found(without=lambda entry: isinstance(entry, Quiet), plus=[late]) == [(Kind.RUN, "")]


def test_a_run_in_which_no_event_came_twice_does_not_bite():
    once = a_history(without=lambda entry: entry == started(), plus=[started()])

    assert repeats(a_history()) == 1
    assert repeats(once) == 0
    assert [finding.kind for finding in check(once)] == [Kind.RUN]


def test_a_point_at_which_nobody_died_is_told():
    pairs = [("deriver", "deriver.file_stored"), ("deriver", "blobs.before_link")]
    death = Died(process="deriver-1", service="deriver", pid=1, cause="planned", status=-9, point="deriver.file_stored")

    assert points_not_hit(pairs, a_history(plus=[death])) == [("deriver", "blobs.before_link")]


def test_findings_name_job_and_reason():
    [finding] = check(a_history(document=a_document(outbox=[{"id": "1"}])))

    assert finding == Finding(Kind.STUCK, JOB, "1 messages wait in its outbox")
