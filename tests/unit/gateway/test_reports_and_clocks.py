"""A generator's clock may be minutes off: how fresh its reports are is judged by when they were heard."""

from datetime import timedelta

import pytest

from imagetron_chassis.testing import FakeClock
from imagetron_gateway.adapters.reports import FRESH, RecentReports
from support.builders import NOW, a_model_health


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_report_counts_from_when_it_was_heard_whatever_the_generators_clock_says(minutes: int):
    clock = FakeClock(NOW)
    reports = RecentReports(clock)
    report = a_model_health(at=NOW + timedelta(minutes=minutes))

    await reports.on_model_health(report)
    assert reports.model("preview") == report

    clock.advance(FRESH.total_seconds())
    assert reports.model("preview") is None
