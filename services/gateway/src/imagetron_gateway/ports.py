"""What the gateway's use cases need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from imagetron_chassis.principals import Principal
from imagetron_contracts.stages import Lane, ModelHealth, Progress
from imagetron_gateway.domain.job import Job


class NameTaken(Exception):
    """Another variation has this name; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the cursor of the next page (None: that was the last)."""

    jobs: Sequence[Job]
    next: str | None


class Jobs(Protocol):
    """The job documents. A principal sees its own; what it may not see does not exist for it."""

    async def insert(self, job: Job, principal: Principal) -> None:
        """Store a new job. Raises NameTaken."""
        ...

    async def get(self, job_id: str, principal: Principal) -> Job | None: ...

    async def by_name(self, name: str, principal: Principal) -> Job | None: ...

    async def page(self, principal: Principal, *, after: str | None, limit: int) -> Page:
        """Newest first. Raises InvalidCursor on a cursor that this method did not make."""
        ...

    async def replace(self, job: Job, principal: Principal, *, if_version: int) -> bool:
        """Store the changed job if nobody changed it meanwhile; say whether that happened."""
        ...

    async def waiting(self, lane: Lane, principal: Principal, *, limit: int) -> Sequence[Job]:
        """Jobs with families that wait for admission, those that began to wait first."""
        ...

    async def in_flight(self, principal: Principal) -> dict[str, int]:
        """How many families of each lane are in the broker's window."""
        ...

    async def due(self, now: datetime, principal: Principal, *, limit: int) -> Sequence[Job]:
        """Jobs whose next check is at or before now."""
        ...


class InvalidCursor(ValueError):
    """The cursor was not made by this API."""


class Specs(Protocol):
    """Where the workers read what no message may carry."""

    async def write(self, job: Job) -> None:
        """Store the spec of the job's current revision. Writing it again changes nothing."""
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
