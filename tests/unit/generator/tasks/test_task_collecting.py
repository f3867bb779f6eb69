"""What was made comes into the work store, each picture by itself, and is told once."""

import asyncio

from imagetron_chassis.errors import Permanent, ResourceExhausted, Transient
from imagetron_contracts.failures import FailureCode, Stage
from imagetron_contracts.media import Dimensions
from imagetron_contracts.stages import Progress, RendersGenerated, StageFailed
from imagetron_generator.adapters.memory_provider import png
from imagetron_generator.domain.orders import Delivery, TaskNews, TaskPhase
from imagetron_generator.domain.provider_tasks import TaskState
from imagetron_generator.domain.renders import record_key, render_key
from imagetron_generator.domain.work_format import digest_of, unpack
from imagetron_generator.ports import ModelUnavailable
from unit.generator.tasks.task_bench import an_external_request

SIZE = Dimensions(width=10, height=4)
RED, BLUE = png(SIZE, (255, 0, 0)), png(SIZE, (0, 0, 255))


class DownloadRefused(Permanent):
    failure_code = FailureCode.RENDER_UNREADABLE


def pages(bench, **found):
    bench.pages = {f"https://provider.example.com/{name}": page for name, page in found.items()}
    return [Delivery(at, url=url) for at, url in enumerate(bench.pages)]


async def finished(quiet, *deliveries):
    await quiet.ask(*range(len(deliveries)))
    quiet.provider.finish("task-1", deliveries)


async def test_pictures_are_kept_and_told_with_what_made_them(bench):
    await bench.ask(0, 1)
    await bench.live(10)

    (told,) = bench.heard(RendersGenerated)
    task = await bench.task()
    assert [image.index for image in told.images] == [0, 1]
    assert (told.model, told.served_by, told.fingerprint) == ("midjourney", "mj-7", "memory/mj-7")
    for image, seed in zip(told.images, (11, 22), strict=True):
        assert (image.provider, image.served_by, image.seed) == ("memory", "mj-7", seed)
        assert image.seconds == told.model_seconds == 3
        assert image.gpu_seconds is None
        assert image.answer_digest == task.answer_digest
        assert image.digest == digest_of(await bench.work.get(image.key))
    assert told.images[0].digest != told.images[1].digest
    assert (task.state, task.result) == (TaskState.COLLECTED, told)


async def test_a_picture_of_another_size_than_asked_says_its_real_one(quiet):
    await finished(quiet, *pages(quiet, one=RED))
    await quiet.live(16)

    (told,) = quiet.heard(RendersGenerated)
    picture = unpack(await quiet.work.get(told.images[0].key))
    assert told.images[0].size == SIZE
    assert picture is not None
    assert (picture.size, picture.pixels[:3]) == (SIZE, b"\xff\0\0")


async def test_pictures_beyond_those_asked_for_are_left_where_they_are(quiet):
    await quiet.ask(0)
    quiet.provider.finish("task-1", pages(quiet, one=RED, two=BLUE))
    await quiet.live(16)

    assert len(quiet.heard(RendersGenerated)[0].images) == 1
    assert len(quiet.fetched) == 1


async def test_each_picture_fails_by_itself(quiet):
    good, refused = pages(quiet, good=RED, refused=[DownloadRefused("not from there")])
    withheld = Delivery(2, code=FailureCode.CONTENT_FILTERED, message="withheld")
    await quiet.ask(0, 1, 2)
    quiet.provider.finish("task-1", [good, refused, withheld])
    await quiet.live(16)

    (told,) = quiet.heard(RendersGenerated)
    assert [image.index for image in told.images] == [0]
    assert [(error.index, error.code, error.message) for error in told.errors] == [
        (1, FailureCode.RENDER_UNREADABLE, "the provider memory gave image 1 in a way that we do not take"),
        (2, FailureCode.CONTENT_FILTERED, "withheld"),
    ]


async def test_what_was_not_delivered_or_is_no_picture_is_an_error_of_its_image(quiet):
    await quiet.ask(0, 1, 2)
    quiet.provider.finish("task-1", [*pages(quiet, good=RED, torn=b"no picture")])
    await quiet.live(16)

    (told,) = quiet.heard(RendersGenerated)
    assert [(error.index, error.code) for error in told.errors] == [
        (1, FailureCode.RENDER_UNREADABLE),
        (2, FailureCode.MODEL_UNAVAILABLE),
    ]


async def test_without_one_good_picture_the_task_fails_with_the_code(quiet):
    await quiet.ask(0, 1)
    withheld = [Delivery(at, code=FailureCode.CONTENT_FILTERED, message="withheld") for at in (0, 1)]
    quiet.provider.finish("task-1", withheld)
    await quiet.live(16)

    (failed,) = quiet.heard(StageFailed)
    assert (failed.stage, failed.code, failed.message) == (
        Stage.GENERATING,
        FailureCode.CONTENT_FILTERED,
        "withheld",
    )
    assert failed.image_indexes == (0, 1)
    assert quiet.heard(RendersGenerated) == []


async def test_a_download_that_may_work_later_is_tried_again_and_the_others_are_not(quiet):
    await finished(quiet, *pages(quiet, good=RED, slow=[Transient("away"), Transient("away"), BLUE]))
    await quiet.live(30)

    (told,) = quiet.heard(RendersGenerated)
    assert [image.index for image in told.images] == [0, 1]
    assert [url.rsplit("/", 1)[1] for url in quiet.fetched] == ["good", "slow", "slow", "slow"]


async def test_a_picture_that_is_too_much_for_the_reader_is_not_read_again_and_again(quiet):
    await finished(quiet, *pages(quiet, good=RED, bomb=[ResourceExhausted("the reader died of it")]))
    await quiet.live(16)

    (told,) = quiet.heard(RendersGenerated)
    assert [(error.index, error.code) for error in told.errors] == [(1, FailureCode.OUT_OF_MEMORY)]


async def test_a_download_that_never_works_is_given_up_at_the_deadline_and_the_good_ones_are_told(quiet):
    refused = Delivery(2, code=FailureCode.CONTENT_FILTERED, message="withheld")
    good, away = pages(quiet, good=RED, away=[Transient("away")] * 200)
    await quiet.ask(0, 1, 2)
    quiet.provider.finish("task-1", [good, away, refused])
    await quiet.live(110)
    assert quiet.heard(RendersGenerated) == []

    await quiet.live(200)

    (told,) = quiet.heard(RendersGenerated)
    assert [image.index for image in told.images] == [0]
    assert [(error.index, error.message) for error in told.errors] == [(1, "away"), (2, "withheld")]


async def test_a_provider_that_cannot_be_asked_for_the_pictures_is_asked_until_the_time_is_up(quiet):
    await quiet.ask(0)
    body = quiet.provider.finish("task-1")
    quiet.announce_errors = [Transient("progress"), Transient("the broker is away")]
    await quiet.calls_back(body)
    # The picture is complete: nothing has to be asked.
    quiet.provider.next_looks = [ModelUnavailable("away")] * 500
    await quiet.live(10)
    assert len(quiet.heard(RendersGenerated)) == 1


async def test_a_provider_that_takes_its_word_back_is_asked_again(quiet):
    quiet.pages = {"https://provider.example.com/one": [Transient("away"), RED]}
    await quiet.ask(0)
    body = quiet.provider.finish("task-1", [Delivery(0, url="https://provider.example.com/one")])
    await quiet.calls_back(body)
    quiet.provider.next_looks = [TaskNews(TaskPhase.PROCESSING), ModelUnavailable("away")]
    await quiet.live(30)

    assert len(quiet.heard(RendersGenerated)) == 1


async def test_a_provider_that_never_shows_the_pictures_again_fails_the_task_when_the_time_is_up(quiet):
    quiet.pages = {"https://provider.example.com/one": [Transient("away")]}
    await quiet.ask(0)
    body = quiet.provider.finish("task-1", [Delivery(0, url="https://provider.example.com/one")])
    await quiet.calls_back(body)
    quiet.provider.next_looks = [ModelUnavailable("away")] * 500
    await quiet.live(400)

    (failed,) = quiet.heard(StageFailed)
    assert failed.code is FailureCode.MODEL_UNAVAILABLE
    assert (await quiet.task()).state is TaskState.GIVEN_UP


async def test_a_picture_that_lies_there_complete_is_not_fetched_again(quiet):
    await finished(quiet, *pages(quiet, one=RED))
    quiet.announce_errors = [Transient("progress"), Transient("the broker is away")]
    await quiet.live(16)
    await quiet.live(10)

    assert len(quiet.fetched) == 1
    assert len(quiet.heard(RendersGenerated)) == 1


async def test_a_render_that_another_worker_stored_first_stays(quiet):
    first = b"P6\n1 1\n255\n\1\2\3"
    await quiet.work.put_if_absent(render_key(an_external_request(0), 0), first, content_type="image/x-portable-pixmap")
    await finished(quiet, *pages(quiet, one=RED))
    await quiet.live(16)

    (told,) = quiet.heard(RendersGenerated)
    assert told.images[0].digest == digest_of(first)
    assert told.images[0].size == Dimensions(width=1, height=1)


async def test_a_job_that_is_cancelled_while_its_pictures_come_is_told_nothing(quiet):
    good = pages(quiet, one=RED)
    await quiet.ask(0)
    quiet.provider.finish("task-1", good)
    fetch = quiet.fetch

    async def cancelled_meanwhile(url):
        await quiet.is_cancelled()
        return await fetch(url)

    quiet.fetch = cancelled_meanwhile
    quiet.worker = quiet.desk("w")
    await quiet.live(16)

    assert quiet.results() == {}
    assert (await quiet.task()).state is TaskState.CANCELLED


async def test_progress_is_told_as_percent_of_each_image(bench):
    await bench.ask(0, 1)
    await bench.live(10)

    hints = bench.heard(Progress)
    assert {(hint.index, hint.step, hint.steps) for hint in hints} == {(i, s, 100) for i in (0, 1) for s in (50, 100)}


async def test_several_workers_that_collect_at_once_tell_one_result(quiet):
    await finished(quiet, *pages(quiet, one=RED))
    quiet.passes(16)
    workers = [quiet.desk(str(number)) for number in range(4)]

    await asyncio.gather(*(quiet.sweep(worker) for worker in workers))

    assert len(quiet.results()) == 1
    assert len(quiet.fetched) == 1
    assert await quiet.work.head(record_key(an_external_request(0), 0))
