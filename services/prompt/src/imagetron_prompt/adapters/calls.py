"""The ledger of paid calls over the chassis' document store. It holds ids, times and costs, and no text."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from imagetron_chassis.documents import Collection, Document, Documents, Duplicate, Equals
from imagetron_chassis.principals import Principal
from imagetron_prompt.domain.calls import Call, CallState, Purpose
from imagetron_prompt.domain.written import Usage

CALLS: Final = Collection("calls", indexes=(("owner", "createdAt"), ("createdAt",)))
# Whole numbers add up exactly; one token of the cheapest models costs some ten nanodollars.
_NANODOLLARS: Final = 10**9


class DocumentCalls:
    """Implements the Calls port over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(CALLS)

    async def add(self, call: Call, principal: Principal) -> bool:
        _check_own(call, principal)
        try:
            await self._documents.insert(CALLS, _document(call))
        except Duplicate:
            return False
        return True

    async def get(self, call_id: str, principal: Principal) -> Call | None:
        document = await self._documents.get(CALLS, call_id, Equals("owner", principal.owner))
        return _call(document) if document else None

    async def replace(self, call: Call, principal: Principal, *, if_version: int) -> bool:
        _check_own(call, principal)
        return await self._documents.replace(CALLS, _document(call), if_version=if_version)


def _check_own(call: Call, principal: Principal) -> None:
    if call.owner != principal.owner:
        raise PermissionError(f"{principal.owner} cannot keep the books of {call.owner}")


def _document(call: Call) -> Document:
    cost = call.usage.cost
    return {
        "_id": call.id,
        "version": call.version,
        "owner": call.owner,
        "purpose": call.purpose.value,
        "fingerprint": call.fingerprint,
        "state": call.state.value,
        "attempt": call.attempt,
        "leaseUntil": call.lease_until,
        "inputTokens": call.usage.input_tokens,
        "outputTokens": call.usage.output_tokens,
        "costNanodollars": None if cost is None else int((cost * _NANODOLLARS).to_integral_value()),
        "template": call.template,
        "products": list(call.products),
        "createdAt": call.created_at,
        "updatedAt": call.updated_at,
    }


def _call(document: Mapping[str, Any]) -> Call:
    cost = document["costNanodollars"]
    return Call(
        id=document["_id"],
        version=document["version"],
        owner=document["owner"],
        purpose=Purpose(document["purpose"]),
        fingerprint=document["fingerprint"],
        state=CallState(document["state"]),
        attempt=document["attempt"],
        lease_until=document["leaseUntil"],
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
        usage=Usage(
            document["inputTokens"],
            document["outputTokens"],
            None if cost is None else Decimal(cost) / _NANODOLLARS,
        ),
        template=document["template"],
        products=tuple(document["products"]),
    )
