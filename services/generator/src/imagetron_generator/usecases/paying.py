"""Paying for direct calls: in the books before the money is spent, one worker at a time, and not more often than agreed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import ChassisError, Permanent, RateLimited, UnknownOutcome
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import FamilyMessage
from imagetron_generator.domain.paid_calls import PaidCall, no_call_yet
from imagetron_generator.ports import PaidCalls
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.watch import Watch

# On top of the call's own time: a busy machine.
_SPARE_SECONDS: Final = 30.0
_COME_BACK_SECONDS: Final = 5.0
_repeated = metrics.get_meter(__name__).create_counter(*measures.PAID_CALLS_REPEATED)


class CallInHand(RateLimited):
    """Another worker is calling for this image, or died of it a short while ago."""

    failure_code = FailureCode.MODEL_UNAVAILABLE


class PaidEnough(Permanent):
    """As many calls as one image may cost were made, and no answer was kept."""

    failure_code = FailureCode.WORK_LOST


@dataclass(frozen=True, slots=True)
class Till:
    """What paying needs. `owner` names this process."""

    calls: PaidCalls
    clock: Clock
    watch: Watch
    owner: str


@asynccontextmanager
async def paid_call(
    work: FamilyMessage, index: int, *, provider: str, deadline_seconds: float, till: Till
) -> AsyncIterator[None]:
    """Make the call for one image inside the block, and look for a picture that is kept before it.

    Raises CallInHand while somebody else is at it, and PaidEnough instead of a third call. An error of the block that had no
    effect is not counted; a block that is cancelled, or whose outcome is unknown, is.
    """
    call = await _begun(work, index, provider, deadline_seconds, till)
    fault_point("paid_call.claimed")
    has_cost = True
    try:
        yield
    except ChassisError as error:
        has_cost = isinstance(error, UnknownOutcome)
        raise
    finally:
        await _end(call, till, has_cost=has_cost)


async def _begun(work: FamilyMessage, index: int, provider: str, deadline_seconds: float, till: Till) -> PaidCall:
    new = no_call_yet(work, index, provider, till.clock.now())
    call = await till.calls.get(new.id)
    if call is None:
        await till.calls.add(new)  # If somebody else adds it now, his claim or ours comes first below.
        call = new
    if till.watch.holds(call.id, call.fence, call.lease):
        raise CallInHand(
            f"image {index} of family {work.family} is being paid for already", retry_after_seconds=_COME_BACK_SECONDS
        )
    if call.is_spent:
        raise PaidEnough(
            f"the provider {provider} was called {call.calls} times for image {index}, and no answer was kept; "
            f"please quote {call.id[:12]}"
        )
    begun = call.begun(till.owner, deadline_seconds + _SPARE_SECONDS, till.clock.now())
    if not await till.calls.replace(begun, if_version=call.version):
        raise CallInHand(
            f"image {index} of family {work.family} was claimed a moment ago", retry_after_seconds=_COME_BACK_SECONDS
        )
    till.watch.holds(begun.id, begun.fence, begun.lease)  # From here on its time runs for this process.
    if begun.calls > 1:
        _repeated.add(1, {semconv.PROVIDER: provider})
        log().warning("paid_call_repeated", provider=provider, family=work.family, index=index, calls=begun.calls)
    return begun


async def _end(call: PaidCall, till: Till, *, has_cost: bool) -> None:
    """The books are closed as well as can be: a claim that stays open ends by itself."""
    try:
        if not await till.calls.replace(call.ended(till.clock.now(), has_cost=has_cost), if_version=call.version):
            log().warning("paid_call_overtaken", provider=call.provider, call=call.id)
    except ChassisError as error:
        log().warning("paid_call_not_closed", provider=call.provider, call=call.id, reason=str(error))
