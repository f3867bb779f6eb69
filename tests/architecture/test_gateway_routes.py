"""Every route of the gateway says what a caller must be allowed to do. A new route fails here until it does."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from contract.api.counter import Counter
from imagetron_gateway.api.access import Allowed, Scope

# Probes for the platform and the documentation: they show nothing of any caller.
OPEN_TO_ALL = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"}

SCOPES = {
    "GET /api/images/variations": Scope.READ,
    "POST /api/images/variations": Scope.WRITE,
    "GET /api/images/variations/name/{name}": Scope.READ,
    "GET /api/images/variations/{variation_id}": Scope.READ,
    "POST /api/images/variations/{variation_id}/regenerate": Scope.WRITE,
    "GET /api/jobs/{job_id}": Scope.READ,
    "POST /api/jobs/{job_id}/cancel": Scope.WRITE,
    "POST /api/jobs/{job_id}/retry": Scope.WRITE,
    "POST /api/jobs/{job_id}/replay": Scope.WRITE,
    "GET /api/jobs/{job_id}/families/{family}/crops": Scope.READ,
    "PATCH /api/jobs/{job_id}/families/{family}/crops": Scope.WRITE,
    "POST /image/enhance-prompt": Scope.WRITE,
    "POST /image/execute-prompt": Scope.WRITE,
    "GET /image/job-status/{job_id}": Scope.READ,
    "GET /image/job-list": Scope.READ,
    "POST /api/prompts/subjects": Scope.WRITE,
    "GET /api/prompts/subjects/history": Scope.READ,
    "DELETE /api/prompts/subjects/history": Scope.WRITE,
    "POST /api/prompts": Scope.WRITE,
    "GET /api/prompts": Scope.READ,
    "GET /api/prompts/statuses": Scope.READ,
    "GET /api/prompts/{prompt_id}": Scope.READ,
    "PATCH /api/prompts/{prompt_id}": Scope.WRITE,
    "POST /api/prompts/{prompt_id}/title": Scope.WRITE,
    "DELETE /api/prompts/{prompt_id}": Scope.WRITE,
    "POST /api/images/imagine": Scope.WRITE,
    "GET /api/images": Scope.READ,
    "GET /api/images/{image_id}": Scope.READ,
    "POST /api/images/{image_id}/reroll": Scope.WRITE,
    "POST /api/images/{image_id}/vary": Scope.WRITE,
    "POST /api/images/{image_id}/upscale": Scope.WRITE,
    "POST /api/images/sources": Scope.WRITE,
    "GET /api/images/sources/{source_id}": Scope.READ,
    "DELETE /api/images/sources/{source_id}": Scope.WRITE,
    "POST /webhooks/providers/{provider}/{token}": Scope.EVERYBODY,
    "GET /api/admin/queue": Scope.ADMIN,
    "GET /api/admin/queue/jobs": Scope.ADMIN,
    "POST /api/admin/queue/lanes/{lane}/pause": Scope.ADMIN,
    "POST /api/admin/queue/lanes/{lane}/resume": Scope.ADMIN,
    "POST /api/admin/queue/clear": Scope.ADMIN,
    "POST /api/admin/queue/retry": Scope.ADMIN,
    "GET /api/admin/dead-letters": Scope.ADMIN,
    "GET /api/admin/dead-letters/{queue}": Scope.ADMIN,
    "GET /api/admin/dead-letters/{queue}/{letter_id}": Scope.ADMIN,
    "POST /api/admin/dead-letters/{queue}/replay": Scope.ADMIN,
    "POST /api/admin/dead-letters/{queue}/drop": Scope.ADMIN,
    "GET /api/admin/audit": Scope.ADMIN,
    "GET /api/admin/events": Scope.ADMIN,
    "GET /api/images/models": Scope.EVERYBODY,
    "GET /api/images/families": Scope.EVERYBODY,
    "GET /api/images/health/ml": Scope.EVERYBODY,
    "GET /api/images/{variation_name}/{picture_name}": Scope.EVERYBODY,
    "HEAD /api/images/{variation_name}/{picture_name}": Scope.EVERYBODY,
    "GET /cdn/{job_id}/{file_name}": Scope.EVERYBODY,
    "HEAD /cdn/{job_id}/{file_name}": Scope.EVERYBODY,
}


def leaves(routes: list[BaseRoute]) -> Iterator[Any]:
    """Routes behind included routers too: FastAPI keeps those as one route with the router inside."""
    for route in routes:
        included = getattr(route, "original_router", None) or getattr(route, "app", None)
        if isinstance(included, APIRouter | FastAPI):
            yield from leaves(included.routes)
        else:
            yield route


def asked(dependant: Dependant) -> Iterator[Allowed]:
    if isinstance(dependant.call, Allowed):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from asked(inner)


def declared(application: FastAPI) -> dict[str, list[Scope]]:
    return {
        f"{method} {route.path}": [allowed.scope for allowed in asked(route.dependant)]
        for route in leaves(application.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def undeclared(application: FastAPI) -> list[str]:
    """Paths that ask nothing of a caller."""
    return [
        route.path
        for route in leaves(application.routes)
        if not isinstance(route, APIRoute) or not list(asked(route.dependant))
    ]


def test_every_route_declares_exactly_one_scope_and_it_is_the_one_of_this_table():
    assert declared(Counter().application) == {route: [scope] for route, scope in SCOPES.items()}


def test_only_probes_and_documentation_are_open_without_a_scope():
    assert set(undeclared(Counter().application)) == OPEN_TO_ALL


@pytest.mark.parametrize("where", ["application", "router", "plain"])
def test_a_route_that_forgets_its_scope_is_found(where):
    application = FastAPI()
    router = APIRouter()

    async def forgetful(_: int = Depends(lambda: 1)) -> None: ...

    match where:
        case "application":
            application.get("/new")(forgetful)
        case "router":
            router.get("/new")(forgetful)
            application.include_router(router)
        case _:
            application.add_route("/new", forgetful)  # type: ignore[arg-type]

    assert "/new" in undeclared(application)


def test_a_path_of_the_api_reaches_the_route_that_is_meant_for_it():
    """The pictures' two-segment names would catch these paths if they came first."""
    paths = [route.path for route in leaves(Counter().application.routes)]

    for path in ("/api/images/health/ml", "/api/images/variations/{variation_id}", "/api/images/models"):
        assert paths.index(path) < paths.index("/api/images/{variation_name}/{picture_name}")
