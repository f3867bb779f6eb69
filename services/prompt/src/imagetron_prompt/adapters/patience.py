"""Which failed calls of a language model are made again, and after which pause. Pure: the caller waits and calls."""

import random
from dataclasses import dataclass, field
from typing import Final

from imagetron_chassis.errors import ChassisError, RateLimited, Transient
from imagetron_prompt.ports import Unusable


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is tried again. `reserve` is the share of the budget that must be left when another try begins.

    A try that begins too late ends as an unknown outcome: paid for, perhaps, and with nothing to show.
    """

    pauses_seconds: tuple[float, ...]
    reserve: float
    waits_out_rate_limits: bool = False


PATIENT: Final = Patience((1.0, 2.0), reserve=0.25, waits_out_rate_limits=True)
HURRIED: Final = Patience((0.2,), reserve=0.5)
"""Somebody looks at a screen and waits."""


@dataclass(slots=True)
class Tries:
    """The tries of one request. What may have been paid for, and what no try mends, is never tried again."""

    patience: Patience
    budget_seconds: float
    _transient: int = field(default=0, init=False)
    _limited: int = field(default=0, init=False)

    def pause_after(self, error: ChassisError, seconds_left: float) -> float | None:
        """Seconds to wait before the next try; None if there is to be none."""
        pause = self._wanted(error)
        if pause is None or seconds_left - pause < self.patience.reserve * self.budget_seconds:
            return None
        return pause

    def _wanted(self, error: ChassisError) -> float | None:
        pauses = self.patience.pauses_seconds
        if isinstance(error, Unusable):
            # It was paid for, and how often a call is paid for is the ledger's to say.
            return None
        if isinstance(error, Transient):
            self._transient += 1
            return _spread(pauses[self._transient - 1]) if self._transient <= len(pauses) else None
        if isinstance(error, RateLimited) and self.patience.waits_out_rate_limits:
            self._limited += 1
            own = _spread(pauses[min(self._limited, len(pauses)) - 1])
            # Never sooner than the server says; and never at once, for servers that say nothing or nought.
            return max(own, error.retry_after_seconds or 0.0)
        return None


def _spread(pause: float) -> float:
    """Up to a quarter longer, so that those who failed together do not come back together."""
    return pause * random.uniform(1.0, 1.25)  # noqa: S311 - only to spread the repetitions
