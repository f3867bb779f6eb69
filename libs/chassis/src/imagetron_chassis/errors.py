"""The error tree of the chassis. Adapters translate their library's errors into these; use cases never see a driver's.

ChassisError
├── Retryable                 another try may succeed; the class decides the schedule (delivery.py)
│   ├── Transient             no effect happened: refused, unavailable, busy
│   ├── UnknownOutcome        the effect may have happened: look before trying again
│   ├── RateLimited           the other side asked us to slow down: spends no try, has an age limit
│   ├── QuotaExceeded         money or quota is spent: parked, an operator must act
│   └── ResourceExhausted     too big for the worker or the GPU: tried once more, then permanent
├── Permanent                 no try will work
└── Poison                    the message itself cannot be read: dead-letter at once

No class for a cancelled job: that is an outcome and no error. Its handler returns no facts, and the message is acked.
"""


class ChassisError(Exception):
    """Something that the chassis knows how to answer. The message is a sentence: what failed, for which id."""


class Retryable(ChassisError):
    """Another try may succeed."""


class Transient(Retryable):
    """No effect happened; try again soon."""


class UnknownOutcome(Retryable):
    """The effect may have happened; the next try looks before it repeats it (deterministic keys make that a no-op)."""


class RateLimited(Retryable):
    """The other side asked us to slow down; waiting spends time, not tries, and a day of it is enough."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class QuotaExceeded(Retryable):
    """Money or quota is spent; nothing but an operator's act helps."""


class ResourceExhausted(Retryable):
    """Too big for the worker or the GPU as asked; one more try elsewhere, then permanent."""


class Permanent(ChassisError):
    """No try will work."""


class Poison(ChassisError):
    """The message cannot be read: broken JSON, an unknown type, a newer major version."""
