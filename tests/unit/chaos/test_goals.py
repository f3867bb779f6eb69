from chaos.plan import Goal
from chaos.supervising import Goals

FIRST = Goal("deriver", "deriver.file_stored", 7)
SECOND = Goal("deriver", "blobs.before_link", 3)


def test_goals_are_given_out_in_the_order_of_the_plan():
    goals = Goals({"deriver": [FIRST, SECOND]})

    assert [goals.next("deriver"), goals.next("deriver"), goals.next("deriver")] == [FIRST, SECOND, None]


def test_a_service_without_goals_is_started_without_a_plan():
    assert Goals({"deriver": [FIRST]}).next("prompt") is None


def test_a_goal_that_was_missed_comes_back():
    goals = Goals({"deriver": [FIRST]})
    taken = goals.next("deriver")
    assert taken is not None

    goals.missed(taken)

    assert goals.left == 1
    assert goals.next("deriver") == FIRST


def test_a_goal_that_cannot_be_hit_is_given_up_in_the_end():
    goals = Goals({"deriver": [FIRST]})

    while goal := goals.next("deriver"):
        goals.missed(goal)

    assert goals.given_up == [FIRST]


def test_when_the_work_comes_to_its_end_the_first_pass_counts():
    goals = Goals({"deriver": [FIRST]})

    goals.hurry()

    assert goals.next("deriver") == Goal("deriver", "deriver.file_stored", 1)


def test_after_the_last_death_nothing_comes_back():
    goals = Goals({"deriver": [FIRST, SECOND]})
    taken = goals.next("deriver")
    assert taken is not None

    goals.drop()
    goals.missed(taken)

    assert goals.next("deriver") is None
    assert goals.left == 0
