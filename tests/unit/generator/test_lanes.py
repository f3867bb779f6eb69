from itertools import product

import pytest

from imagetron_contracts.stages import Lane
from imagetron_generator.domain.lanes import next_lane

BOTH = (Lane.INTERACTIVE, Lane.BATCH)


def test_nobody_is_called_when_nobody_waits():
    assert next_lane((), 0) is None


@pytest.mark.parametrize(("lane", "in_a_row"), list(product(BOTH, range(25))))
def test_the_only_waiting_lane_is_called_whatever_was_before(lane, in_a_row):
    assert next_lane((lane,), in_a_row) is lane


@pytest.mark.parametrize("in_a_row", range(9))
def test_interactive_goes_first_up_to_nine_times_in_a_row(in_a_row):
    assert next_lane(BOTH, in_a_row) is Lane.INTERACTIVE


@pytest.mark.parametrize("in_a_row", range(9, 25))
def test_every_tenth_turn_goes_to_batch_when_batch_waits(in_a_row):
    assert next_lane(BOTH, in_a_row) is Lane.BATCH
