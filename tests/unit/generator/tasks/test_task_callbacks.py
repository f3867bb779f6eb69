"""Providers call back: twice, late, in another order, before we know their id, and sometimes it is not they."""

import asyncio
from dataclasses import replace
from itertools import permutations

import pytest

from imagetron_chassis.blobs import BlobMissing
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import ProviderCallback, RendersGenerated, StageFailed
from imagetron_generator.adapters.memory_provider import Lost
from imagetron_generator.domain.orders import TaskNews, TaskPhase
from imagetron_generator.domain.provider_tasks import TaskState
from imagetron_generator.ports import CallbackUnreadable, ModelTimedOut, ModelUnavailable
from imagetron_generator.usecases.tasks.callbacks import take_callback
from support.eventually import eventually
from unit.generator.tasks.task_bench import CALLED_BACK, PROVIDER, TaskBench, a_task_spec


async def test_signed_news_of_success_is_believed_and_collected_without_a_look(quiet):
    await quiet.ask(0, 1)

    await quiet.calls_back(quiet.provider.finish("task-1"), signed=True)

    assert quiet.provider.looked == []
    assert [type(message) for message in quiet.results().values()] == [RendersGenerated]


@pytest.mark.parametrize("signed", [False, None])
async def test_unsigned_news_of_an_end_is_looked_up_before_it_is_believed(quiet, signed):
    await quiet.ask(0)

    await quiet.calls_back(quiet.provider.finish("task-1"), signed=signed)

    assert quiet.provider.looked == ["task-1"]
    assert [type(message) for message in quiet.results().values()] == [RendersGenerated]


async def test_a_forged_end_changes_nothing(quiet):
    await quiet.ask(0)
    other = TaskBench(rules=CALLED_BACK, looks=None)
    await other.has_spec()
    await other.ask(0)

    await quiet.calls_back(other.provider.fail("task-1"), signed=False)

    assert quiet.results() == {}
    assert (await quiet.task()).state is TaskState.SUBMITTED


async def test_an_end_that_cannot_be_looked_up_now_is_looked_up_by_the_sweep(quiet):
    await quiet.ask(0)
    quiet.provider.next_looks = [ModelUnavailable("away")]

    await quiet.calls_back(quiet.provider.finish("task-1"), signed=False)
    assert quiet.results() == {}
    await quiet.live(3)

    assert [type(message) for message in quiet.results().values()] == [RendersGenerated]


async def test_progress_is_told_and_never_goes_backwards(quiet):
    await quiet.ask(0)
    for progress in (0.2, 0.6, 0.4, 0.6, 0.9):
        await quiet.calls_back(quiet.provider.process("task-1", progress), signed=False)

    assert quiet.steps() == [20, 60, 90]
    assert quiet.provider.looked == []


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("ends_well", [True, False])
async def test_callbacks_in_any_order_and_twice_have_one_result(signed, ends_well):
    for order in permutations(range(4)):
        quiet = TaskBench(rules=CALLED_BACK, looks=None)
        await quiet.has_spec()
        await quiet.ask(0)
        bodies = [quiet.provider.process("task-1", progress) for progress in (0.2, 0.5, 0.8)]
        bodies.append(quiet.provider.finish("task-1") if ends_well else quiet.provider.fail("task-1"))

        for number in (*order, *order):
            await quiet.calls_back(bodies[number], signed=signed, inbox_id=f"inbox-{number}")

        assert [type(one) for one in quiet.results().values()] == [RendersGenerated if ends_well else StageFailed]
        assert quiet.steps() == sorted(set(quiet.steps()))


async def test_five_copies_at_once_have_one_effect(quiet):
    await quiet.ask(0, 1)
    body = quiet.provider.finish("task-1")

    await asyncio.gather(*(quiet.calls_back(body, inbox_id="the-same") for _ in range(5)))
    await quiet.live(200, step_seconds=5)

    assert len(quiet.results()) == 1
    assert len(quiet.heard(RendersGenerated)) == 1


async def test_a_callback_before_the_submission_was_answered_is_accepted(quiet):
    quiet.provider.hold_answers()
    asking = asyncio.create_task(quiet.ask(0))
    await eventually(lambda: quiet.provider.submissions, every_seconds=0)
    assert (await quiet.task()).provider_task_id is None

    await quiet.calls_back(quiet.provider.finish("task-1"), signed=True)
    assert (await quiet.task()).state is TaskState.SUCCEEDED
    quiet.provider.release_answers()
    await asking
    await quiet.live(2)

    assert len(quiet.provider.submissions) == 1
    assert [type(message) for message in quiet.results().values()] == [RendersGenerated]


async def lost(bench):
    bench.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    await bench.ask(0)


@pytest.mark.parametrize("can_find", [False, True])
async def test_a_lost_task_shows_itself_by_a_callback_that_the_provider_confirms(can_find):
    bench = TaskBench(rules=replace(CALLED_BACK, can_find=can_find), looks=None)
    await bench.has_spec()
    await lost(bench)

    await bench.calls_back(bench.provider.process("task-1", 0.3), signed=False)

    task = await bench.task()
    assert (task.provider_task_id, task.state, task.submissions) == ("task-1", TaskState.PROCESSING, 1)


@pytest.mark.parametrize("can_find", [False, True])
async def test_a_callback_that_names_a_task_the_provider_does_not_know_adopts_nothing(can_find):
    bench = TaskBench(rules=replace(CALLED_BACK, can_find=can_find), looks=None)
    await bench.has_spec()
    await lost(bench)
    body = bench.provider.process("task-1", 0.3)
    bench.provider.forget("task-1")

    await bench.calls_back(body, signed=False)

    assert (await bench.task()).provider_task_id is None


async def test_a_callback_that_cannot_be_confirmed_now_comes_again(quiet):
    await lost(quiet)
    quiet.provider.next_looks = [ModelUnavailable("away")]

    with pytest.raises(ModelUnavailable):
        await quiet.calls_back(quiet.provider.process("task-1", 0.3), signed=False)
    await quiet.calls_back(quiet.provider.process("task-1", 0.3), signed=False)

    assert (await quiet.task()).provider_task_id == "task-1"


async def test_a_callback_that_names_the_task_of_another_order_adopts_nothing(quiet):
    await quiet.ask(1)
    (other,) = await quiet.all_tasks()
    quiet.provider.next_submits = [Lost(ModelTimedOut("no answer"))]
    await quiet.ask(0)
    first, second = await quiet.all_tasks()
    assert second == other

    await quiet.calls_back(quiet.provider.process("task-1", 0.3), signed=True, reference=first.reference)

    assert [task.provider_task_id for task in await quiet.all_tasks()] == [None, "task-1"]


async def test_a_callback_about_another_task_than_ours_changes_nothing(quiet):
    await quiet.ask(0)
    await quiet.ask(1)
    first, _ = await quiet.all_tasks()

    await quiet.calls_back(quiet.provider.fail("task-2"), signed=True, reference=first.reference)

    assert quiet.results() == {}
    assert (await quiet.all_tasks())[0] == first


async def test_a_callback_that_names_no_task_is_nobodys_until_ours_has_an_id(quiet):
    await lost(quiet)
    unnamed = b'{"task": null, "phase": "processing", "progress": 0.4, "deliveries": [], "code": null, "message": null}'
    await quiet.calls_back(unnamed, signed=True)
    assert quiet.steps() == []
    await quiet.calls_back(quiet.provider.process("task-1", 0.3), signed=True)

    await quiet.calls_back(unnamed, signed=True, inbox_id="again")

    assert quiet.steps() == [30, 40]


@pytest.mark.parametrize("change", [{"reference": "0" * 32}, {"provider": "another"}])
async def test_a_callback_about_no_task_of_ours_changes_nothing(quiet, change):
    await quiet.ask(0)
    before = await quiet.task()

    await quiet.calls_back(quiet.provider.finish("task-1"), **change)

    assert await quiet.task() == before
    assert quiet.results() == {}


async def test_a_callback_under_another_providers_name_changes_nothing(quiet):
    await quiet.ask(0)
    before = await quiet.task()
    desk = replace(quiet.worker, providers={**quiet.worker.providers, "another": quiet.provider})

    callback = ProviderCallback(provider="another", inbox_id="i", task_reference=before.reference, is_signed=True)
    await take_callback(callback, desk=desk)

    assert await quiet.task() == before


async def test_a_callback_that_is_no_callback_or_has_no_body_is_an_operators_business(quiet):
    await quiet.ask(0)

    with pytest.raises(CallbackUnreadable):
        await quiet.calls_back(b'{"hello": 1}')
    callback = ProviderCallback(provider=PROVIDER, inbox_id="gone", task_reference=(await quiet.task()).reference)
    with pytest.raises(BlobMissing):
        await take_callback(callback, desk=quiet.worker)


async def test_a_callback_after_the_job_was_cancelled_is_late(quiet):
    await quiet.ask(0)
    await quiet.is_cancelled()
    await quiet.live(20)

    await quiet.calls_back(quiet.provider.finish("task-1"))

    assert quiet.results() == {}
    assert (await quiet.task()).state is TaskState.CANCELLED


async def test_a_success_that_comes_while_the_job_is_being_cancelled_is_told_to_nobody(quiet):
    await quiet.ask(0)
    await quiet.is_cancelled()

    await quiet.calls_back(quiet.provider.finish("task-1"))

    assert quiet.results() == {}
    assert (await quiet.task()).state is TaskState.CANCELLED


async def test_a_task_that_is_in_hand_is_collected_by_whoever_has_it(quiet):
    await quiet.ask(0)
    task = await quiet.task()
    await quiet.tasks.replace(task.claimed("other", 90, quiet.clock.now()), if_version=task.version)

    await quiet.calls_back(quiet.provider.finish("task-1"))
    assert quiet.results() == {}
    await quiet.live(100)

    assert len(quiet.results()) == 1


async def test_a_signed_failure_is_told_at_once(quiet):
    await quiet.ask(0)

    await quiet.calls_back(quiet.provider.fail("task-1", FailureCode.CONTENT_FILTERED))

    assert [failed.code for failed in quiet.heard(StageFailed)] == [FailureCode.CONTENT_FILTERED]


async def test_a_success_that_the_provider_contradicts_when_asked_is_asked_about_later(quiet):
    await quiet.ask(0)
    quiet.provider.next_looks = [TaskNews(TaskPhase.PROCESSING, progress=0.5)]
    body = quiet.provider.finish("task-1")

    await quiet.calls_back(body, signed=False)
    assert quiet.results() == {}
    await quiet.live(30)

    assert len(quiet.results()) == 1


async def test_no_log_line_holds_a_prompt_an_url_or_a_token(quiet, capsys):
    await quiet.has_spec(a_task_spec())
    await quiet.ask(0)
    await quiet.calls_back(quiet.provider.process("task-1", 0.3), signed=False)
    await quiet.calls_back(quiet.provider.finish("task-1"))

    said = capsys.readouterr().out
    assert "task_collected" in said
    assert "CANARY" not in said
    assert "https://" not in said
