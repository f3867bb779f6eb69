import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.blobs import BlobsUnavailable
from imagetron_chassis.blobs.memory import InMemoryBlobs
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import Source
from imagetron_contracts.stages import FamilyStarted, Progress, RendersGenerated
from imagetron_generator.adapters.memory import InMemoryImageModel
from imagetron_generator.domain.renders import FamilyImage
from imagetron_generator.domain.work_format import digest_of
from imagetron_generator.ports import (
    ModelFailed,
    ModelOutOfMemory,
    ModelPaused,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    QueueFull,
)
from imagetron_generator.usecases.inputs import SpecUnusable
from support.eventually import eventually
from unit.generator.bench import JOB, NEGATIVE_PROMPT, PROMPT, Bench, a_request, a_spec

FOLDER = f"jobs/{JOB}/1/square/1"


def only(facts) -> RendersGenerated:
    (fact,) = facts
    assert isinstance(fact, RendersGenerated)
    return fact


async def test_every_wanted_image_is_rendered_with_its_own_seed_and_kept_under_its_key(bench):
    fact = only(await bench.render(a_request(0, 2)))

    assert [(image.index, image.seed, image.key) for image in fact.images] == [
        (0, 11, f"{FOLDER}/0/render"),
        (2, 33, f"{FOLDER}/2/render"),
    ]
    for image in fact.images:
        assert digest_of(await bench.work.get(image.key)) == image.digest
    assert not fact.errors


async def test_the_model_gets_the_spec_byte_for_byte(bench):
    await bench.render(a_request(1))

    (request,) = bench.model.requests
    assert (request.model, request.prompt, request.negative_prompt) == ("preview", PROMPT, NEGATIVE_PROMPT)
    assert (request.seed, str(request.size), request.steps, request.guidance_scale) == (22, "8x6", 3, 7.5)


async def test_the_result_says_which_model_was_asked_for_which_one_served_and_in_what_environment(bench):
    fact = only(await bench.render(a_request()))

    assert (fact.model, fact.served_by, fact.fingerprint) == ("photorealistic", "preview", "in memory")


async def test_each_image_says_who_made_it_and_how_long_it_took(bench):
    class TakesTwoSeconds(InMemoryImageModel):
        async def render(self, *args, **options):
            bench.seconds += 2
            rendered = await super().render(*args, **options)
            return replace(rendered, gpu_seconds=1.5, waited_seconds=0.5, answer_digest="ab12")

    bench.model = TakesTwoSeconds()

    fact = only(await bench.render(a_request()))

    (image,) = fact.images
    assert (image.provider, image.served_by) == ("triton", "preview")
    assert (image.seconds, image.gpu_seconds, image.answer_digest) == (1.5, 1.5, "ab12")
    assert fact.model_seconds == 1.5


async def test_a_model_that_says_who_really_made_the_picture_is_believed(bench):
    class LeavesItToAFilter(InMemoryImageModel):
        async def render(self, *args, **options):
            return replace(await super().render(*args, **options), served_by="lanczos")

    bench.model = LeavesItToAFilter()

    fact = only(await bench.render(a_request()))

    assert fact.served_by == fact.images[0].served_by == "lanczos"


async def test_the_model_is_told_what_is_to_be_done_with_which_source_and_for_which_image(bench):
    source = Source(key="sources/1", strength=0.3)
    bench.work = InMemoryBlobs()
    await bench.has_spec(a_spec(verb="vary", source=source).model_dump_json().encode())

    await bench.render(a_request(1))

    (request,) = bench.model.requests
    assert (request.verb, request.origin, request.strength, request.source) == ("vary", source, 0.3, None)
    assert (request.provider, request.image) == ("triton", FamilyImage(a_request(1), 1))


@pytest.mark.parametrize("verb", ["vary", "upscale"])
async def test_a_spec_without_the_picture_that_it_begins_with_cannot_be_used(bench, verb):
    bench.work = InMemoryBlobs()
    await bench.has_spec(a_spec(verb=verb).model_dump_json().encode())

    with pytest.raises(SpecUnusable, match=f"names no picture to {verb}"):
        await bench.render(a_request())


async def test_the_family_is_told_to_be_started_before_the_model_is_called(bench):
    bench.announce_errors = [BlobsUnavailable("away")]

    with pytest.raises(BlobsUnavailable):
        await bench.render(a_request())

    assert not bench.model.requests


async def test_the_start_says_when_and_which_images(bench):
    await bench.render(a_request(0, 1))

    (started,) = bench.heard(FamilyStarted)
    assert (started.image_indexes, started.started_at) == ((0, 1), bench.clock.now())


async def test_a_repeated_message_calls_the_model_only_for_the_missing_images(bench):
    await bench.render(a_request(0, 1))

    again = only(await bench.render(a_request(0, 1, 2)))

    assert [request.seed for request in bench.model.requests] == [11, 22, 33]
    assert [image.index for image in again.images] == [0, 1, 2]


async def test_a_repeated_message_with_nothing_missing_answers_the_same_and_starts_nothing(bench):
    first = await bench.render(a_request(0, 1))
    bench.said.clear()

    assert await bench.render(a_request(0, 1)) == first
    assert len(bench.model.requests) == 2
    assert not bench.said


async def test_a_render_without_its_record_is_made_again_because_its_environment_is_unknown(bench):
    await bench.render(a_request())
    await bench.work.delete(f"{FOLDER}/0/render.json")

    fact = only(await bench.render(a_request()))

    assert len(bench.model.requests) == 2
    assert [image.index for image in fact.images] == [0]


async def test_an_unreadable_record_counts_as_none(bench):
    await bench.render(a_request())
    await bench.work.delete(f"{FOLDER}/0/render.json")
    await bench.work.put_if_absent(f"{FOLDER}/0/render.json", b"{", content_type="application/json")

    only(await bench.render(a_request()))

    assert len(bench.model.requests) == 2


async def test_when_another_generator_was_quicker_digest_and_size_are_those_of_the_render_that_lies_there(bench):
    theirs = b"P6\n4 4\n255\n" + bytes(4 * 4 * 3)
    await bench.work.put_if_absent(f"{FOLDER}/0/render", theirs, content_type="image/x-portable-pixmap")

    fact = only(await bench.render(a_request()))

    assert fact.images[0].digest == digest_of(theirs)
    assert str(fact.images[0].size) == "4x4"


async def test_one_image_that_fails_for_good_leaves_the_others(bench):
    bench.model = InMemoryImageModel(None, ModelRefused("the model refuses 8x6"))

    fact = only(await bench.render(a_request(0, 1, 2)))

    assert [image.index for image in fact.images] == [0, 2]
    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.MODEL_REFUSED)]
    assert fact.indexes() == (0, 1, 2)


@pytest.mark.parametrize("error", [ModelTimedOut("too slow"), ModelFailed("broke")])
async def test_good_images_do_not_wait_for_one_whose_next_try_would_cost_as_much_again(bench, error):
    bench.model = InMemoryImageModel(None, error)

    fact = only(await bench.render(a_request(0, 1)))

    assert [error.index for error in fact.errors] == [1]


@pytest.mark.parametrize("error", [ModelUnavailable("restarting"), QueueFull("full")])
async def test_good_images_wait_a_few_tries_for_one_that_the_model_did_not_begin(bench, error):
    bench.model = InMemoryImageModel(None, error)

    with pytest.raises(type(error)):
        await bench.render(a_request(0, 1), tries=3)

    assert [image.index for image in only(await bench.render(a_request(0, 1), tries=2)).images] == [0, 1]
    assert [request.seed for request in bench.model.requests] == [11, 22, 22]


async def test_good_images_go_on_alone_when_the_tries_for_the_rest_are_spent(bench):
    bench.model = InMemoryImageModel(None, ModelUnavailable("restarting"))

    fact = only(await bench.render(a_request(0, 1), tries=4))

    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.MODEL_UNAVAILABLE)]


async def test_good_images_wait_once_for_one_that_did_not_fit_into_the_memory(bench):
    bench.model = InMemoryImageModel(None, ModelOutOfMemory("too big"), ModelOutOfMemory("too big"))

    with pytest.raises(ModelOutOfMemory):
        await bench.render(a_request(0, 1), tries=1)

    fact = only(await bench.render(a_request(0, 1), tries=2))
    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.OUT_OF_MEMORY)]


PAUSED = ModelPaused("calls are paused")


@pytest.mark.parametrize("tries", [1, 99])
@pytest.mark.parametrize("others", [(), (None,), (ModelRefused("no"),), (ModelUnavailable("restarting"),)])
async def test_a_family_goes_back_without_spending_a_try_if_an_image_was_held_back(bench, others, tries):
    bench.model = InMemoryImageModel(*others, *[PAUSED] * 3)

    with pytest.raises(ModelPaused):
        await bench.render(a_request(0, 1, 2), tries=tries)


@pytest.mark.parametrize("tries", [1, 99])
async def test_a_family_whose_own_call_broke_spends_a_try_although_the_others_were_held_back(bench, tries):
    bench.model = InMemoryImageModel(ModelTimedOut("hangs"), PAUSED, PAUSED)

    with pytest.raises(ModelTimedOut):
        await bench.render(a_request(0, 1, 2), tries=tries)


async def test_good_images_are_not_lost_to_one_that_makes_the_server_hang_each_time(bench):
    bench.model = InMemoryImageModel(None, ModelTimedOut("hangs"), PAUSED)

    fact = only(await bench.render(a_request(0, 1, 2), tries=3))

    assert [image.index for image in fact.images] == [0]
    assert [(error.index, error.code) for error in fact.errors] == [
        (1, FailureCode.DEADLINE_EXCEEDED),
        (2, FailureCode.MODEL_UNAVAILABLE),
    ]


async def test_when_every_image_fails_the_error_speaks_for_all(bench):
    bench.model = InMemoryImageModel(ModelRefused("no"), ModelRefused("no"))

    with pytest.raises(ModelRefused):
        await bench.render(a_request(0, 1))


@pytest.mark.parametrize("tries", [1, 99])
async def test_a_transient_error_of_the_whole_call_propagates_at_any_try(bench, tries):
    bench.model = InMemoryImageModel(ModelUnavailable("restarting"))

    with pytest.raises(ModelUnavailable):
        await bench.render(a_request(), tries=tries)


async def test_when_every_image_fails_an_error_that_may_pass_is_preferred(bench):
    bench.model = InMemoryImageModel(ModelRefused("no"), ModelUnavailable("restarting"))

    with pytest.raises(ModelUnavailable):
        await bench.render(a_request(0, 1))


async def test_each_image_has_an_equal_share_of_the_time_that_is_left(bench):
    await bench.render(a_request(0, 1, 2, budget_seconds=60))

    assert bench.model.deadlines == [20, 30, 60]


async def test_an_image_whose_time_is_spent_before_it_begins_is_not_begun(bench):
    class SlowModel(InMemoryImageModel):
        async def render(self, *args, **options):
            bench.seconds += 61
            return await super().render(*args, **options)

    bench.model = SlowModel()

    fact = only(await bench.render(a_request(0, 1, budget_seconds=60)))

    assert [(error.index, error.code) for error in fact.errors] == [(1, FailureCode.DEADLINE_EXCEEDED)]
    assert len(bench.model.requests) == 1
    assert fact.model_seconds == 61


async def test_a_store_that_is_away_is_no_fault_of_the_image(bench):
    class StoreWithoutWrites(InMemoryBlobs):
        async def put_if_absent(self, key, data, **options):
            if key.endswith("/render"):
                raise BlobsUnavailable("the store is away")
            return await super().put_if_absent(key, data, **options)

    bench.work = StoreWithoutWrites()
    await bench.has_spec()

    with pytest.raises(BlobsUnavailable):
        await bench.render(a_request())


async def test_nothing_is_done_for_a_cancelled_job(bench):
    await bench.is_cancelled()

    assert await bench.render(a_request()) == []
    assert not bench.model.requests
    assert not bench.said


async def test_a_job_cancelled_between_two_images_is_dropped_there(bench):
    class CancellingModel(InMemoryImageModel):
        async def render(self, *args, **options):
            await bench.is_cancelled()
            return await super().render(*args, **options)

    bench.model = CancellingModel()

    assert await bench.render(a_request(0, 1)) == []
    assert len(bench.model.requests) == 1


async def test_a_job_cancelled_while_the_model_works_stops_the_model(bench):
    bench.model.hold()
    rendering = asyncio.create_task(bench.render(a_request(0, 1)))
    await eventually(lambda: bench.model.requests)

    ended = bench.calls.end(JOB, 1)

    assert await rendering == []
    assert (ended, bench.model.cancelled, len(bench.model.requests)) == (1, 1, 1)


async def test_all_families_of_a_cancelled_job_are_stopped(bench):
    bench.model.hold()
    families = [asyncio.create_task(bench.render(a_request(attempt=attempt))) for attempt in (1, 2)]
    await eventually(lambda: len(bench.model.requests) == 2)

    bench.calls.end(JOB, 1)

    assert await asyncio.gather(*families) == [[], []]
    assert bench.model.cancelled == 2


async def test_another_revision_of_the_job_goes_on(bench):
    bench.model.hold()
    rendering = asyncio.create_task(bench.render(a_request()))
    await eventually(lambda: bench.model.requests)

    assert bench.calls.end(JOB, 2) == 0

    bench.model.release()
    only(await rendering)


async def test_a_family_taken_away_from_its_worker_stops_the_model(bench):
    bench.model.hold()
    rendering = asyncio.create_task(bench.render(a_request()))
    await eventually(lambda: bench.model.requests)

    rendering.cancel()
    await asyncio.wait([rendering])

    assert rendering.cancelled()
    assert bench.model.cancelled == 1


async def test_progress_is_told_for_the_image_that_is_made(bench):
    await bench.render(a_request(0, 2))

    assert {(report.index, report.steps) for report in bench.heard(Progress)} == {(0, 3), (2, 3)}
    assert [report.step for report in bench.heard(Progress) if report.index == 2][-1] == 3


async def test_progress_that_cannot_leave_harms_nobody(bench):
    class BrokerAwayForHints(Bench):
        async def announce(self, message):
            if isinstance(message, Progress):
                raise ModelUnavailable("the broker is away")
            await super().announce(message)

    away = BrokerAwayForHints()
    await away.has_spec()

    only(await away.render(a_request()))


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        a_spec(families={}).model_dump_json(by_alias=True).encode(),
        a_spec().model_dump_json(by_alias=True).replace('"steps":3', f'"steps":"{PROMPT}"').encode(),
    ],
    ids=["broken", "without the family", "with text in place of a number"],
)
async def test_a_spec_that_cannot_be_used_fails_the_family_without_showing_the_prompt(text):
    bench = Bench()
    await bench.has_spec(text)

    with pytest.raises(SpecUnusable) as caught:
        await bench.render(a_request())

    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_image_without_a_seed_fails_the_family(bench):
    with pytest.raises(SpecUnusable, match="no image 3"):
        await bench.render(a_request(0, 3))


async def test_no_prompt_text_is_logged_said_or_answered_whatever_happens(bench):
    bench.model = InMemoryImageModel(ModelRefused("no"), None, ModelTimedOut("too slow"))

    with capture_logs() as lines:
        facts = await bench.render(a_request(0, 1, 2))
        await bench.is_cancelled()
        await bench.render(a_request(0))

    assert len(lines) >= 3
    assert "CANARY" not in repr(lines)
    assert "CANARY" not in repr([*facts, *bench.said])
    assert "CANARY" not in repr(bench.model.requests)
