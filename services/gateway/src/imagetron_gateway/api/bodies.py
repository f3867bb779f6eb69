"""The body of a request that its route reads by itself: as it comes, counted, under a limit and a deadline of the route's own.

For routes whose path the middleware leaves alone; every other body is read, and limited, before the route is known.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Final

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from imagetron_gateway.api.problems import problem

_READ_BY_ROUTE: Final = re.compile(r"/webhooks/providers/[^/]+/[^/]+|/api/images/sources")


def is_read_by_route(method: str, path: str) -> bool:
    """Whether a route reads this body by itself, after it knows who sends it. All others are read before."""
    return method == "POST" and _READ_BY_ROUTE.fullmatch(path) is not None


class BodyRefused(Exception):
    """The body is too long, too slow, or did not come whole. `answer` is the problem to answer with."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail

    def answer(self) -> Response:
        # Not where a body is too long: closing would reset the connection, and who is still sending would see no answer.
        is_slow = self.status is HTTPStatus.REQUEST_TIMEOUT
        return problem(self.status, self.code, self.detail, headers={"Connection": "close"} if is_slow else None)


async def read_body(request: Request, *, max_bytes: int, seconds: float) -> bytes:
    """The whole body. Raises BodyRefused as soon as it is certain that it is too long, whatever Content-Length says."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    too_long = f"the body is longer than {max_bytes} bytes; nothing was stored"
                    raise BodyRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", too_long)
                chunks.append(chunk)
    except TimeoutError as error:
        late = f"the body did not arrive within {seconds:g} s; nothing was stored"
        raise BodyRefused(HTTPStatus.REQUEST_TIMEOUT, "body-too-slow", late) from error
    except ClientDisconnect as error:
        raise BodyRefused(HTTPStatus.BAD_REQUEST, "body-incomplete", "the caller left amid the body") from error
    return b"".join(chunks)
