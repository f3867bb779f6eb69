"""Limits that a process can hold."""

import pytest

from imagetron_chassis.pictures.values import PictureLimits


@pytest.mark.parametrize(
    "limit",
    [{"max_bytes": 0}, {"max_pixels": 0}, {"max_pixels": 40_000_001}, {"max_side": 0}, {"max_side": 8193}],
    ids=str,
)
def test_limits_beyond_what_a_process_can_hold_are_an_error(limit):
    with pytest.raises(ValueError, match="at most 40000000 pixels"):
        PictureLimits(**limit)
