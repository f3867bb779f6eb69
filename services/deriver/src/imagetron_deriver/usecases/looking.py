"""Where things are in a render: looked for once, and kept beside it for whoever cuts it again."""

from collections.abc import Iterable

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.logs import log
from imagetron_contracts.media import Dimensions
from imagetron_deriver.domain.findings import Finding
from imagetron_deriver.domain.subjects import Found
from imagetron_deriver.domain.windows import has_freedom


def must_look(render: Dimensions, sizes: Iterable[Dimensions]) -> bool:
    """Whether anything that is found could move a window."""
    return any(has_freedom(render, size) for size in sizes)


async def known_finding(render_key: str, work: Blobs) -> Found | None:
    key = _key(render_key)
    try:
        return Finding.model_validate_json(await work.get(key)).as_found()
    except BlobMissing:
        return None
    except ValidationError:
        log().warning("detection_unreadable", key=key)
        return None


async def keep_finding(render_key: str, found: Found, work: Blobs) -> None:
    """The first one stays."""
    data = Finding.of(found).model_dump_json().encode()
    await work.put_if_absent(_key(render_key), data, content_type="application/json")


def _key(render_key: str) -> str:
    folder, _, _ = render_key.rpartition("/")
    return f"{folder}/detection.json"
