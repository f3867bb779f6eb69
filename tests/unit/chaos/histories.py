"""A history in which all went well, as small as can be; each test breaks one thing in it."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

from chaos.ledger import (
    Acknowledged,
    Attempt,
    Entry,
    Heard,
    History,
    Picture,
    Quiet,
    Run,
    Seen,
    Shown,
    Stored,
)
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.ids import event_id

JOB = "0193f1c2-0000-7000-8000-000000000001"
OTHER_JOB = "0193f1c2-0000-7000-8000-000000000002"
KEY = "chaos-1-0"
FAMILY = "facebook-og"
TABLE = FAMILIES[FAMILY]
SIZES = {FAMILY: TABLE.master, **{item.name: item.size for item in TABLE.derivatives}}


def object_key(name: str, job: str = JOB) -> str:
    return f"{job}/{name}.webp"


def url(name: str, job: str = JOB) -> str:
    return f"http://127.0.0.1:8015/cdn/{object_key(name, job)}"


URLS = {name: url(name) for name in SIZES}


def a_document(**fields: Any) -> dict[str, Any]:
    files = [
        {"name": name, "key": object_key(name), "size": {"width": size.width, "height": size.height}}
        for name, size in SIZES.items()
    ]
    document = {
        "_id": JOB,
        "name": KEY,
        "revision": 1,
        "sequence": 3,
        "status": "completed",
        "outbox": [],
        "families": {
            FAMILY: {
                "status": "completed",
                "attempt": 1,
                "requestsSent": 1,
                "images": [{"index": 0, "status": "published", "files": files}],
            }
        },
    }
    return copy.deepcopy(document | fields)


def an_event(sequence: int, message_type: str, job: str = JOB, **data: Any) -> Heard:
    return Heard(
        at=10.0 + sequence,
        id=event_id(job, sequence),
        type=message_type,
        job=job,
        sequence=sequence,
        digest=f"digest of {job} {sequence}",
        data={"variationId": job, "revision": 1} | data,
    )


def started() -> Heard:
    return an_event(1, "VARIATION_STARTED")


def family_completed() -> Heard:
    derivatives = {name: address for name, address in URLS.items() if name != FAMILY}
    return an_event(2, "FAMILY_COMPLETED", familyName=FAMILY, publicUrl=URLS[FAMILY], derivatives=derivatives)


def completed() -> Heard:
    return an_event(3, "VARIATION_COMPLETED", publicUrls={FAMILY: URLS})


_FAMILY_OF = {"queued": "waiting", "running": "generating"}


def seen(status: str, *, family: str | None = None, revision: int = 1, attempt: int = 1) -> Seen:
    families = {FAMILY: family or _FAMILY_OF.get(status, status)}
    return Seen(job=JOB, revision=revision, status=status, attempts={FAMILY: attempt}, families=families)


def shown(**fields: Any) -> Shown:
    pictures = [{"family": FAMILY, "name": name, "url": address} for name, address in URLS.items()]
    good: dict[str, Any] = {"job": JOB, "status": "completed", "revision": 1, "pictures": pictures}
    return Shown(**good | fields)


def a_picture(name: str, **fields: Any) -> Picture:
    size = SIZES[name]
    good: dict[str, Any] = {"key": object_key(name), "width": size.width, "height": size.height}
    return Picture(**good | fields)


def a_good_run() -> list[Entry]:
    """One job, made and told; one event came twice."""
    return [
        Run(seed=1, kills=60, jobs=1, commit="c", machine="m"),
        Attempt(key=KEY, gateway=0, answer="ConnectError"),
        Attempt(key=KEY, gateway=1, answer="202"),
        Acknowledged(key=KEY, job=JOB),
        seen("queued"),
        seen("running"),
        seen("completed"),
        started(),
        started(),
        family_completed(),
        completed(),
        shown(),
        Stored(document=a_document()),
        *(a_picture(name) for name in SIZES),
        Quiet(in_time=True, seconds=1.0),
    ]


def a_history(
    *,
    without: Callable[[Entry], bool] = lambda _: False,
    plus: Iterable[Entry] = (),
    document: dict[str, Any] | None = None,
) -> History:
    """The good run, but for what a test takes away, adds, or has the document say."""
    entries = [entry for entry in a_good_run() if not without(entry)]
    if document is not None:
        entries = [Stored(document=document) if isinstance(entry, Stored) else entry for entry in entries]
    return History([*entries, *plus])
