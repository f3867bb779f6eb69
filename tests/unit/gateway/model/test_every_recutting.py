"""Every order in which cuttings again are asked for, answered, lost, repeated and overtaken, with the real saga deciding."""

from typing import Final

import pytest

from unit.gateway.model.recuts import Recuts, Scenario

pytestmark = pytest.mark.timeout(600)

_WELL: Final = "all was cut as was said last"
# How many states there are at least, and what must really have been seen among them.
SCENARIOS: Final[dict[str, tuple[Scenario, int, set[str]]]] = {
    "two wishes": (
        Scenario(images=2, wishes=2, repeats=1, losses=1, early_checks=1),
        1000,
        {_WELL, "a wish superseded another", "an answer that said nothing new", "work was asked for again"},
    ),
    "failures": (
        Scenario(images=2, wishes=2, failures=1, repeats=1),
        1000,
        {_WELL, "some were cut and some failed", "all failed"},
    ),
    "everything is lost": (Scenario(losses=8), 20, {"all failed", "work was asked for again", _WELL}),
    "a retry meanwhile": (
        Scenario(images=2, bad=(1,), wishes=2, retries=1, repeats=1),
        1000,
        {_WELL, "a wish superseded another"},
    ),
    "a cancellation": (Scenario(other_family=True, wishes=2, cancellations=1, repeats=1), 100, {_WELL, "all failed"}),
    "a regeneration": (Scenario(wishes=2, regenerations=1, repeats=1), 100, {_WELL}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_comes_in_whatever_order_the_newest_wish_wins_or_says_why_not(name):
    scenario, states, sights = SCENARIOS[name]
    recuts = Recuts(scenario)

    recuts.explore()

    print(f"{name}: {recuts.states} states")  # noqa: T201
    assert recuts.states > states
    assert sights <= recuts.sights
