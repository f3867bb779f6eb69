"""Tasks under way are looked after: the net under callbacks, lost answers, dead workers and wrong clocks."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from imagetron_chassis.errors import Transient
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import JobCancelled, RendersGenerated, StageFailed
from imagetron_generator.adapters.memory_provider import Lost
from imagetron_generator.adapters.provider_tasks import PROVIDER_TASKS
from imagetron_generator.domain.orders import TaskNews, TaskPhase
from imagetron_generator.domain.provider_tasks import TaskState, intended
from imagetron_generator.ports import (
    ModelFailed,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderMisconfigured,
)
from imagetron_generator.usecases.tasks.attending import attend, sweep
from imagetron_generator.usecases.tasks.cancelling import hasten_cancelled
from imagetron_generator.usecases.tasks.desk import Overtaken
from imagetron_generator.usecases.tasks.watch import Watch
from support.eventually import eventually
from unit.generator.bench import JOB
from unit.generator.tasks.task_bench import FOUR_AT_ONCE, PROVIDER, TaskBench, an_external_request


async def test_a_provider_that_is_asked_is_asked_until_it_has_finished(bench):
    await bench.ask(0, 1)

    assert await bench.sweep() == 0
    await bench.live(10)

    assert bench.provider.looked == ["task-1"] * 2
    assert (await bench.task()).state is TaskState.COLLECTED
    assert await bench.sweep() == 0


async def test_looks_that_bring_nothing_grow_rarer(quiet):
    await quiet.ask(0)

    await quiet.live(100)

    # After 15, 37.5 and 71.25 s; the next one would be at the deadline.
    assert len(quiet.provider.looked) == 3


async def test_a_provider_that_asks_for_more_time_gets_it(bench):
    bench.provider.next_looks = [TaskNews(TaskPhase.PROCESSING, progress=0.1, look_again_seconds=20)]
    await bench.ask(0)
    await bench.live(20)
    assert len(bench.provider.looked) == 1

    await bench.live(10)

    assert len(bench.provider.looked) > 1


async def test_looks_that_fail_never_fail_the_task_before_its_deadline(bench):
    bench.provider.next_looks = [
        ModelUnavailable("away"),
        ModelTimedOut("slow"),
        ModelFailed("odd"),
        ProviderBusy("no"),
    ]

    await bench.ask(0)
    await bench.live(40)

    assert [type(message) for message in bench.results().values()] == [RendersGenerated]


async def test_a_look_that_nothing_will_mend_ends_the_task(bench):
    bench.provider.next_looks = [ProviderMisconfigured("the key is wrong")]

    await bench.ask(0)
    await bench.live(5)

    (failed,) = bench.heard(StageFailed)
    assert (failed.code, failed.message) == (FailureCode.MODEL_UNAVAILABLE, "the key is wrong")


async def test_a_busy_provider_says_when_to_come_back(bench):
    bench.provider.next_looks = [ProviderBusy("slow down", retry_after_seconds=20)]
    await bench.ask(0)

    await bench.live(20)
    assert len(bench.provider.looked) == 1
    await bench.live(5)

    assert len(bench.provider.looked) > 1


async def test_what_the_provider_calls_a_failure_is_told_with_its_code(quiet):
    await quiet.ask(0, 1)
    quiet.provider.fail("task-1", FailureCode.CONTENT_FILTERED)
    await quiet.live(20)

    (failed,) = quiet.heard(StageFailed)
    assert (failed.code, failed.image_indexes) == (FailureCode.CONTENT_FILTERED, (0, 1))
    assert failed.message == "the provider memory says that the task failed"


async def test_a_task_that_does_not_finish_in_time_fails_and_the_provider_is_asked_to_stop():
    bench = TaskBench(rules=FOUR_AT_ONCE, looks=None)
    await bench.has_spec()
    await bench.ask(0)

    await bench.live(58)
    assert bench.results() == {}
    await bench.live(20)

    (failed,) = bench.heard(StageFailed)
    assert failed.code is FailureCode.DEADLINE_EXCEEDED
    assert failed.message == "the provider memory did not finish within 60 s"
    assert bench.provider.cancelled == ["task-1"]


async def test_a_provider_that_never_calls_back_is_asked_and_has_twice_the_time(quiet):
    await quiet.ask(0)
    await quiet.live(100)
    assert quiet.results() == {}
    quiet.provider.finish("task-1")

    await quiet.live(30)

    assert [type(message) for message in quiet.results().values()] == [RendersGenerated]


async def test_a_task_that_finished_at_the_last_moment_is_not_given_up():
    bench = TaskBench(rules=FOUR_AT_ONCE, looks=None)
    await bench.has_spec()
    await bench.ask(0)
    await bench.live(50)
    bench.provider.finish("task-1")

    bench.passes(60)
    await bench.sweep()

    assert [type(message) for message in bench.results().values()] == [RendersGenerated]


async def test_a_provider_that_cannot_be_asked_at_the_deadline_has_had_its_time(bench):
    bench.provider.next_looks = [ModelUnavailable("away")] * 100
    bench.provider.next_cancels = [ModelUnavailable("away")]

    await bench.ask(0)
    await bench.live(80)

    assert [failed.code for failed in bench.heard(StageFailed)] == [FailureCode.DEADLINE_EXCEEDED]


async def test_a_late_success_after_the_deadline_changes_nothing(quiet):
    await quiet.ask(0)
    await quiet.live(150)
    ended = await quiet.task()

    await quiet.calls_back(quiet.provider.finish("task-1"), reference=ended.reference)
    await quiet.live(5)

    assert await quiet.task() == ended
    assert [failed.code for failed in quiet.heard(StageFailed)] == [FailureCode.DEADLINE_EXCEEDED]
    assert quiet.heard(RendersGenerated) == []


async def test_an_end_that_cannot_be_told_is_told_later(bench):
    await bench.ask(0)
    bench.announce_errors = [Transient("away")] * 8

    await bench.live(60)

    assert len(bench.heard(RendersGenerated)) == 1


async def test_a_failure_that_cannot_be_told_is_told_later(quiet):
    await quiet.ask(0)
    quiet.provider.fail("task-1")
    quiet.announce_errors = [Transient("away")]

    await quiet.live(60)

    assert len(quiet.heard(StageFailed)) == 1


# Lost answers.


async def test_a_task_whose_answer_was_lost_is_found_again_and_not_paid_for_twice(finding):
    finding.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    await finding.ask(0)

    await finding.live(15)

    assert len(finding.provider.submissions) == 1
    assert [type(message) for message in finding.results().values()] == [RendersGenerated]


async def test_a_task_that_cannot_be_found_was_not_taken_and_is_handed_in_again(finding):
    finding.provider.next_submits = [ModelTimedOut("no answer")]
    await finding.ask(0)

    await finding.live(15)

    assert len(finding.provider.submissions) == 1
    assert (await finding.task()).submissions == 2
    assert len(finding.results()) == 1


async def test_a_search_that_fails_is_made_again_and_nothing_is_paid_meanwhile(finding):
    finding.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    finding.provider.next_finds = [ModelUnavailable("away")] * 3
    await finding.ask(0)

    await finding.live(25)

    assert len(finding.provider.submissions) == 1
    assert len(finding.results()) == 1


async def test_a_search_that_fails_beyond_the_deadline_loses_the_task_and_pays_no_more(finding):
    finding.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    finding.provider.next_finds = [ModelUnavailable("away")] * 100
    await finding.ask(0)

    await finding.live(90)

    assert [failed.code for failed in finding.heard(StageFailed)] == [FailureCode.WORK_LOST]
    assert len(finding.provider.submissions) == 1


async def test_where_tasks_cannot_be_found_one_callback_window_is_waited_and_then_paid_once_more(bench):
    bench.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    await bench.ask(0)

    await bench.live(59)
    assert len(bench.provider.submissions) == 1
    await bench.live(15)

    assert len(bench.provider.submissions) == 2
    assert len(bench.results()) == 1


async def test_a_second_lost_answer_is_the_last(bench):
    bench.provider.next_submits = [Lost(ModelTimedOut("no answer"))] * 5
    await bench.ask(0)

    await bench.live(600, step_seconds=2)

    task = await bench.task()
    (failed,) = bench.heard(StageFailed)
    assert len(bench.provider.submissions) == 2
    assert failed.code is FailureCode.WORK_LOST
    assert failed.message == f"the task was handed in 2 times, and no answer came; please quote {task.support_id}"


async def test_a_provider_that_may_be_paid_once_only_is_paid_once():
    bench = TaskBench(rules=replace(FOUR_AT_ONCE, max_submissions=1))
    await bench.has_spec()
    bench.provider.next_submits = [Lost(ModelTimedOut("no answer"))] * 5
    await bench.ask(0)

    await bench.live(100)

    assert len(bench.provider.submissions) == 1
    assert [failed.code for failed in bench.heard(StageFailed)] == [FailureCode.WORK_LOST]


async def test_a_doubt_that_was_waited_for_is_not_waited_for_again_when_the_provider_was_away(bench):
    bench.provider.next_submits = [Lost(ModelTimedOut("no answer")), ModelUnavailable("away")]
    await bench.ask(0)

    await bench.live(75)

    assert len(bench.provider.submissions) == 2


# Dead workers and wrong clocks.


async def died_while_handing_in(bench):
    """The provider has the task; nobody knows under which id."""
    bench.provider.hold_answers()
    handing_in = asyncio.create_task(bench.ask(0))
    await eventually(lambda: bench.provider.submissions, every_seconds=0)
    # No process that dies has time to say so.
    handing_in.cancel()
    await asyncio.gather(handing_in, return_exceptions=True)
    bench.provider.release_answers()


async def test_a_claim_is_left_alone_for_as_long_as_its_worker_may_live(bench):
    await died_while_handing_in(bench)
    other = bench.desk("other")

    await bench.live(50, other)

    assert (await bench.task()).fence == 1
    await bench.live(100, other)
    assert len(bench.provider.submissions) == 2
    assert len(bench.results()) == 1


async def test_a_task_of_a_dead_worker_is_found_again(finding):
    await died_while_handing_in(finding)

    await finding.live(110, finding.desk("other"))

    assert len(finding.provider.submissions) == 1
    assert len(finding.results()) == 1


async def test_the_same_request_again_leaves_a_claimed_task_to_the_sweep(bench):
    await died_while_handing_in(bench)

    assert await bench.ask(0, desk=bench.desk("other")) == []

    assert len(bench.provider.submissions) == 1


@pytest.mark.parametrize("minutes", [10, 3, -10])
async def test_a_worker_whose_clock_is_off_takes_over_no_claim_of_a_living_worker(bench, minutes):
    await died_while_handing_in(bench)

    await bench.live(50, bench.desk("skewed", ahead_seconds=minutes * 60))

    assert (await bench.task()).fence == 1
    assert len(bench.provider.submissions) == 1


@pytest.mark.parametrize("minutes", [9, 3, -10])
async def test_a_worker_whose_clock_is_off_ends_no_task_before_its_time(quiet, minutes):
    await quiet.ask(0)

    await quiet.live(100, quiet.desk("skewed", ahead_seconds=minutes * 60))

    assert quiet.results() == {}
    assert quiet.provider.cancelled == []


async def test_a_deadline_that_is_long_past_is_past_for_a_worker_that_has_just_begun(quiet):
    await quiet.ask(0)
    quiet.passes(120 + 599)
    await quiet.sweep(quiet.desk("new"))
    assert quiet.results() == {}

    quiet.passes(200)
    await quiet.sweep(quiet.desk("newer"))

    assert [failed.code for failed in quiet.heard(StageFailed)] == [FailureCode.DEADLINE_EXCEEDED]


async def test_a_worker_that_was_overtaken_changes_nothing_any_more(bench):
    await bench.ask(0)
    bench.passes(2)
    (due,) = await bench.tasks.due(PROVIDER, bench.clock.now(), limit=1)
    look = bench.provider.look

    async def overtaken_meanwhile(task_id):
        latest = await bench.task()
        await bench.tasks.replace(latest.claimed("other", 90, bench.clock.now()), if_version=latest.version)
        return await look(task_id)

    bench.provider.look = overtaken_meanwhile
    await attend(due, desk=bench.worker)

    task = await bench.task()
    assert (task.lease.owner, task.state) == ("other", TaskState.SUBMITTED)


async def test_a_worker_that_fails_after_it_was_overtaken_changes_nothing_either(bench):
    await bench.ask(0)
    bench.passes(2)
    (due,) = await bench.tasks.due(PROVIDER, bench.clock.now(), limit=1)

    async def overtaken_meanwhile(task_id):
        latest = await bench.task()
        await bench.tasks.replace(latest.claimed("other", 90, bench.clock.now()), if_version=latest.version)
        raise ModelUnavailable("away")

    bench.provider.look = overtaken_meanwhile
    await attend(due, desk=bench.worker)

    assert (await bench.task()).lease.owner == "other"


async def test_a_task_that_somebody_else_took_a_moment_ago_is_left_to_him(bench):
    await bench.ask(0)
    bench.passes(2)
    (due,) = await bench.tasks.due(PROVIDER, bench.clock.now(), limit=1)
    await bench.tasks.replace(due.claimed("other", 90, bench.clock.now()), if_version=due.version)

    await attend(due, desk=bench.worker)

    assert bench.provider.looked == []


async def test_an_order_that_somebody_else_took_a_moment_ago_is_left_to_him(bench):
    (task,) = intended(an_external_request(0), PROVIDER, (0,), 4, bench.clock.now())
    await bench.tasks.add(replace(task, version=2))

    await attend(task, desk=bench.worker)

    assert bench.provider.submissions == []


async def test_a_stopping_worker_lets_go_of_what_it_has_in_hand(bench):
    await bench.ask(0)
    bench.passes(2)
    asked = asyncio.Event()

    async def never(_):
        asked.set()
        await asyncio.Event().wait()

    look, bench.provider.look = bench.provider.look, never
    sweeping = asyncio.create_task(bench.sweep())
    await asked.wait()
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    bench.provider.look = look

    assert (await bench.task()).lease is None
    await bench.live(10, bench.desk("next"))
    assert len(bench.results()) == 1


# Many tasks.


async def test_one_task_that_breaks_keeps_no_other_waiting(bench):
    for attempt in (1, 2, 3):
        await bench.ask(0, attempt=attempt)
    look = bench.provider.look

    async def breaks(task_id):
        if task_id == "task-2":
            raise RuntimeError("a bug")
        return await look(task_id)

    bench.provider.look = breaks
    bench.passes(2)
    with pytest.raises(RuntimeError):
        await bench.sweep()
    for _ in range(5):
        bench.passes(3)
        await bench.sweep()

    assert {message.attempt for message in bench.results().values()} == {1, 3}


async def test_a_sweep_takes_a_bounded_batch_and_the_longest_overdue_first(bench):
    for attempt in range(1, 41):
        await bench.ask(0, attempt=attempt)
        bench.passes(0.01)
    bench.passes(2)

    first = await bench.sweep()
    second = await bench.sweep()

    assert (first, second) == (32, 8)
    looked = [int(task.removeprefix("task-")) for task in bench.provider.looked]
    assert max(looked[:32]) < min(looked[32:])


async def test_tasks_of_other_providers_are_left_to_their_own_sweep(bench):
    await bench.ask(0)
    bench.passes(5)

    assert await sweep("another", desk=bench.worker) == 0


async def test_a_store_that_is_locked_for_a_moment_does_not_cost_a_task_its_id(bench):
    failures = 1
    replaced = bench.tasks.replace

    async def locked(task, *, if_version):
        nonlocal failures
        if bench.provider.submissions and failures:
            failures -= 1
            raise Transient("the store is locked")
        return await replaced(task, if_version=if_version)

    bench.tasks.replace = locked
    await bench.ask(0)

    assert (await bench.task()).provider_task_id == "task-1"


async def test_a_store_that_stays_away_is_an_error_and_the_task_is_found_by_its_callback(quiet):
    replaced = quiet.tasks.replace
    is_away = False

    async def away(task, *, if_version):
        if quiet.provider.submissions and is_away:
            raise Transient("the store is away")
        return await replaced(task, if_version=if_version)

    quiet.tasks.replace, is_away = away, True
    with pytest.raises(Transient):
        await quiet.ask(0)
    is_away = False
    await quiet.calls_back(quiet.provider.finish("task-1"), signed=False)
    await quiet.live(100)

    assert len(quiet.provider.submissions) == 1
    assert len(quiet.results()) == 1


async def test_an_order_that_was_overtaken_leaves_the_others_of_the_family_to_be_made():
    bench = TaskBench(rules=replace(FOUR_AT_ONCE, images_per_task=1))
    await bench.has_spec()
    submit = bench.provider.submit

    async def overtaken_meanwhile(order):
        if len(bench.provider.submissions) == 0:
            latest = (await bench.all_tasks())[0]
            await bench.tasks.replace(latest.claimed("other", 90, bench.clock.now()), if_version=latest.version)
        return await submit(order)

    bench.provider.submit = overtaken_meanwhile
    assert await bench.ask(0, 1) == []

    assert [task.provider_task_id for task in await bench.all_tasks()] == [None, "task-2"]


async def test_a_change_that_never_gets_through_is_an_error_and_no_endless_loop(bench):
    await bench.ask(0)
    task = await bench.task()

    async def never(task, *, if_version):
        return False

    bench.tasks.replace = never
    with pytest.raises(Transient, match="was changed by others each time"):
        await bench.worker.change(task, lambda latest: latest.hastened(bench.clock.now()))


async def test_a_task_that_is_gone_is_nobodys(bench):
    (task,) = intended(an_external_request(0), PROVIDER, (0,), 4, bench.clock.now())

    with pytest.raises(Overtaken):
        await bench.worker.change(task, lambda latest: latest.hastened(bench.clock.now()))


def test_a_watch_forgets_what_it_saw_longest_ago():
    (task,) = intended(an_external_request(0), PROVIDER, (0,), 4, TaskBench().clock.now())
    claimed = task.claimed("w", 90, task.created_at)
    seconds = 0.0
    watch = Watch(lambda: seconds)
    assert watch.is_held(claimed)
    for number in range(20_001):
        watch.is_held(replace(claimed, reference=str(number)))

    seconds = 100.0

    assert watch.is_held(claimed)
    assert not watch.is_held(replace(claimed, reference="19999"))


# Cancelling.


async def test_a_cancelled_jobs_task_is_stopped_at_the_provider_and_told_to_nobody(bench):
    await bench.ask(0)
    await bench.is_cancelled()

    await bench.live(3)

    assert bench.provider.cancelled == ["task-1"]
    assert bench.results() == {}
    assert (await bench.task()).state is TaskState.CANCELLED


async def test_a_provider_that_cannot_be_asked_to_stop_does_not_keep_the_task_open(bench):
    bench.provider.next_cancels = [ModelUnavailable("away")]
    await bench.ask(0)
    await bench.is_cancelled()

    await bench.live(3)

    assert (await bench.task()).state is TaskState.CANCELLED


async def test_a_hint_has_the_task_looked_after_at_once(quiet):
    await quiet.ask(0)
    await quiet.is_cancelled()

    assert await hasten_cancelled(JobCancelled(job_id=JOB, revision=1), desk=quiet.worker) == 1
    assert await hasten_cancelled(JobCancelled(job_id=JOB, revision=1), desk=quiet.worker) == 1
    assert await quiet.sweep() == 1

    assert (await quiet.task()).state is TaskState.CANCELLED
    assert await hasten_cancelled(JobCancelled(job_id=JOB, revision=1), desk=quiet.worker) == 0
    assert await hasten_cancelled(JobCancelled(job_id=JOB, revision=2), desk=quiet.worker) == 0


async def test_a_hint_about_a_task_that_is_gone_meanwhile_is_nothing(quiet):
    await quiet.ask(0)
    task = await quiet.task()
    await quiet.documents.delete(PROVIDER_TASKS, task.reference)

    async def remembered(*_):
        return [replace(task, version=task.version - 1)]

    quiet.tasks.of_job = remembered
    assert await hasten_cancelled(JobCancelled(job_id=JOB, revision=1), desk=quiet.worker) == 1


async def test_a_task_that_waits_to_be_handed_in_is_not_handed_in_for_a_cancelled_job(bench):
    bench.provider.next_submits = [ModelUnavailable("away")]
    await bench.ask(0)
    await bench.is_cancelled()

    await bench.live(30)

    assert bench.provider.submissions == []
    assert (await bench.task()).state is TaskState.CANCELLED


async def test_a_lost_task_of_a_cancelled_job_is_found_and_stopped(finding):
    finding.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    await finding.ask(0)
    await finding.is_cancelled()

    await finding.live(10)

    assert finding.provider.cancelled == ["task-1"]
    assert (await finding.task()).state is TaskState.CANCELLED


@pytest.mark.parametrize("error", [Lost(ModelTimedOut("no answer")), ModelTimedOut("no answer")])
async def test_a_lost_task_that_cannot_be_found_is_cancelled_as_it_is(bench, finding, error):
    for one in (bench, finding):
        one.provider.next_submits = [ModelTimedOut("no answer")]
        await one.ask(0)
        await one.is_cancelled()

        await one.live(65)

        assert one.provider.cancelled == []
        assert (await one.task()).state is TaskState.CANCELLED


async def test_a_finished_task_of_a_cancelled_job_has_nothing_to_stop(quiet):
    await quiet.ask(0)
    body = quiet.provider.finish("task-1")
    quiet.announce_errors = [Transient("away"), Transient("away")]
    await quiet.calls_back(body)
    assert (await quiet.task()).state is TaskState.SUCCEEDED
    await quiet.is_cancelled()

    await quiet.live(5)

    assert (await quiet.task()).state is TaskState.CANCELLED
    assert quiet.provider.cancelled == []


async def test_nothing_is_done_for_a_task_that_has_ended(bench):
    await bench.ask(0)
    await bench.live(10)
    looks = len(bench.provider.looked)

    await attend(await bench.task(), desk=bench.worker)

    assert len(bench.provider.looked) == looks


async def test_the_deadline_is_the_budget_from_the_submission(bench):
    await bench.ask(0, budget_seconds=33.3336)

    task = await bench.task()
    assert task.deadline_at == bench.clock.now() + timedelta(milliseconds=33334)
