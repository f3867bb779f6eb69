"""What an owner reads when a delivery ran out of its time."""

from imagetron_chassis.delivery import HeldTooLong
from imagetron_chassis.verdicts import GiveUp, decide
from imagetron_contracts.failures import FailureCode


def test_work_that_never_ends_in_time_is_told_as_a_deadline_and_not_as_a_store_that_is_away():
    assert decide(HeldTooLong("not done within 600 s"), 3, somebody_waits=True) == GiveUp(FailureCode.DEADLINE_EXCEEDED)
