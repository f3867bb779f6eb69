"""On whose behalf a request is carried out."""

from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import Caller


def principal_of(caller: Caller) -> Principal:
    """The caller as the stores know callers. The gateway has checked who it is and what it may do."""
    return Principal(owner=caller.owner, sees_all_owners=caller.sees_all_owners)
