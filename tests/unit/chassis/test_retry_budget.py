"""Retries at once are at most a tenth of the requests, and ten more."""

from imagetron_chassis.retry_budget import RetryBudget


def spent(budget: RetryBudget, *, most: int = 10_000) -> int:
    """How many retries it gives in a row."""
    return next((number for number in range(most) if not budget.spend()), most)


def test_a_process_with_few_requests_has_ten_retries():
    assert spent(RetryBudget()) == 10


def test_ten_requests_earn_one_retry():
    budget = RetryBudget()
    spent(budget)

    for _ in range(9):
        budget.request()
    assert not budget.spend()

    budget.request()
    assert spent(budget) == 1


def test_however_long_everything_fails_retries_are_a_tenth_of_the_requests_and_ten_more():
    budget = RetryBudget()
    retries = 0

    for _ in range(1000):
        budget.request()
        retries += sum(budget.spend() for _ in range(2))

    assert 100 <= retries <= 100 + 10


def test_quiet_times_save_up_no_more_than_ten():
    budget = RetryBudget()
    for _ in range(1000):
        budget.request()

    assert spent(budget) == 10
