"""Strong ETags of documents with a version, and the If-Match header (RFC 9110 section 13.1.1)."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header

from imagetron_gateway.api.problems import BadHeader

_TAG: Final = re.compile(r'(?P<weak>W/)?"(?P<value>[\x21\x23-\x7e]*)"')
_VERSION: Final = re.compile(r"[0-9]{1,9}")
# No document has this version: a tag that is none of ours is one of an older state.
_NEVER: Final = 0


def etag(version: int) -> str:
    return f'"{version}"'


async def _read(
    if_match: Annotated[
        str | None,
        Header(
            description="The `ETag` of the state that you know: if there is another one by now, nothing is changed (412)."
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise BadHeader("If-Match: send one ETag as it came, in its quotes, or *")
    # By the RFC a weak tag never matches here.
    is_ours = found["weak"] is None and _VERSION.fullmatch(found["value"])
    return int(found["value"]) if is_ours else _NEVER


IfVersion = Annotated[int | None, Depends(_read)]
"""The version that the caller knows; None if it does not say."""
