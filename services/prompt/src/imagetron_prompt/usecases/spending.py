"""Paying once for what is asked once: the call is in the ledger before the money is spent, and what it made is stored
under ids that depend on the call alone.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError, Transient, UnknownOutcome
from imagetron_chassis.faults import fault_point
from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import PaidCall
from imagetron_prompt.domain.calls import Call, CallState, Purpose, begun
from imagetron_prompt.domain.errors import KeyReused, NotCarriedOut, NotFound, StillRunning
from imagetron_prompt.domain.written import NOTHING_USED, Usage, Written, usage_of
from imagetron_prompt.ports import Calls, Declined, Unusable

TextT = TypeVar("TextT")
MadeT = TypeVar("MadeT")
# On top of the writer's budget: the ledger, the products, a busy disk.
_STORING_SECONDS: Final = 10.0
_A_MOMENT_SECONDS: Final = 1.0
# A call has at most two workers at a time.
_COMMIT_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Order(Generic[TextT, MadeT]):
    """Something to pay for."""

    paid: PaidCall
    purpose: Purpose
    principal: Principal
    budget_seconds: float
    product_ids: tuple[str, ...]
    ask: Callable[[], Awaitable[Written[TextT]]]
    keep: Callable[[Written[TextT]], Awaitable[MadeT]]
    """Stores what is not stored yet; the answer is what is stored then. What was there first stays."""
    find: Callable[[], Awaitable[MadeT | None]]
    """What is stored of it already."""
    is_whole: Callable[[MadeT], bool] = lambda _: True

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.budget_seconds + _STORING_SECONDS)


async def spend(order: Order[TextT, MadeT], *, calls: Calls, clock: Clock) -> tuple[MadeT, bool]:
    """What was ordered, and whether it was there already (then nothing was paid for).

    Raises KeyReused, StillRunning, OutcomeUnknown, NotFound, and what asking and keeping raise.
    """
    claim = await _claim(order, calls, clock)
    call, made_before = claim
    if made_before is not None:
        return made_before, True
    fault_point("prompt.claimed")
    written: Written[TextT] | None = None
    try:
        written = await order.ask()
        fault_point("prompt.asked")
        made = await order.keep(written)
    except Declined as error:
        refused = call.refused(clock.now(), usage=usage_of(error))
        await calls.replace(refused, order.principal, if_version=call.version)
        raise
    except (ChassisError, NotCarriedOut) as error:
        used = written.usage if written else usage_of(error)
        has_cost = written is not None or used != NOTHING_USED or _may_have_cost(error)
        failed = call.failed(clock.now(), usage=used, has_cost=has_cost)
        # If somebody else has taken it over meanwhile, it is theirs to say how it ends.
        await calls.replace(failed, order.principal, if_version=call.version)
        raise
    fault_point("prompt.before_commit")
    await _complete(call, order, written.usage, written.template, calls, clock)
    return made, False


async def _claim(order: Order[TextT, MadeT], calls: Calls, clock: Clock) -> tuple[Call, MadeT | None]:
    """The call, ours to carry out; or with what it has made."""
    new = begun(order.paid, order.purpose, order.principal.owner, clock.now(), order.lease)
    if await calls.add(new, order.principal):
        return new, None
    call = await calls.get(order.paid.id, order.principal)
    if call is None:
        raise KeyReused("this call's id was used before, by somebody else")
    call.check_same(order.paid, order.purpose)
    if call.state is CallState.REFUSED:
        raise Declined("the language model declined to write this when it was asked")
    made = await order.find()
    if call.state is CallState.DONE:
        if made is None:
            raise NotFound("what this call made has been removed since")
        return call, made
    if made is not None and order.is_whole(made):
        # Its worker died between storing and saying so, or is about to say so: what is stored first stays.
        await _complete(call, order, NOTHING_USED, None, calls, clock)
        return call, made
    again = call.begun_again(clock.now(), order.lease)
    if not await calls.replace(again, order.principal, if_version=call.version):
        raise StillRunning(_A_MOMENT_SECONDS)
    return again, None


async def _complete(
    call: Call, order: Order[TextT, MadeT], used: Usage, template: str | None, calls: Calls, clock: Clock
) -> None:
    """What it made is stored, by whomever: the call is done, and both workers' costs are in the books."""
    latest: Call | None = call
    for _ in range(_COMMIT_TRIES):
        if latest is None:
            break
        done = latest.done(order.product_ids, clock.now(), usage=used, template=template)
        if await calls.replace(done, order.principal, if_version=latest.version):
            return
        latest = await calls.get(call.id, order.principal)
    raise Transient(f"call {call.id} could not be completed; what it made is stored, ask for it again")


def _may_have_cost(error: Exception) -> bool:
    return isinstance(error, UnknownOutcome | Unusable)
