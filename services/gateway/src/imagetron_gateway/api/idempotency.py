"""The Idempotency-Key header (IETF draft-ietf-httpapi-idempotency-key-header-07): read, checked, fingerprinted."""

import hashlib
import json
import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from imagetron_gateway.api.problems import BadHeader
from imagetron_gateway.api.schemas import undefaulted
from imagetron_gateway.domain.job import Idempotency
from imagetron_gateway.domain.naming import job_id_of

# The draft writes the key as a quoted string; most clients leave the quotes out.
_KEY: Final = re.compile(
    r'"(?P<quoted>[\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"|(?P<bare>[\x21\x23-\x7e][\x20-\x21\x23-\x7e]{0,254})'
)
REPLAYED: Final = "Idempotency-Replayed"
DESCRIPTION: Final = (
    "A new value (a UUID, say) for each request: sent again with the same value and body, for instance after a broken "
    "connection, the request is not carried out twice, and the first answer comes back with `Idempotency-Replayed: true`. "
    "Another body under the same value is refused (422). Values belong to their caller. That of a submission is kept as long "
    "as its job; those of retries and regenerations with their job, the newest 50."
)


async def _read(
    request: Request, key: Annotated[str | None, Header(alias="Idempotency-Key", description=DESCRIPTION)] = None
) -> str | None:
    if key is None:
        return None
    found = _KEY.fullmatch(key.strip())
    if found is None or len(request.headers.getlist("idempotency-key")) > 1:
        raise BadHeader("Idempotency-Key: send it once, as 1 to 255 printable ASCII characters")
    return found["quoted"] or found["bare"]


Key = Annotated[str | None, Depends(_read)]
"""The caller's key, without quotes; None if it sent none."""


def identified(key: str | None, request: Request, body: BaseModel | None = None, **query: object) -> Idempotency | None:
    """Key and fingerprint: method, path, what the query means, and what the body means. How it was written, and whether a
    default was said or left out, makes no other request of it.
    """
    if key is None:
        return None
    # However an id is written, it is the same job.
    path = "/".join(map(job_id_of, request.url.path.split("/")))
    asked = [request.method, path, query, _meaning(body) if body else {}]
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return Idempotency(key=key, fingerprint=hashlib.sha256(canonical.encode()).hexdigest())


def _meaning(body: BaseModel) -> dict[str, Any]:
    """What was said and is not what would hold without a word."""
    said = body.model_dump(mode="json", exclude_unset=True)
    for name, field in type(body).model_fields.items():
        value = getattr(body, name)
        # A default that stands for the model's own is no value: who says it means it.
        if field.json_schema_extra is not undefaulted and not field.is_required() and value == field.get_default():
            said.pop(name, None)
        elif isinstance(value, BaseModel):
            said[name] = _meaning(value)
    return said


def say_replayed(response: Response, *, is_replay: bool) -> None:
    if is_replay:
        response.headers[REPLAYED] = "true"
