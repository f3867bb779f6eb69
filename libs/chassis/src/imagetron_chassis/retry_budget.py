"""How often a process may try again at once: a token bucket, pure. When it is empty, retries wait in the retry queue.

Without it, an outage would make every worker call three times as often, exactly when the other side can take least.
"""

from typing import Final

# One retry for ten requests, the share that Google's SRE book gives; whole units, so that tenths never add up wrongly.
_RETRY_COSTS: Final = 10
_REQUEST_EARNS: Final = 1
# Ten more at any time: a worker with little to do must not lose its patience over a single hiccup.
_MOST: Final = 10 * _RETRY_COSTS


class RetryBudget:
    """Retries are at most a tenth of the requests, and ten more. Starts full."""

    def __init__(self) -> None:
        self._units = _MOST

    def request(self) -> None:
        """A first try was made: it earns a tenth of a retry."""
        self._units = min(_MOST, self._units + _REQUEST_EARNS)

    def spend(self) -> bool:
        """Whether one more retry may be made now; if so, it is paid for."""
        if self._units < _RETRY_COSTS:
            return False
        self._units -= _RETRY_COSTS
        return True
