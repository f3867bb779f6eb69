"""Images of a family stand alone."""

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from imagetron_chassis.errors import ChassisError, Permanent, RateLimited, Transient
from imagetron_chassis.per_image import PerImage, all_ended, each_alone
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import ImageError

LAST_TRY = 6
LOST = Permanent("the picture is lost")
AWAY = Transient("the store is away")


@dataclass(frozen=True)
class Image:
    index: int


async def outcome(tries: int, *endings: ChassisError | str) -> PerImage[str]:
    """One image for each ending, numbered from zero."""

    async def work(image: Image) -> str:
        ending = endings[image.index]
        if isinstance(ending, ChassisError):
            raise ending
        return ending

    images = [Image(index) for index in range(len(endings))]
    return await each_alone(images, work, family="square", tries=tries, log_failure="image_not_made")


async def test_what_is_done_comes_in_the_order_of_the_images():
    assert await outcome(1, "first", "second") == PerImage(("first", "second"), ())


async def test_images_are_worked_on_at_once():
    meeting = asyncio.Barrier(3)

    async def work(image: Image) -> int:
        async with asyncio.timeout(5), meeting:
            return image.index

    images = [Image(index) for index in range(3)]

    assert (await each_alone(images, work, family="square", tries=1, log_failure="image_not_made")).done == (0, 1, 2)


async def test_an_image_that_no_try_helps_becomes_an_error_beside_the_finished_ones():
    made = await outcome(1, LOST, "second")

    assert made == PerImage(("second",), (ImageError(index=0, code=FailureCode.INTERNAL, message=str(LOST)),))


@pytest.mark.parametrize("error", [AWAY, RateLimited("slow down")])
async def test_while_another_try_can_help_one_image_its_error_is_raised(error):
    with pytest.raises(type(error)) as raised:
        await outcome(1, LOST, error, "third")

    assert raised.value is error


async def test_after_the_last_try_the_image_becomes_an_error():
    made = await outcome(LAST_TRY, AWAY, "second")

    assert made.errors == (ImageError(index=0, code=FailureCode.STORAGE_UNAVAILABLE, message=str(AWAY)),)


async def test_without_any_image_left_the_first_error_is_raised():
    with pytest.raises(Permanent) as raised:
        await outcome(LAST_TRY, LOST, AWAY)

    assert raised.value is LOST


async def test_the_others_have_ended_before_an_error_is_raised():
    ended: list[int] = []

    async def work(image: Image) -> None:
        if image.index == 0:
            raise AWAY
        await asyncio.sleep(0.01)
        ended.append(image.index)

    with pytest.raises(Transient):
        await each_alone([Image(0), Image(1)], work, family="square", tries=1, log_failure="image_not_made")

    assert ended == [1]


async def test_a_bug_is_no_images_own_failure():
    async def work(image: Image) -> None:
        raise ZeroDivisionError(image.index)

    with pytest.raises(ZeroDivisionError):
        await each_alone([Image(0)], work, family="square", tries=1, log_failure="image_not_made")


async def test_each_failure_leaves_a_line_that_names_family_image_and_reason():
    with capture_logs() as lines:
        await outcome(1, LOST, "second")

    assert lines == [
        {"event": "image_not_made", "log_level": "warning", "family": "square", "index": 0, "reason": str(LOST)}
    ]


@pytest.mark.parametrize("error", [AWAY, ZeroDivisionError()])
async def test_nothing_of_a_failed_try_is_still_under_way_when_its_error_is_raised(error):
    ended: list[str] = []

    async def failing() -> None:
        raise error

    async def slow() -> None:
        await asyncio.sleep(0.01)
        ended.append("slow")

    with pytest.raises(type(error)):
        await all_ended(failing(), slow())

    assert ended == ["slow"]


async def test_a_try_that_is_cancelled_cancels_everything_under_way():
    begun, ended = asyncio.Event(), list[str]()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    trying = asyncio.create_task(all_ended(endless(), endless()))
    await begun.wait()
    await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying

    assert ended == ["cancelled", "cancelled"]


async def test_no_images_are_no_error():
    assert await outcome(1) == PerImage((), ())
