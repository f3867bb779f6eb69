"""What each piece of news makes of a task: a table, and what it promises for every order of events."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import ImageError
from imagetron_generator.domain.orders import TaskNews, TaskPhase, TaskRules
from imagetron_generator.domain.provider_tasks import AFTER, Lease, ProviderTask, TaskState, intended, task_reference
from support.builders import NOW
from unit.generator.tasks.task_bench import an_external_request

RULES = TaskRules(first_look_seconds=2, longest_pause_seconds=10)
FINDING, CALLING_BACK = replace(RULES, can_find=True), replace(RULES, calls_back=True)
S, P = TaskState, TaskPhase

TABLE = {
    (S.INTENDED, P.WAITING): S.SUBMITTED,
    (S.INTENDED, P.PROCESSING): S.PROCESSING,
    (S.INTENDED, P.SUCCEEDED): S.SUCCEEDED,
    (S.INTENDED, P.FAILED): S.FAILED,
    (S.INTENDED, P.CANCELLED): S.FAILED,
    (S.SUBMITTED, P.WAITING): S.SUBMITTED,
    (S.SUBMITTED, P.PROCESSING): S.PROCESSING,
    (S.SUBMITTED, P.SUCCEEDED): S.SUCCEEDED,
    (S.SUBMITTED, P.FAILED): S.FAILED,
    (S.SUBMITTED, P.CANCELLED): S.FAILED,
    (S.PROCESSING, P.WAITING): S.PROCESSING,
    (S.PROCESSING, P.PROCESSING): S.PROCESSING,
    (S.PROCESSING, P.SUCCEEDED): S.SUCCEEDED,
    (S.PROCESSING, P.FAILED): S.FAILED,
    (S.PROCESSING, P.CANCELLED): S.FAILED,
    **{(state, phase): state for state in (S.SUCCEEDED, S.FAILED) for phase in P},
    **{(state, phase): state for state in (S.COLLECTED, S.GIVEN_UP, S.CANCELLED) for phase in P},
}


def a_task(**changes):
    (task,) = intended(an_external_request(0, 1), "memory", (0, 1), 4, NOW)
    return replace(task, **changes)


def handed_in(**changes):
    return a_task().claimed_to_submit("w", 90, NOW, RULES).accepted(TaskNews(P.WAITING, "t-1"), NOW, RULES)


def in_state(state):
    return a_task(state=state, provider_task_id="t-1", progress=0.5, submissions=1)


def news(phase, progress=None, **changes):
    return TaskNews(phase, changes.pop("task_id", "t-1"), progress, **changes)


@pytest.mark.parametrize(("state", "phase"), [(state, phase) for state in S for phase in P])
def test_every_piece_of_news_is_decided_for_every_state(state, phase):
    before = in_state(state)

    after = before.heard(news(phase), NOW, RULES)

    assert AFTER[state][phase] is TABLE[state, phase]
    assert (after or before).state is TABLE[state, phase]
    if TABLE[state, phase] is state:
        assert after is None


def test_progress_only_rises():
    at_half = in_state(S.PROCESSING)

    assert at_half.heard(news(P.PROCESSING, 0.3), NOW, RULES) is None
    assert at_half.heard(news(P.WAITING, 0.3), NOW, RULES) is None
    assert at_half.heard(news(P.PROCESSING, 0.7), NOW, RULES).progress == 0.7
    assert at_half.heard(news(P.PROCESSING, 7.0), NOW, RULES).progress == 1.0


def test_news_of_another_task_of_the_provider_changes_nothing():
    assert in_state(S.SUBMITTED).heard(news(P.FAILED, task_id="t-2"), NOW, RULES) is None


def test_a_task_that_the_provider_cancelled_unasked_may_be_asked_for_again():
    task = in_state(S.PROCESSING).heard(news(P.CANCELLED, code=FailureCode.CANCELLED), NOW, RULES)

    assert (task.code, task.message) == (FailureCode.MODEL_UNAVAILABLE, "the provider memory cancelled the task")


def test_a_failure_keeps_its_code_and_sentence_or_gets_ones_of_ours():
    told = in_state(S.PROCESSING).heard(news(P.FAILED, code=FailureCode.CONTENT_FILTERED, message="no"), NOW, RULES)
    untold = in_state(S.PROCESSING).heard(news(P.FAILED), NOW, RULES)

    assert (told.code, told.message) == (FailureCode.CONTENT_FILTERED, "no")
    assert (untold.code, untold.message) == (
        FailureCode.MODEL_UNAVAILABLE,
        "the provider memory says that the task failed",
    )


EVENTS = [news(P.WAITING), news(P.PROCESSING, 0.2), news(P.PROCESSING, 0.6), news(P.PROCESSING, 0.9)]
ENDS = {
    S.SUCCEEDED: news(P.SUCCEEDED, answer_digest="d"),
    S.FAILED: news(P.FAILED, code=FailureCode.CONTENT_FILTERED),
}


def end_of(events, start):
    task = start
    for number, event in enumerate(events):
        task = task.heard(event, NOW + timedelta(seconds=number), RULES) or task
    return task


@pytest.mark.parametrize(("state", "last"), ENDS.items())
@pytest.mark.parametrize("start", [a_task().claimed_to_submit("w", 90, NOW, RULES), handed_in()])
def test_callbacks_end_the_same_in_every_order(state, last, start):
    ends = {
        (task.state, task.code, task.provider_task_id, task.answer_digest)
        for order in permutations([*EVENTS, last])
        for task in [end_of(order, start)]
    }

    assert ends == {(state, last.code, "t-1", last.answer_digest)}


@given(
    events=st.lists(st.sampled_from([*EVENTS, *ENDS.values(), news(P.CANCELLED)]), max_size=12),
    state=st.sampled_from(list(S)),
)
def test_nothing_goes_backwards_whatever_comes_and_however_often(events, state):
    ranks = [S.INTENDED, S.SUBMITTED, S.PROCESSING, S.SUCCEEDED, S.COLLECTED]
    task = in_state(state)
    for event in [copy for one in events for copy in (one, one)]:
        after = task.heard(event, NOW, RULES) or task
        assert after.progress >= task.progress
        if task.state not in {S.INTENDED, S.SUBMITTED, S.PROCESSING}:
            assert after is task
        elif after.state in ranks:
            assert ranks.index(after.state) >= ranks.index(task.state)
        task = after


def test_equal_work_has_equal_references_and_other_work_others():
    request = an_external_request(0, 1)
    others = [
        task_reference(request, "memory", 1),
        task_reference(request, "other", 0),
        task_reference(an_external_request(0, attempt=2), "memory", 0),
        task_reference(an_external_request(0, family="landscape"), "memory", 0),
    ]

    assert task_reference(request, "memory", 0) == task_reference(an_external_request(0, 1, 2), "memory", 0)
    assert len({task_reference(request, "memory", 0), *others}) == 5
    assert len(task_reference(request, "memory", 0)) == 32


def test_a_family_is_split_into_tasks_of_as_many_images_as_the_provider_makes():
    tasks = intended(an_external_request(0, 1, 2, 3, 4), "memory", (0, 1, 2, 3, 4), 2, NOW)

    assert [task.request.image_indexes for task in tasks] == [(0, 1), (2, 3), (4,)]
    assert len({task.reference for task in tasks}) == 3


def test_a_submission_is_counted_and_its_deadline_runs_before_the_provider_hears_of_it():
    claimed = a_task().claimed_to_submit("w", 90, NOW, RULES)

    assert (claimed.submissions, claimed.fence, claimed.lease) == (1, 1, Lease("w", 90))
    assert claimed.patience_seconds == 60
    assert claimed.deadline_at == NOW + timedelta(seconds=60)


def test_a_provider_that_calls_back_has_twice_the_budget_because_it_queues():
    assert a_task().claimed_to_submit("w", 90, NOW, CALLING_BACK).patience_seconds == 120
    assert a_task().patience_seconds == float("inf")


def test_looks_grow_rarer_up_to_the_longest_pause_and_the_last_one_is_at_the_deadline():
    task = handed_in()
    pauses = []
    for _ in range(5):
        task = task.put_off(NOW, RULES)
        pauses.append(task.pause_seconds)

    assert pauses == [3, 4.5, 6.75, 10, 10]
    assert task.put_off(NOW + timedelta(seconds=55), RULES).next_check_at == NOW + timedelta(seconds=60)
    assert task.put_off(NOW + timedelta(seconds=61), RULES).next_check_at == NOW + timedelta(seconds=71)


def test_a_provider_may_ask_to_be_left_alone_for_longer_but_not_for_ever():
    task = replace(handed_in(), deadline_at=None)

    assert task.put_off(NOW, RULES, at_least_seconds=40).next_check_at == NOW + timedelta(seconds=40)
    assert task.put_off(NOW, RULES, at_least_seconds=1e9).next_check_at == NOW + timedelta(hours=1)


def test_the_first_look_waits_as_long_as_the_provider_asks():
    claimed = a_task().claimed_to_submit("w", 90, NOW, RULES)

    first = claimed.accepted(news(P.WAITING, look_again_seconds=9), NOW, RULES)

    assert first.next_check_at == NOW + timedelta(seconds=9)
    assert claimed.accepted(news(P.WAITING), NOW, RULES).next_check_at == NOW + timedelta(seconds=2)


def test_the_answer_to_a_submission_changes_nothing_that_a_quicker_callback_said():
    claimed = a_task().claimed_to_submit("w", 90, NOW, RULES)
    called_back = claimed.heard(news(P.SUCCEEDED), NOW, RULES)

    answered = called_back.accepted(news(P.WAITING), NOW, RULES)

    assert (answered.state, answered.lease, answered.provider_task_id) == (S.SUCCEEDED, None, "t-1")


@pytest.mark.parametrize(("rules", "seconds"), [(FINDING, 2), (RULES, 60)])
def test_a_lost_answer_waits_for_the_callback_or_only_a_moment_where_the_task_can_be_found(rules, seconds):
    doubted = a_task().claimed_to_submit("w", 90, NOW, rules).doubted(NOW, rules)

    assert (doubted.state, doubted.is_doubted, doubted.lease) == (S.INTENDED, True, None)
    assert doubted.next_check_at == NOW + timedelta(seconds=seconds)


def test_what_a_callback_has_shown_is_neither_in_doubt_nor_refused_nor_untaken():
    shown = a_task().claimed_to_submit("w", 90, NOW, RULES).heard(news(P.PROCESSING, 0.1), NOW, RULES)

    for after in (
        shown.doubted(NOW, RULES),
        shown.not_taken(NOW, 5, spends_a_try=True),
        shown.refused(FailureCode.MODEL_REFUSED, "no", NOW),
    ):
        assert (after.state, after.submissions, after.lease) == (S.PROCESSING, 1, None)


def test_a_submission_without_effect_is_not_counted_and_a_doubted_one_before_it_stays_waited_for():
    first = a_task().claimed_to_submit("w", 90, NOW, RULES)
    second = replace(first, submissions=2)

    untaken = first.not_taken(NOW, 5, spends_a_try=True)
    assert (untaken.submissions, untaken.tries, untaken.is_doubted) == (0, 2, False)
    assert untaken.next_check_at == NOW + timedelta(seconds=5)
    assert second.not_taken(NOW, 5, spends_a_try=False).tries == 1
    assert second.not_taken(NOW, 5, spends_a_try=False).is_doubted


def test_a_refusal_is_the_end_and_costs_nothing():
    refused = a_task().claimed_to_submit("w", 90, NOW, RULES).refused(FailureCode.MODEL_REFUSED, "no", NOW)

    assert (refused.state, refused.submissions, refused.lease) == (S.FAILED, 0, None)
    assert (refused.code, refused.message) == (FailureCode.MODEL_REFUSED, "no")


def test_pictures_that_are_made_are_fetched_until_the_deadline_and_two_minutes_at_least():
    made = handed_in().heard(news(P.SUCCEEDED), NOW + timedelta(seconds=59), RULES)

    assert made.may_still_fetch(NOW + timedelta(seconds=178))
    assert not made.may_still_fetch(NOW + timedelta(seconds=180))
    assert not a_task().may_still_fetch(NOW)


def test_an_end_leaves_nothing_to_look_after():
    for ended in (handed_in().given_up(NOW), handed_in().cancelled(NOW)):
        assert (ended.next_check_at, ended.lease, ended.state.is_ended) == (None, None, True)


def test_errors_of_single_images_are_kept_while_others_are_fetched():
    lost = ImageError(index=1, code=FailureCode.CONTENT_FILTERED, message="no")

    assert handed_in().with_errors([lost], NOW).errors == (lost,)


def test_every_change_raises_the_version():
    task: ProviderTask = a_task()
    changed = task.claimed("w", 1, NOW)

    assert (changed.version, changed.updated_at) == (task.version + 1, NOW)
    assert changed.released(NOW).version == task.version + 2
    assert changed.hastened(NOW).next_check_at == NOW


def test_the_support_id_begins_the_reference():
    assert a_task().reference.startswith(a_task().support_id)
