"""What the gateway's use cases need from outside."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from imagetron_chassis.cursors import InvalidCursor as InvalidCursor  # noqa: PLC0414 - part of this port
from imagetron_chassis.principals import Principal
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Message
from imagetron_contracts.rpc import Request, RequestRefused
from imagetron_contracts.spec import ParentImage
from imagetron_contracts.stages import Lane, ModelHealth, Progress
from imagetron_gateway.domain.callbacks import InboxItem
from imagetron_gateway.domain.job import Image, Job, JobKind, JobStatus, Render
from imagetron_gateway.domain.previews import Preview
from imagetron_gateway.domain.sources import Pixels, Source


class NameTaken(Exception):
    """Another variation has this name; nothing was stored."""


class KeyTaken(Exception):
    """The owner has used this Idempotency-Key before; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the cursor of the next page (None: that was the last)."""

    jobs: Sequence[Job]
    next: str | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs ended in a span of time, and when the first of them did (None: none did)."""

    count: int
    first_at: datetime | None


class Jobs(Protocol):
    """The job documents. A principal sees its own; what it may not see does not exist for it."""

    async def insert(self, job: Job, principal: Principal) -> None:
        """Store a new job. Raises NameTaken, KeyTaken."""
        ...

    async def get(self, job_id: str, principal: Principal) -> Job | None: ...

    async def by_name(self, name: str, principal: Principal) -> Job | None: ...

    async def by_key(self, key: str, principal: Principal) -> Job | None:
        """The job that the principal's owner submitted with this Idempotency-Key."""
        ...

    async def page(self, principal: Principal, *, after: str | None, limit: int, kind: JobKind | None = None) -> Page:
        """Newest first, perhaps of one kind alone. Raises InvalidCursor on a cursor that this method did not make."""
        ...

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        """Store the changed job if nobody changed it meanwhile; say whether that happened."""
        ...

    async def waiting_owners(self, lane: Lane, principal: Principal, *, after: str | None, limit: int) -> Sequence[str]:
        """Owners with families that wait for admission, in alphabetical order from the one after `after`, round the end."""
        ...

    async def waiting(self, lane: Lane, owner: str, principal: Principal, *, limit: int) -> Sequence[Job]:
        """The owner's jobs with families that wait for admission, those that began to wait first."""
        ...

    async def count_waiting(self, lane: Lane, principal: Principal, *, before: datetime | None = None) -> int:
        """How many jobs of the lane wait for admission; with `before`, those that began to wait before then."""
        ...

    async def finished(self, lane: Lane, principal: Principal, *, since: datetime) -> Pace:
        """How many jobs of the lane have ended since then, and when the first of them did."""
        ...

    async def in_flight(self, principal: Principal) -> dict[str, int]:
        """How many families of each lane are in the broker's window."""
        ...

    async def due(self, now: datetime, principal: Principal, *, limit: int) -> Sequence[Job]:
        """Jobs whose next check is at or before now."""
        ...


class PromptsRefused(Exception):
    """The prompt service answered that it will not or cannot do this, and why."""

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


ReplyT = TypeVar("ReplyT", bound=Message)


class Prompts(Protocol):
    """The prompt service: language models, and the prompts and chats that people keep."""

    async def ask(self, request: Request, reply: type[ReplyT], *, within_seconds: float) -> ReplyT:
        """Its answer. Raises PromptsRefused; Transient of the chassis when it cannot be reached or does not answer in time:
        then nobody knows whether it has done what was asked.
        """
        ...


class Specs(Protocol):
    """Where the workers read what no message may carry."""

    async def write(self, job: Job) -> None:
        """Store the spec of the job's current revision. Writing it again changes nothing."""
        ...

    async def mark_cancelled(self, job_id: str, revision: int) -> None:
        """Leave the durable marker that every stage looks for. Leaving it again changes nothing."""
        ...


class ParentGone(Exception):
    """The pixels of an image are no longer kept anywhere, or only in a file that nothing can be made from."""


@dataclass(frozen=True, slots=True)
class ParentPicture:
    """Where an image's pixels lie in the work store, and how large they are."""

    key: str
    size: Dimensions


class Parents(Protocol):
    """The pixels of images that others are made from."""

    async def picture(self, image: Image, place: ParentImage, *, is_watermarked: bool = False) -> ParentPicture:
        """The render, else the published master, unless a watermark is written on that. Raises ParentGone."""
        ...


class RenderGone(Exception):
    """The render of an image is no longer in the work store, or no longer a picture. The sentence says which."""


class Previews(Protocol):
    """Renders with something drawn on them."""

    async def draw(self, render: Render, preview: Preview) -> bytes:
        """A small PNG. Raises RenderGone; Transient of the chassis if it cannot be drawn now."""
        ...


class Outbox(Protocol):
    """Sends a document's pending messages soon."""

    def kick(self, document_id: str) -> None: ...


class Reports(Protocol):
    """What generators said of late. Hints: they may be missing, and nothing is decided by them alone."""

    def model(self, provider_model: str) -> ModelHealth | None:
        """The newest report of this model, if it is fresh."""
        ...

    def progress(self, job_id: str, revision: int, family: str) -> Sequence[Progress]:
        """The newest step of each image of the family."""
        ...


class Hearing(Protocol):
    """Takes in hints as they come."""

    async def on_model_health(self, report: ModelHealth) -> None: ...

    async def on_progress(self, progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing of a lane is admitted, since when, and who said so."""

    by: str
    at: datetime
    reason: str


class Controls(Protocol):
    """What operators have set. It outlives restarts and holds for every replica."""

    async def pause_of(self, lane: Lane) -> Pause | None:
        """The pause in force, if the lane is paused."""
        ...

    async def pause(self, lane: Lane, pause: Pause) -> Pause:
        """Pause the lane. One that is paused already stays as it is: the answer is the pause in force."""
        ...

    async def resume(self, lane: Lane) -> Pause | None:
        """Lift the pause; the answer is the one that was lifted, if there was one."""
        ...


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did what, and when. Details hold ids, counts and an operator's own reason; never what jobs are about."""

    id: str
    at: datetime
    by: str
    what: str
    details: dict[str, str | int | list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some lines, newest first, and the cursor of the next page (None: that was the last)."""

    lines: Sequence[AuditLine]
    next: str | None


class Audit(Protocol):
    """Append-only: there is no way to change or remove a line."""

    async def add(self, line: AuditLine) -> None: ...

    async def page(self, *, after: str | None, limit: int) -> AuditPage:
        """Newest first. Raises InvalidCursor on a cursor that this method did not make."""
        ...


Place = tuple[datetime, str]
"""When a job ended, and its id: where a walk over ended jobs has come to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Ended jobs, oldest end first, without those that cannot be read; `last` is where the walk stopped."""

    jobs: Sequence[Job]
    last: Place | None
    is_all: bool


class JobViews(Protocol):
    """The job documents as an operator looks for them. Every look reads as much as it answers, however long the backlog."""

    async def active(
        self, principal: Principal, *, lanes: Sequence[Lane], newest_first: bool, after: str | None, limit: int
    ) -> Page:
        """Queued and running jobs by the time of their submission. Raises InvalidCursor."""
        ...

    async def oldest_waiting(self, lane: Lane, principal: Principal) -> datetime | None:
        """Since when the family of the lane has waited that has waited longest."""
        ...

    async def ended(
        self,
        principal: Principal,
        *,
        statuses: Sequence[JobStatus],
        since: datetime | None = None,
        before: datetime | None = None,
        after: Place | None = None,
        limit: int,
    ) -> Ended:
        """Jobs with these final statuses by the time of their end, oldest first; `after` is where the page before ended."""
        ...

    async def remove(self, job: Job, principal: Principal) -> bool:
        """Remove the job if nobody changed it meanwhile; say whether that happened."""
        ...


class TailEnded(Exception):
    """No more events come; the sentence says why."""


class Tail(Protocol):
    """The public events from now on, as long as somebody reads them."""

    async def next(self, *, within_seconds: float) -> Envelope | None:
        """The next event, or None if none came in that time. Raises TailEnded."""
        ...


class EventTails(Protocol):
    """Opens tails. One that is not read fast enough ends; it never grows."""

    def open(self) -> AbstractAsyncContextManager[Tail]:
        """Raises TooManyTails, and Transient while the broker is away."""
        ...


class TooManyTails(Exception):
    """As many tails are open as one process keeps."""


class Inbox(Protocol):
    """Callbacks that were taken in: the body as an object, all else as a document."""

    async def has(self, item_id: str) -> bool: ...

    async def add(self, item: InboxItem, body: bytes) -> bool:
        """Keep both; durable when this returns. False: the same event is there already, and nothing changed."""
        ...

    async def count(self, provider: str, task_reference: str) -> int:
        """How many callbacks of this task are kept."""
        ...

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Remove what was received before then and has been told; say how many that were."""
        ...


class Sources(Protocol):
    """Uploaded pictures. A principal sees its own; what it may not see, or has expired, does not exist for it."""

    async def add(self, source: Source, picture: bytes, principal: Principal) -> None:
        """Keep both; durable when this returns. Raises KeyTaken."""
        ...

    async def get(self, source_id: str, principal: Principal) -> Source | None: ...

    async def by_key(self, key: str, principal: Principal) -> Source | None:
        """The source that the principal's owner uploaded with this Idempotency-Key."""
        ...

    async def count(self, principal: Principal) -> int:
        """How many sources the principal's owner has."""
        ...

    async def remove(self, source_id: str, principal: Principal) -> bool:
        """Remove document and object; say whether there was such a source."""
        ...

    async def forget_expired(self, *, limit: int) -> int:
        """Remove what has expired; say how many that were."""
        ...


class PictureRefused(Exception):
    """The upload is no picture that can be taken. The sentence says what is wrong and names the limit."""


class ReadPicture(Protocol):
    """Reads an upload of a stranger where a crash or an endless loop does no harm."""

    async def __call__(self, upload: bytes, /) -> Pixels:
        """Its pixels. Raises PictureRefused; Transient of the chassis if it cannot be read now."""
        ...
