"""Hours in which batch work waits, so that the machines are there for people: `Mon-Fri 09:00-18:00 Europe/Berlin`."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM: Final = re.compile(
    r"(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))? )?"
    r"(?P<begin>\d{2}:\d{2})-(?P<end>\d{2}:\d{2})(?: (?P<zone>[A-Za-z0-9_+/-]+))?"
)
_EXAMPLE: Final = "write them like `Mon-Fri 09:00-18:00 Europe/Berlin`"


@dataclass(frozen=True, slots=True)
class PeakHours:
    """A daily window on some days of the week. One that ends before it begins runs past midnight, and belongs to the day
    on which it began.
    """

    days: frozenset[int]
    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Days (default all) and zone (default UTC) may be left out. Raises ValueError with the fix."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"cannot be read; {_EXAMPLE}")
        try:
            zone = ZoneInfo(found["zone"] or "UTC")
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {found['zone']}; {_EXAMPLE}") from error
        try:
            begin, end = time.fromisoformat(found["begin"]), time.fromisoformat(found["end"])
        except ValueError as error:
            raise ValueError(f"hours go from 00:00 to 23:59; {_EXAMPLE}") from error
        if begin == end:
            raise ValueError("begin and end are the same; to stop a lane altogether, pause it")
        return cls(_days(found["first"], found["last"]), begin, end, zone)

    def contains(self, now: datetime) -> bool:
        """Whether `now` (aware) lies in the window; its begin does, its end does not."""
        local = now.astimezone(self.zone)
        today, yesterday = local.weekday(), (local - timedelta(days=1)).weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= local.time() < self.end
        return (today in self.days and local.time() >= self.begin) or (
            yesterday in self.days and local.time() < self.end
        )

    def __str__(self) -> str:
        days = "daily" if len(self.days) == len(_DAYS) else ",".join(_DAYS[day] for day in sorted(self.days))
        return f"{days} {self.begin:%H:%M}-{self.end:%H:%M} {self.zone.key}"


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(len(_DAYS)))
    if unknown := [day for day in (first, last) if day and day not in _DAYS]:
        raise ValueError(f"there is no day {unknown[0]}; days are {', '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return frozenset((begin + step) % len(_DAYS) for step in range((end - begin) % len(_DAYS) + 1))
