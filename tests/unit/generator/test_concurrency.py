"""How many families may be with the model at once: half as many when it pushes back, one more after twenty good images."""

import pytest

from imagetron_generator.domain.concurrency import ConcurrencyLimit


def after_good(limit: ConcurrencyLimit, images: int) -> ConcurrencyLimit:
    for _ in range(images):
        limit = limit.after_good()
    return limit


def after_push_backs(limit: ConcurrencyLimit, *times: float) -> ConcurrencyLimit:
    for time in times:
        limit = limit.after_push_back(began_at=time, ended_at=time)
    return limit


def test_it_starts_at_what_the_operator_allows():
    assert ConcurrencyLimit.at_most(8).now == 8


@pytest.mark.parametrize(("bound", "limits"), [(8, [4, 2, 1, 1]), (5, [2, 1, 1]), (1, [1, 1])])
def test_each_push_back_halves_it_and_one_always_remains(bound: int, limits: list[int]):
    times = range(1, len(limits) + 1)

    assert [after_push_backs(ConcurrencyLimit.at_most(bound), *range(1, end + 1)).now for end in times] == limits


def test_twenty_good_images_allow_one_more_and_never_more_than_the_bound():
    low = after_push_backs(ConcurrencyLimit.at_most(4), 1)

    assert [after_good(low, images).now for images in (19, 20, 39, 40, 400)] == [2, 3, 3, 4, 4]


def test_a_push_back_makes_the_good_images_count_from_the_start():
    low = after_push_backs(after_good(after_push_backs(ConcurrencyLimit.at_most(8), 1), 19), 2)

    assert (after_good(low, 19).now, after_good(low, 20).now) == (2, 3)


def test_calls_that_were_pushed_back_together_count_once():
    limit = ConcurrencyLimit.at_most(8)
    for ended_at in (10.0, 10.1, 10.2):
        limit = limit.after_push_back(began_at=9.0, ended_at=ended_at)
    assert limit.now == 4

    assert limit.after_push_back(began_at=10.1, ended_at=10.3).now == 2
