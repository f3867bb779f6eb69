"""A family of a provider that answers later is asked for."""

import asyncio
import io
from dataclasses import replace

import pytest
from PIL import Image

from imagetron_chassis.errors import Transient
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import ParentImage, Source, Verb
from imagetron_contracts.stages import FamilyStarted, RendersGenerated, StageFailed
from imagetron_generator.adapters.memory_provider import Lost
from imagetron_generator.domain.orders import ParentTask, TaskRules
from imagetron_generator.domain.provider_tasks import TaskState
from imagetron_generator.ports import (
    ContentFiltered,
    ModelFailed,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    ProviderBusy,
    ProviderQuotaSpent,
)
from imagetron_generator.usecases.inputs import SpecLost, SpecUnusable
from imagetron_generator.usecases.tasks.ordering import is_ordered
from unit.generator.bench import JOB, NEGATIVE_PROMPT, PROMPT
from unit.generator.tasks.task_bench import (
    CALLBACK_URL,
    TaskBench,
    a_task_spec,
    an_external_request,
)


async def test_the_provider_is_asked_in_the_specs_words_and_nobody_waits_for_it(bench):
    assert await bench.ask(0, 1) == []

    (order,) = bench.provider.submissions
    task = await bench.task()
    assert (order.reference, order.verb, order.images, order.seed) == (task.reference, Verb.IMAGINE, 2, 11)
    assert (order.prompt, order.negative_prompt, order.model) == (PROMPT, NEGATIVE_PROMPT, "mj-7")
    assert (task.state, task.provider_task_id, task.lease) == (TaskState.SUBMITTED, "task-1", None)
    assert order.callback_url is None


async def test_deadlines_count_from_the_submission(bench):
    await bench.ask(0, 1)

    (started,) = bench.heard(FamilyStarted)
    assert (started.image_indexes, started.started_at) == ((0, 1), bench.clock.now())


async def test_a_provider_that_calls_back_is_told_where_to(quiet):
    await quiet.ask(0)

    (order,) = quiet.provider.submissions
    assert order.callback_url == f"{CALLBACK_URL}/memory/{order.reference}"


async def test_a_family_becomes_as_many_tasks_as_the_provider_needs():
    bench = TaskBench(rules=TaskRules(images_per_task=2))
    await bench.has_spec()

    await bench.ask(0, 1, 2)

    assert [(order.images, order.seed) for order in bench.provider.submissions] == [(2, 11), (1, 33)]


async def test_the_same_request_again_orders_nothing_again(bench):
    await bench.ask(0, 1)

    assert await bench.ask(0, 1) == []
    assert await bench.ask(1) == []

    assert len(bench.provider.submissions) == 1


async def test_only_images_that_no_task_makes_are_ordered(bench):
    await bench.ask(1)
    await bench.ask(0, 1, 2)

    assert [order.images for order in bench.provider.submissions] == [1, 2]
    assert [task.request.image_indexes for task in await bench.all_tasks()] == [(0, 2), (1,)]


async def test_another_attempt_is_another_order(bench):
    await bench.ask(0)
    await bench.ask(0, attempt=2)

    assert len(bench.provider.submissions) == 2


async def test_two_deliveries_at_once_order_once(bench):
    await asyncio.gather(*(bench.ask(0, 1, desk=bench.desk(str(number))) for number in range(5)))

    assert len(bench.provider.submissions) == 1


async def test_a_collected_task_is_told_again_and_a_failed_one_too(bench):
    await bench.ask(0)
    await bench.live(10)
    bench.provider.next_submits = [ModelRefused("no such size")]
    await bench.ask(1)
    await bench.live(2)

    again = await bench.ask(0, 1)

    assert {message.message_id() for message in again} == set(bench.results())
    assert {type(message) for message in again} == {RendersGenerated, StageFailed}


async def test_a_cancelled_job_orders_nothing_and_hears_nothing(bench):
    await bench.is_cancelled()

    assert await bench.ask(0) == []
    assert bench.provider.submissions == []


async def test_a_task_of_a_cancelled_job_says_nothing_to_whoever_asks_again(bench):
    await bench.ask(0)
    task = await bench.task()
    await bench.tasks.replace(task.cancelled(bench.clock.now()), if_version=task.version)

    assert await bench.ask(0) == []


async def test_an_order_that_has_no_effect_is_made_again_by_the_sweep(bench):
    bench.provider.next_submits = [ModelUnavailable("away"), ModelUnavailable("away")]

    assert await bench.ask(0) == []
    assert (await bench.task()).submissions == 0
    await bench.live(30)

    assert len(bench.provider.submissions) == 1
    assert (await bench.task()).state is TaskState.COLLECTED


async def test_a_provider_that_stays_away_fails_the_family_after_as_many_tries_as_any_other_work(bench):
    bench.provider.next_submits = [ModelUnavailable("away")] * 9

    await bench.ask(0)
    await bench.live(300)

    (failed,) = bench.heard(StageFailed)
    assert (failed.code, failed.message) == (FailureCode.MODEL_UNAVAILABLE, "away")
    assert len(bench.provider.next_submits) == 3
    assert bench.provider.submissions == []


async def test_a_provider_that_is_busy_is_waited_for_without_spending_tries(bench):
    bench.provider.next_submits = [ProviderBusy("slow down", retry_after_seconds=4)] * 20

    await bench.ask(0)
    await bench.live(150)

    task = await bench.task()
    assert (task.tries, task.submissions) == (1, 1)
    assert len(bench.provider.submissions) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelRefused("no such size"), FailureCode.MODEL_REFUSED),
        (ContentFiltered("withheld"), FailureCode.CONTENT_FILTERED),
        (ProviderQuotaSpent("spent"), FailureCode.QUOTA_EXCEEDED),
    ],
)
async def test_what_the_provider_refuses_fails_with_its_code_and_sentence(bench, error, code):
    bench.provider.next_submits = [error]

    await bench.ask(0, 1)
    await bench.live(2)

    task = await bench.task()
    (failed,) = bench.heard(StageFailed)
    assert (failed.code, failed.message, failed.image_indexes) == (code, str(error), (0, 1))
    assert failed.support_id == task.reference[:12]
    assert (task.state, task.submissions) == (TaskState.GIVEN_UP, 0)


async def test_a_task_that_the_provider_does_not_name_is_in_doubt(bench):
    accepted = bench.provider.submit

    async def unnamed(order):
        return replace(await accepted(order), provider_task_id=None)

    bench.provider.submit = unnamed
    await bench.ask(0)

    task = await bench.task()
    assert (task.state, task.is_doubted, task.submissions) == (TaskState.INTENDED, True, 1)


@pytest.mark.parametrize("error", [ModelTimedOut("no answer"), ModelFailed("nonsense")])
async def test_an_answer_that_is_lost_leaves_the_task_in_doubt(bench, error):
    bench.provider.next_submits = [Lost(error)]

    assert await bench.ask(0) == []

    assert (await bench.task()).is_doubted


async def test_a_call_that_never_ends_is_broken_off(bench):
    bench.provider.hold_answers()
    desk = replace(bench.worker, call_seconds=0.01)

    await bench.ask(0, desk=desk)

    assert (await bench.task()).is_doubted


async def test_an_id_that_belongs_to_another_task_fails_the_second(bench):
    await bench.ask(0)
    accepted = bench.provider.submit

    async def repeated(order):
        return replace(await accepted(order), provider_task_id="task-1")

    bench.provider.submit = repeated
    await bench.ask(1)
    await bench.live(1)

    (failed,) = bench.heard(StageFailed)
    assert (failed.code, failed.image_indexes) == (FailureCode.MODEL_UNAVAILABLE, (1,))


async def test_a_broker_that_is_away_leaves_the_order_to_the_next_try(bench):
    bench.announce_errors = [Transient("the broker is away")]

    with pytest.raises(Transient):
        await bench.ask(0)
    assert bench.provider.submissions == []
    await bench.ask(0)

    assert len(bench.provider.submissions) == 1


async def test_a_task_whose_worker_died_before_handing_it_in_is_handed_in_by_the_sweep(bench):
    bench.announce_errors = [Transient("dies here")]
    with pytest.raises(Transient):
        await bench.ask(0)

    await bench.live(10)

    assert len(bench.provider.submissions) == 1
    assert bench.heard(FamilyStarted)


async def test_a_sweep_that_cannot_reach_the_broker_puts_the_order_off(bench):
    bench.announce_errors = [Transient("away")] * 2
    with pytest.raises(Transient):
        await bench.ask(0)

    await bench.live(6)

    assert bench.provider.submissions == []
    await bench.live(10)
    assert len(bench.provider.submissions) == 1


async def test_a_spec_that_is_gone_or_unusable_is_no_tasks_business(bench):
    assert await is_ordered(an_external_request(0), desk=bench.worker)
    assert not await is_ordered(
        an_external_request(0, revision=2, spec_key=f"jobs/{JOB}/2/spec.json"), desk=bench.worker
    )
    with pytest.raises(SpecLost):
        await bench.ask(0, revision=2, spec_key=f"jobs/{JOB}/2/spec.json")
    with pytest.raises(SpecUnusable, match="no family portrait"):
        await bench.ask(0, family="portrait")
    with pytest.raises(SpecUnusable, match="no image 7"):
        await bench.ask(7)


async def test_a_spec_that_cannot_be_read_is_quoted_nowhere(bench):
    bench.work = type(bench.work)()
    bench.worker = bench.desk("w")
    await bench.work.put_if_absent(f"jobs/{JOB}/1/spec.json", b'{"prompt": "CANARY"}', content_type="application/json")

    with pytest.raises(SpecUnusable) as raised:
        await bench.ask(0)
    assert "CANARY" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_a_provider_that_answers_in_the_call_is_none_of_these(bench):
    spec = a_task_spec(provider="openai", revision=3)
    await bench.has_spec(spec)

    request = an_external_request(0, revision=3, spec_key=f"jobs/{JOB}/3/spec.json")
    assert not await is_ordered(request, desk=bench.worker)


# What the work goes on from.

PARENT_JOB = "01948f2e-6c00-7a3d-9b1e-5f0c2d7a8e99"


def a_parent(index=1):
    return ParentImage(job_id=PARENT_JOB, revision=1, family="square", index=index)


async def parent_is_made(bench, *, attempts=1):
    await bench.has_spec(a_task_spec(job_id=PARENT_JOB))
    for attempt in range(1, attempts + 1):
        await bench.ask(0, 1, job_id=PARENT_JOB, spec_key=f"jobs/{PARENT_JOB}/1/spec.json", attempt=attempt)
        await bench.live(10)


async def going_on(verb, bench, **spec):
    bench.work = type(bench.work)()
    bench.worker = bench.desk("next")
    await bench.has_spec(a_task_spec(verb=verb, **spec))
    for key, data in SOURCES.items():
        await bench.work.put_if_absent(key, data, content_type="image/png")
    await bench.ask(0, 1)
    return bench.provider.submissions[-1]


def a_picture(kind):
    out = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(out, kind)
    return out.getvalue()


SOURCES = {"sources/one": a_picture("PPM")}


@pytest.mark.parametrize("verb", [Verb.REROLL, Verb.VARY])
async def test_work_on_a_picture_that_the_provider_made_names_its_task_and_which_one(bench, verb):
    await parent_is_made(bench)

    order = await going_on(verb, bench, parent=a_parent(1), source=Source(key="sources/one"))

    assert (order.verb, order.parent, order.source) == (verb, ParentTask("task-1", 1), None)


async def test_of_several_attempts_the_last_one_is_gone_on_from(bench):
    await parent_is_made(bench, attempts=2)

    order = await going_on(Verb.VARY, bench, parent=a_parent(0))

    assert order.parent == ParentTask("task-2", 0)


async def test_upscalings_are_one_task_for_each_image(bench):
    await parent_is_made(bench)

    await going_on(Verb.UPSCALE, bench, parent=a_parent(0))

    assert [order.images for order in bench.provider.submissions[1:]] == [1, 1]


async def test_a_picture_of_somebody_else_goes_along_as_a_png(bench):
    order = await going_on(Verb.VARY, bench, parent=a_parent(), source=Source(key="sources/one", strength=0.4))

    assert order.parent is None
    assert order.strength == 0.4
    assert order.source is not None
    assert order.source.startswith(b"\x89PNG")


async def test_a_picture_that_did_not_come_is_not_gone_on_from(bench):
    await parent_is_made(bench)

    order = await going_on(Verb.REROLL, bench, parent=a_parent(2))

    assert (order.verb, order.parent) == (Verb.IMAGINE, None)


async def test_a_reroll_of_what_the_provider_does_not_know_is_the_prompt_again(bench):
    order = await going_on(Verb.REROLL, bench)

    assert (order.verb, order.parent, order.source) == (Verb.IMAGINE, None, None)


@pytest.mark.parametrize(
    ("source", "code"), [(None, FailureCode.MODEL_REFUSED), (Source(key="sources/gone"), FailureCode.WORK_LOST)]
)
async def test_work_without_its_picture_fails_and_costs_nothing(bench, source, code):
    bench.work = type(bench.work)()
    bench.worker = bench.desk("next")
    await bench.has_spec(a_task_spec(verb=Verb.VARY, source=source))

    await bench.ask(0)
    await bench.live(2)

    (failed,) = bench.heard(StageFailed)
    assert failed.code is code
    assert bench.provider.submissions == []
