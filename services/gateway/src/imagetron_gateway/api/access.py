"""Who calls, and what each route asks of them. Every route names its scope; deny is the default."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException

from imagetron_chassis.principals import Principal

Authenticate = Callable[[Request], Awaitable[Principal]]
"""Tells who sent a request, or raises."""


class Scope(StrEnum):
    """What a caller may be allowed to do."""

    READ = "images:read"
    WRITE = "images:write"
    ADMIN = "admin"
    """For operators: everybody's jobs, the queue, dead letters, all public events."""
    EVERYBODY = "everybody"
    """For what anyone may fetch: pictures under unguessable or published names, and the state of the models."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A dependency that gives the caller's principal if it has the scope."""

    scope: Scope

    async def __call__(self, request: Request) -> Principal:
        authenticate: Authenticate = request.app.state.authenticate
        principal = await authenticate(request)
        if self.scope is not Scope.EVERYBODY and not principal.has(self.scope):
            raise HTTPException(HTTPStatus.FORBIDDEN, f"this needs the scope {self.scope.value}")
        return principal
