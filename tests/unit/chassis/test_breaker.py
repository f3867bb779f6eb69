"""The circuit breaker: when it opens, for how long, and what the one canary decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetron_chassis.breaker import DEFAULT_RULES, Breaker, BreakerRules, BreakerState

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


def after_calls(breaker: Breaker, *failed: bool, every_seconds: float = 1, begin: float = 0) -> Breaker:
    for number, has_failed in enumerate(failed):
        breaker = breaker.after_call(has_failed=has_failed, now=begin + number * every_seconds, chance=0)
    return breaker


def an_open_one(now: float = 0.0, chance: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(10):
        breaker = breaker.after_call(has_failed=True, now=now, chance=chance)
    assert breaker.state is OPEN
    return breaker


def a_half_open_one() -> Breaker:
    return an_open_one().trying(10)


@pytest.mark.parametrize(
    ("failed", "state"),
    [
        ([True] * 9, CLOSED),
        ([True] * 10, OPEN),
        ([False, True] * 5, OPEN),
        ([False] * 6 + [True] * 4, CLOSED),
        ([True] * 4 + [False] * 6, CLOSED),
        ([True] * 5 + [False] * 5, OPEN),
        ([False] * 10, CLOSED),
    ],
)
def test_it_opens_when_at_least_half_of_at_least_ten_calls_failed(failed: list[bool], state: BreakerState):
    assert after_calls(Breaker(), *failed).state is state


def test_calls_older_than_the_window_do_not_count():
    assert after_calls(Breaker(), *[True] * 100, every_seconds=21 / 9).state is CLOSED
    assert after_calls(Breaker(), *[True] * 100, every_seconds=19 / 9).state is OPEN


def test_a_restart_that_fails_a_few_calls_opens_nothing_once_calls_succeed_again():
    breaker = after_calls(Breaker(), *[False] * 10, *[True] * 8, every_seconds=0.1)

    assert breaker.state is CLOSED
    assert after_calls(breaker, *[False] * 20, every_seconds=0.1, begin=2).state is CLOSED


@pytest.mark.parametrize(("chance", "seconds"), [(0, 10), (0.5, 7.5), (1, 5)])
def test_it_stays_open_between_half_of_its_time_and_the_whole(chance: float, seconds: float):
    breaker = an_open_one(now=100, chance=chance)

    assert breaker.try_at == 100 + seconds
    assert breaker.trying(100 + seconds - 0.1).state is OPEN
    assert breaker.trying(100 + seconds).state is HALF_OPEN


def test_each_failing_canary_doubles_the_time_up_to_five_minutes():
    breaker, now, times = an_open_one(), 0.0, []
    for _ in range(40):
        times.append(breaker.try_at - now)
        now = breaker.try_at
        breaker = breaker.trying(now).after_canary(has_failed=True, began_at=now, now=now, chance=0)

    assert times[:7] == [10, 20, 40, 80, 160, 300, 300]
    assert set(times[7:]) == {300}


def test_a_canary_that_succeeds_closes_it_and_the_next_opening_is_short_again():
    breaker = a_half_open_one().after_canary(has_failed=True, began_at=10, now=11, chance=0)
    assert (breaker.state, breaker.try_at) == (OPEN, 31)

    closed = breaker.trying(31).after_canary(has_failed=False, began_at=31, now=32, chance=0)

    assert closed == Breaker()
    again = after_calls(closed, *[True] * 10, every_seconds=0, begin=40)
    assert (again.state, again.try_at) == (OPEN, 50)


@pytest.mark.parametrize("breaker", [an_open_one(), a_half_open_one()], ids=["open", "half open"])
@pytest.mark.parametrize("has_failed", [True, False])
def test_calls_that_were_made_before_it_opened_decide_nothing(breaker: Breaker, has_failed: bool):
    assert after_calls(breaker, *[has_failed] * 20) == breaker


@pytest.mark.parametrize("has_failed", [True, False])
def test_a_canary_that_was_sent_before_it_opened_decides_nothing(has_failed: bool):
    breaker = an_open_one()

    assert breaker.after_canary(has_failed=has_failed, began_at=-5, now=1, chance=0) == breaker


def test_only_an_open_one_whose_time_is_over_sends_a_canary():
    assert Breaker().trying(1e9) == Breaker()
    assert a_half_open_one().trying(1e9) == a_half_open_one()


def test_a_canary_without_an_answer_opens_it_however_few_calls_there_are():
    hangs = Breaker().after_canary(has_failed=True, began_at=0, now=30, chance=0)

    assert (hangs.state, hangs.try_at) == (OPEN, 40)


def test_canaries_that_fail_at_once_open_it_only_if_they_do_so_for_longer_than_a_restart():
    breaker = Breaker()
    for began_at in (0, 2, 4, 6, 8):
        breaker = breaker.after_canary(has_failed=True, began_at=began_at, now=began_at + 0.01, chance=0)
        assert breaker.state is CLOSED

    assert breaker.after_canary(has_failed=True, began_at=10, now=10.01, chance=0).state is OPEN


def test_any_picture_ends_the_silence():
    silent = Breaker().after_canary(has_failed=True, began_at=0, now=5, chance=0)

    by_a_call = silent.after_call(has_failed=False, now=6, chance=0)
    by_a_canary = silent.after_canary(has_failed=False, began_at=6, now=6, chance=0)

    for spoken in (by_a_call, by_a_canary):
        assert spoken.after_canary(has_failed=True, began_at=7, now=16, chance=0).state is CLOSED
    assert silent.after_call(has_failed=True, now=6, chance=0).silent_since == 0


@given(
    st.lists(st.tuples(st.sampled_from(["call", "canary", "try"]), st.booleans(), st.floats(0, 400)), max_size=60),
    st.floats(0, 1),
)
def test_it_never_stays_open_longer_than_its_rules_say_and_keeps_no_old_calls(
    story: list[tuple[str, bool, float]], chance: float
):
    breaker, now = Breaker(), 0.0
    for what, has_failed, seconds in story:
        now += seconds
        match what:
            case "call":
                breaker = breaker.after_call(has_failed=has_failed, now=now, chance=chance)
            case "canary":
                breaker = breaker.after_canary(has_failed=has_failed, began_at=now - 1, now=now, chance=chance)
            case _:
                breaker = breaker.trying(now)
        assert breaker.try_at <= now + DEFAULT_RULES.longest_open_seconds
        assert breaker.state is CLOSED or not breaker.calls
        assert what != "call" or all(now - call.ended_at < DEFAULT_RULES.window_seconds for call in breaker.calls)


def test_rules_of_ones_own_outlive_a_closing():
    rules = BreakerRules(least_calls=1)
    breaker = Breaker(rules).after_call(has_failed=True, now=0, chance=0).trying(10)

    assert breaker.after_canary(has_failed=False, began_at=10, now=10, chance=0).rules == rules
