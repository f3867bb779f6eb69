"""The life of a paid call, without a store."""

from datetime import timedelta
from decimal import Decimal

import pytest

from imagetron_contracts.rpc import PaidCall
from imagetron_prompt.domain.calls import Call, CallState, Purpose, begun, product_id, total
from imagetron_prompt.domain.errors import KeyReused, OutcomeUnknown, StillRunning
from imagetron_prompt.domain.written import NOTHING_USED, Usage
from support.builders import NOW

LEASE = timedelta(seconds=30)
PAID = PaidCall(id="call-1", fingerprint="print-1")
LATER = NOW + LEASE


def a_call() -> Call:
    return begun(PAID, Purpose.SUBJECTS, "anna", NOW, LEASE)


def test_a_call_is_held_until_its_lease_is_over():
    call = a_call()

    assert call.is_held(LATER - timedelta(milliseconds=1))
    assert not call.is_held(LATER)


def test_a_held_call_is_not_begun_again_and_says_how_long_it_is_held():
    with pytest.raises(StillRunning) as refusal:
        a_call().begun_again(NOW + timedelta(seconds=10), LEASE)

    assert refusal.value.retry_after_seconds == 20


def test_a_call_whose_worker_is_gone_is_begun_again_once_with_a_new_lease():
    again = a_call().begun_again(LATER, LEASE)

    assert (again.attempt, again.version, again.lease_until, again.updated_at) == (2, 2, LATER + LEASE, LATER)
    with pytest.raises(OutcomeUnknown, match="begun 2 times"):
        again.begun_again(LATER + LEASE, LEASE)


def test_an_attempt_that_cost_nothing_does_not_count_and_is_begun_again_at_once():
    call = a_call()
    for _ in range(5):
        call = call.failed(NOW, usage=NOTHING_USED, has_cost=False).begun_again(NOW, LEASE)

    assert call.attempt == 1


def test_an_attempt_that_may_have_cost_counts_and_is_begun_again_at_once():
    call = a_call().failed(NOW, usage=NOTHING_USED, has_cost=True)

    assert call.state is CallState.FAILED
    again = call.begun_again(NOW, LEASE).failed(NOW, usage=NOTHING_USED, has_cost=True)
    with pytest.raises(OutcomeUnknown):
        again.begun_again(NOW, LEASE)


@pytest.mark.parametrize(
    ("paid", "purpose"),
    [(PAID.model_copy(update={"fingerprint": "other"}), Purpose.SUBJECTS), (PAID, Purpose.TITLE)],
)
def test_an_id_that_was_used_for_something_else_is_refused(paid, purpose):
    with pytest.raises(KeyReused):
        a_call().check_same(paid, purpose)


def test_the_same_request_is_the_same_call():
    a_call().check_same(PAID, Purpose.SUBJECTS)


def test_what_attempts_used_is_added_up():
    call = a_call().failed(NOW, usage=Usage(10, 2, Decimal("0.5")), has_cost=True).begun_again(NOW, LEASE)

    done = call.done(("turn-1",), NOW, usage=Usage(30, 4, Decimal("0.25")), template="subjects@1")

    assert (done.state, done.products, done.template) == (CallState.DONE, ("turn-1",), "subjects@1")
    assert done.usage == Usage(40, 6, Decimal("0.75"))


def test_a_cost_is_unknown_only_if_no_price_was_known():
    assert total(Usage(1, 1), Usage(1, 1)).cost is None
    assert total(Usage(1, 1), Usage(1, 1, Decimal(2))).cost == 2


def test_ids_of_products_depend_on_the_call_and_the_number_alone():
    assert product_id("call-1") == product_id("call-1", 0)
    assert len({product_id("call-1"), product_id("call-1", 1), product_id("call-2")}) == 3
