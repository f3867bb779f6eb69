"""`/api/images/families`: the shapes that pictures are made in, as the operator configured them."""

from typing import Annotated

from fastapi import APIRouter, Depends

from imagetron_chassis.principals import Principal
from imagetron_contracts.families import Family, FamilyTable
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope

Anyone = Annotated[Principal, Depends(Allowed(Scope.EVERYBODY))]


def families_router(table: FamilyTable) -> APIRouter:
    router = APIRouter(prefix="/api/images", tags=["families"])

    @router.get("/families", summary="The families, their masters and derivatives", response_description="The table.")
    async def families(_: Anyone) -> schemas.AspectFamilyList:
        return schemas.AspectFamilyList(items=[_shown(family) for family in table.families])

    return router


def _shown(family: Family) -> schemas.AspectFamilyShown:
    return schemas.AspectFamilyShown(
        name=family.name,
        aliases=list(family.aliases),
        ratio=family.ratio,
        master=family.master,
        derivatives=[schemas.DerivativeShown(name=item.name, size=item.size) for item in family.derivatives],
    )
