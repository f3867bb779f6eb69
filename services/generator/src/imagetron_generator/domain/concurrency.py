"""How much of the model's server this process may use: less when it pushes back, slowly more when it goes well. Pure."""

from dataclasses import dataclass, replace
from typing import Final

# One more for every twenty good images.
GOOD_FOR_ONE_MORE: Final = 20


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """Additive increase, multiplicative decrease. Starts at its bound: that is the operator's figure, and low already."""

    bound: int
    now: int
    good: int = 0
    lowered_at: float = float("-inf")

    @classmethod
    def at_most(cls, bound: int) -> "ConcurrencyLimit":
        return cls(bound, bound)

    def after_good(self) -> "ConcurrencyLimit":
        """One more picture was made."""
        if self.good + 1 < GOOD_FOR_ONE_MORE:
            return replace(self, good=self.good + 1)
        return replace(self, good=0, now=min(self.bound, self.now + 1))

    def after_push_back(self, *, began_at: float, ended_at: float) -> "ConcurrencyLimit":
        """The server could not take a call. Calls that began before the last cut say nothing new: they were too many then."""
        if began_at < self.lowered_at:
            return self
        return replace(self, good=0, now=max(1, self.now // 2), lowered_at=ended_at)
