"""Every order in which one job's messages, commits, crashes and losses can come, with the real saga deciding.

Each scenario is explored to its end: there is no limit of depth. Together they see the promises of the outbox, of the
version guard, of acking last and of the watchdog; and each of these rules, left out, breaks one of them.
"""

from dataclasses import replace
from typing import Any, Final

import pytest

from unit.gateway.model.documents import Violation
from unit.gateway.model.explore import Exploration, explore
from unit.gateway.model.world import Rules, Scenario, World

# Seconds on an idle core each; many times that on a busy machine.
pytestmark = pytest.mark.timeout(900)

# Without a watchdog nothing may depend on it: crashes and repeats alone must leave every job complete.
_ALONE: Final = Rules(watches=False)
EVERYTHING_ONCE: Final = Scenario(crashes=1, duplicates=1, cancellations=1, gateways=2, workers=2)
LOST_WORK: Final = Scenario(requests=2, crashes=2, lost_queues=1, workers=0)
TWO_FAMILIES: Final = Scenario(families=2, cancellations=1, workers=0)
TWO_IMAGES: Final = Scenario(images=2, crashes=1, cancellations=1)
ONLY_CRASHES: Final = Scenario(families=2, crashes=1, gateways=0, workers=0, rules=_ALONE)
ONLY_CRASHES_AND_REPEATS: Final = Scenario(crashes=2, duplicates=1, workers=0, rules=_ALONE)

# How many states there are at least, and what must really have been seen among them.
SCENARIOS: Final[dict[str, tuple[Scenario, int, set[str]]]] = {
    "everything once": (
        EVERYTHING_ONCE,
        150_000,
        {
            "a duplicate met a job that had ended",
            "a gateway lost a race",
            "a job was cancelled while its work was under way",
            "a worker told of work after the cancellation",
            "pictures met a cancelled job",
            "subscribers heard an event twice",
        },
    ),
    "lost work": (
        LOST_WORK,
        100_000,
        {
            "work was asked for again",
            "a family was given up",
            "a gateway lost a race",
            "a fact met a job that had ended",
        },
    ),
    "two families": (
        TWO_FAMILIES,
        150_000,
        {
            "a gateway lost a race",
            "a job was cancelled with one family published",
            "work of a cancelled job was dropped",
        },
    ),
    "two images": (TWO_IMAGES, 10_000, {"a gateway lost a race", "pictures met a cancelled job"}),
    "crashes alone": (ONLY_CRASHES, 100_000, {"subscribers heard an event twice"}),
    "crashes and repeats alone": (
        ONLY_CRASHES_AND_REPEATS,
        10_000,
        {"a duplicate met a job that had ended", "a gateway lost a race"},
    ),
}

# A rule that is left out, where it is needed, and the promise that breaks without it.
LEFT_OUT: Final[dict[str, tuple[Scenario, dict[str, Any], str]]] = {
    "an entry is marked before its confirm": (
        Scenario(crashes=1),
        {"marks_after_confirm": False},
        "an event was told and never heard|and event 1 never was",
    ),
    "a message is acked before its effect": (
        Scenario(crashes=1, rules=_ALONE),
        {"acks_last": False},
        "nothing is left to happen, and the job has not ended",
    ),
    "a document is replaced whatever its version": (
        Scenario(),
        {"guards_version": False},
        "what was told changed|went back|forgot|left its end|became|news again",
    ),
    "nobody checks on admitted work": (
        Scenario(lost_queues=1),
        {"watches": False},
        "nothing is left to happen, and the job has not ended",
    ),
    "results are told before they are stored": (
        Scenario(crashes=1),
        {"stores_first": False},
        "that are not in the store|no object behind it",
    ),
}


def explored(name: str, scenario: Scenario) -> tuple[Exploration, World]:
    world = World(scenario)
    exploration = explore(world)
    print(f"{name}: {exploration.states} states, {exploration.transitions} transitions, {exploration.ends} ends")  # noqa: T201
    return exploration, world


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_comes_in_whatever_order_every_promise_is_kept_and_every_job_ends(name):
    scenario, states, sights = SCENARIOS[name]

    exploration, world = explored(name, scenario)

    assert exploration.states > states
    assert exploration.ends
    assert sights <= world.sights


@pytest.mark.parametrize("what", LEFT_OUT)
def test_a_rule_that_is_left_out_breaks_a_promise(what):
    scenario, left_out, promise = LEFT_OUT[what]
    with_all_rules = World(scenario)
    without_one = World(replace(scenario, rules=replace(scenario.rules, **left_out)))

    assert explore(with_all_rules).ends
    with pytest.raises(Violation, match=promise):
        explore(without_one)


def test_a_violation_tells_the_shortest_way_to_it():
    world = World(Scenario(lost_queues=1, rules=_ALONE))

    with pytest.raises(Violation) as violation:
        explore(world)

    first, after, *steps = str(violation.value).splitlines()
    assert first == "nothing is left to happen, and the job has not ended"
    assert after == "after:"
    assert steps[0].endswith("stores the admission of square")
    assert steps[-1].endswith("the broker loses the queue of requests")
    assert len(steps) <= 6
