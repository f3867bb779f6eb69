"""The life of a paid call: begun before the money is spent, then done or failed; begun again when its worker is gone."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from imagetron_contracts.rpc import PaidCall
from imagetron_prompt.domain.errors import KeyReused, OutcomeUnknown, StillRunning
from imagetron_prompt.domain.written import NOTHING_USED, Usage

MAX_ATTEMPTS: Final = 2
"""That were paid for, or may have been."""
_PRODUCTS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "products.imagetron")


class Purpose(StrEnum):
    """What a text is written for."""

    ENHANCE = "enhance"
    SUBJECTS = "subjects"
    PROMPTS = "prompts"
    TITLE = "title"


class CallState(StrEnum):
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    """For good: whoever asks again gets the same answer, and nobody pays for it again."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call in the ledger. `attempt` counts those that were paid for, or may have been, the present one included."""

    id: str
    version: int
    owner: str
    purpose: Purpose
    fingerprint: str
    state: CallState
    attempt: int
    lease_until: datetime
    """Until then its worker may be at it; later it is taken for dead."""
    created_at: datetime
    updated_at: datetime
    usage: Usage = NOTHING_USED
    template: str | None = None
    products: tuple[str, ...] = ()
    """The ids of what the call made."""

    def is_held(self, now: datetime) -> bool:
        """Whether a worker may be at it."""
        return self.state is CallState.BEGUN and now < self.lease_until

    def check_same(self, paid: PaidCall, purpose: Purpose) -> None:
        """Raises KeyReused if the id was used for something else."""
        if (self.fingerprint, self.purpose) != (paid.fingerprint, purpose):
            raise KeyReused("this call's id was used before, for another request")

    def begun_again(self, now: datetime, lease: timedelta) -> "Call":
        """The next attempt. Raises StillRunning, OutcomeUnknown."""
        if self.is_held(now):
            raise StillRunning((self.lease_until - now).total_seconds())
        if self.attempt >= MAX_ATTEMPTS:
            raise OutcomeUnknown(f"the call was begun {self.attempt} times, and no answer of it was kept")
        return replace(self._next(now), state=CallState.BEGUN, attempt=self.attempt + 1, lease_until=now + lease)

    def done(self, products: tuple[str, ...], now: datetime, *, usage: Usage, template: str | None) -> "Call":
        """What it made is stored. What a call costs is added up, whoever was faster."""
        return replace(
            self._next(now),
            state=CallState.DONE,
            products=products,
            usage=total(self.usage, usage),
            template=template or self.template,
        )

    def failed(self, now: datetime, *, usage: Usage, has_cost: bool) -> "Call":
        """It may be begun again at once. An attempt that has cost nothing does not count."""
        return replace(
            self._next(now),
            state=CallState.FAILED,
            usage=total(self.usage, usage),
            attempt=self.attempt if has_cost else self.attempt - 1,
        )

    def refused(self, now: datetime, *, usage: Usage) -> "Call":
        """The language model declines, and would again."""
        return replace(self._next(now), state=CallState.REFUSED, usage=total(self.usage, usage))

    def _next(self, now: datetime) -> "Call":
        return replace(self, version=self.version + 1, updated_at=now)


def begun(paid: PaidCall, purpose: Purpose, owner: str, now: datetime, lease: timedelta) -> Call:
    """A call that nobody has asked for before."""
    return Call(
        id=paid.id,
        version=1,
        owner=owner,
        purpose=purpose,
        fingerprint=paid.fingerprint,
        state=CallState.BEGUN,
        attempt=1,
        lease_until=now + lease,
        created_at=now,
        updated_at=now,
    )


def product_id(call_id: str, number: int = 0) -> str:
    """The id of what a call makes: the same however often the call is carried out, so that it is stored once."""
    return str(uuid.uuid5(_PRODUCTS, f"{call_id}#{number}"))


def total(first: Usage, second: Usage) -> Usage:
    """Both together; the cost is that of those whose price is known."""
    costs = [cost for cost in (first.cost, second.cost) if cost is not None]
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cost=sum(costs, Decimal(0)) if costs else None,
    )
