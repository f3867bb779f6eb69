from collections import Counter

import pytest

from chaos.plan import draw, more_orders, reachable
from imagetron_chassis.faults import FAULT_POINTS


def test_every_fault_point_that_a_job_passes_is_reached_by_some_service():
    jobs_pass = {point for point in FAULT_POINTS if not point.startswith(("prompt.", "task.", "paid_call."))}

    assert {point for _, point in reachable()} == jobs_pass


def test_a_point_that_nobody_knows_is_not_passed_over_in_silence():
    with pytest.raises(KeyError):
        reachable(["moon.after_landing"])


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_spends_its_kills_and_visits_every_pair(seed):
    plan = draw(seed, kills=60, jobs=300)
    visited = {(goal.service, goal.point) for goals in plan.goals.values() for goal in goals}

    assert visited == set(reachable())
    assert plan.kills == 60
    assert {"rabbitmq", "prompt"} <= {moment.victim for moment in plan.moments}


def test_a_long_run_visits_every_pair_fifty_times():
    plan = draw(1, kills=3000, jobs=100)
    visits = Counter((goal.service, goal.point) for goals in plan.goals.values() for goal in goals)

    assert min(visits[pair] for pair in reachable()) >= 50


def test_the_same_seed_gives_the_same_plan():
    assert draw(7, kills=60, jobs=300) == draw(7, kills=60, jobs=300)
    assert draw(7, kills=60, jobs=300) != draw(8, kills=60, jobs=300)


def test_too_few_kills_for_all_points_are_refused():
    with pytest.raises(ValueError, match="too few"):
        draw(1, kills=20, jobs=300)


def test_the_broker_is_killed_neither_at_the_beginning_nor_at_the_end():
    shares = [moment.share for moment in draw(1, kills=60, jobs=300).moments if moment.victim == "rabbitmq"]

    assert len(shares) >= 2
    assert all(0.2 <= share <= 0.85 for share in shares)


def test_further_jobs_have_names_and_keys_of_their_own():
    plan = draw(1, kills=60, jobs=300)
    further = more_orders(plan)
    orders = [*plan.orders, *(next(further) for _ in range(100))]

    assert len({order.key for order in orders}) == 400
    assert len({order.body["name"] for order in orders}) == 400


def test_some_jobs_are_cancelled_some_made_again_and_some_have_several_families():
    orders = draw(1, kills=60, jobs=300).orders

    assert any(order.cancel_after_seconds is not None for order in orders)
    assert any(order.regenerate for order in orders)
    assert any(len(order.body["families"]) > 1 for order in orders)
