"""What the routes that ask the prompt service have in common: on whose behalf, and which requests are paid for once."""

import hashlib
import uuid
from typing import Final

from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import Caller, PaidCall
from imagetron_gateway.api import schemas
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.domain.job import Idempotency

# Ten prompts take a language model several seconds; people wait half a minute for them, and no longer.
WRITING_SECONDS: Final = 30.0
# On top of that: the way there and back, and storing.
WRITTEN_WITHIN_SECONDS: Final = 33.0
READ_WITHIN_SECONDS: Final = 5.0
PROBLEMS: Final[schemas.Responses] = {
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
WRITING_PROBLEMS: Final[schemas.Responses] = {
    **PROBLEMS,
    409: {"model": Problem, "description": "The same request, by its Idempotency-Key, is still under way."},
}
_CALLS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "calls.imagetron")


def caller_of(principal: Principal) -> Caller:
    return Caller(owner=principal.owner, sees_all_owners=principal.sees_all_owners)


def paid_call(principal: Principal, idempotency: Idempotency | None) -> PaidCall:
    """The same for a request that is repeated under its Idempotency-Key, and a new one for each without."""
    if idempotency is None:
        return PaidCall(id=str(uuid.uuid4()), fingerprint="")
    # Hashed apart: no owner and key run together to those of somebody else.
    parts = (hashlib.sha256(part.encode()).hexdigest() for part in (principal.owner, idempotency.key))
    return PaidCall(id=str(uuid.uuid5(_CALLS, "/".join(parts))), fingerprint=idempotency.fingerprint)
