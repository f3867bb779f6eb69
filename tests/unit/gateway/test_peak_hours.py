"""Peak hours: a daily window in a time zone, on some days; its begin belongs to it, its end does not."""

from datetime import UTC, datetime

import pytest

from imagetron_gateway.domain.peak_hours import PeakHours


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "is_peak"),
    [
        ("09:00-18:00", "2026-01-01T08:59:59", False),
        ("09:00-18:00", "2026-01-01T09:00:00", True),
        ("09:00-18:00", "2026-01-01T17:59:59", True),
        ("09:00-18:00", "2026-01-01T18:00:00", False),
        # Berlin is an hour ahead of UTC in winter, two in summer.
        ("09:00-18:00 Europe/Berlin", "2026-01-01T08:00:00", True),
        ("09:00-18:00 Europe/Berlin", "2026-07-01T07:00:00", True),
        ("09:00-18:00 Europe/Berlin", "2026-07-01T16:00:00", False),
        # The first of January 2026 is a Thursday, the third a Saturday.
        ("Mon-Fri 09:00-18:00", "2026-01-01T12:00:00", True),
        ("Mon-Fri 09:00-18:00", "2026-01-03T12:00:00", False),
        ("Sat 09:00-18:00", "2026-01-03T12:00:00", True),
        ("Sat-Mon 09:00-18:00", "2026-01-05T12:00:00", True),
        ("Sat-Mon 09:00-18:00", "2026-01-06T12:00:00", False),
        # Past midnight: the morning belongs to the day before.
        ("Thu 22:00-06:00", "2026-01-01T23:00:00", True),
        ("Thu 22:00-06:00", "2026-01-02T05:59:00", True),
        ("Thu 22:00-06:00", "2026-01-02T06:00:00", False),
        ("Thu 22:00-06:00", "2026-01-02T23:00:00", False),
        ("Thu 22:00-06:00", "2026-01-01T05:00:00", False),
    ],
)
def test_a_moment_lies_in_the_window_or_not(hours, now, is_peak):
    assert PeakHours.parse(hours).contains(at(now)) is is_peak


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("nine to five", "cannot be read; write them like"),
        ("9:00-18:00", "cannot be read"),
        ("25:00-26:00", "hours go from 00:00 to 23:59"),
        ("09:00-09:00", "begin and end are the same"),
        ("Mon-Fry 09:00-18:00", "there is no day Fry"),
        ("09:00-18:00 Europe/Atlantis", "there is no time zone Europe/Atlantis"),
        ("09:00-18:00 ../../etc/passwd", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_fix(text, fix):
    with pytest.raises(ValueError, match=fix):
        PeakHours.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("09:00-18:00", "daily 09:00-18:00 UTC"),
        ("Mon-Wed 09:00-18:00 Europe/Berlin", "Mon,Tue,Wed 09:00-18:00 Europe/Berlin"),
    ],
)
def test_it_reads_back_in_words(text, shown):
    assert str(PeakHours.parse(text)) == shown
