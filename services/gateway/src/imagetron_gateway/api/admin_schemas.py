"""Bodies of `/api/admin/*`. Requests refuse unknown fields; what is dangerous has no default."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from imagetron_chassis.letters import HOLD_LIMIT, MAX_PER_SECOND
from imagetron_gateway.api.schemas import Body, Number, Shown, Text, Whole, distinct
from imagetron_gateway.domain.job import JobStatus

MAX_AT_ONCE: Final = 200
"""Jobs or letters that one call handles at most: it answers within seconds, and a script asks again."""
_TEN_YEARS_IN_HOURS: Final = 87_600
_Ids = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=100)]], AfterValidator(distinct), Field(max_length=MAX_AT_ONCE)
]
_Flag = Annotated[bool, Field(strict=True)]


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


class PauseBody(Body):
    """Why nothing more is to be let in."""

    reason: Annotated[Text, AfterValidator(_one_line)] = Field(
        default="", max_length=500, description="Shown to operators and to callers who wait."
    )


class ClearBody(Body):
    """Which failed jobs to remove."""

    older_than_hours: Number = Field(default=0, ge=0, le=_TEN_YEARS_IN_HOURS, description="Ended longer ago than that.")
    limit: Whole = Field(default=100, ge=1, le=MAX_AT_ONCE)
    dry_run: _Flag = Field(default=True, description="Say what would be removed, and remove nothing.")


class RetryManyBody(Body):
    """Which jobs to ask again: these, or those that ended failed or partial of late."""

    ids: _Ids = Field(default=[], description="Ids of jobs; or give `withinHours`.")
    within_hours: Number | None = Field(default=None, gt=0, le=_TEN_YEARS_IN_HOURS)
    limit: Whole = Field(default=100, ge=1, le=MAX_AT_ONCE)
    dry_run: _Flag = Field(default=False, description="Say what would be asked again, and ask nothing.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.ids) == (self.within_hours is not None):
            raise ValueError("name `ids` or give `withinHours`, one of the two")
        return self


class SelectionBody(Body):
    """Which letters of the queue: these, or all, oldest first."""

    ids: _Ids = Field(default=[], description=f"Ids of letters, among the oldest {HOLD_LIMIT}; or say `all`.")
    all: _Flag = Field(default=False, description="All letters, oldest first, up to the limit.")
    limit: Whole = Field(default=100, ge=1, le=MAX_AT_ONCE)
    dry_run: _Flag = Field(default=False, description="Say which letters it would be, and do nothing.")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.ids) == self.all:
            raise ValueError("name `ids` or say `all`, one of the two")
        return self

    @property
    def wanted(self) -> frozenset[str] | None:
        return None if self.all else frozenset(self.ids)


class ReplayBody(SelectionBody):
    """Which letters to send home, and how fast."""

    per_second: Number = Field(default=10, ge=0.5, le=MAX_PER_SECOND, description="So many a second at most.")


class DropBody(SelectionBody):
    """Which letters to drop for good."""


class PauseShown(Shown):
    """Who paused a lane, when and why."""

    by: str
    at: datetime
    reason: str


class LaneShown(Shown):
    """One lane of the queue. What waits is in the document store, what is in flight in the broker's window."""

    lane: str
    waiting_jobs: int
    oldest_waiting_since: datetime | None
    families_in_flight: int
    window: int = Field(description="Families that may be in flight at once.")
    paused: PauseShown | None
    closed: str | None = Field(description="Why nothing is admitted just now, a pause or peak hours; null if it is.")


class WorkQueueShown(Shown):
    """One queue of the broker."""

    queue: str
    messages: int = Field(description="Ready to be taken; those in a consumer's hand not counted.")
    consumers: int
    dead_letters: int


class QueueStatusShown(Shown):
    """The whole queue at a glance."""

    lanes: list[LaneShown]
    queues: list[WorkQueueShown] | None = Field(description="Null while the broker does not answer.")


class LaneControlShown(Shown):
    """A lane after pausing or resuming it."""

    lane: str
    paused: PauseShown | None
    was_paused: bool


class ActiveJobShown(Shown):
    """A job that has not ended."""

    id: str
    name: str
    owner: str
    status: JobStatus
    lane: str
    families_done: int
    families_total: int
    created_at: datetime
    age_seconds: float
    waiting_since: datetime | None


class ActiveJobList(Shown):
    """A page; `next` is the cursor of the following one."""

    items: list[ActiveJobShown]
    next: str | None


class ActShown(Shown):
    """What became of one job; in a dry run, what would."""

    id: str
    name: str | None
    families: list[str]
    refused: str | None = Field(description="Why nothing was done to it; null if it was.")


class RoundShown(Shown):
    """One bounded call. `complete` is false where more of the same may be left: ask again."""

    dry_run: bool
    items: list[ActShown]
    done: int
    complete: bool


class DeadQueueShown(Shown):
    """The dead letters of one work queue."""

    queue: str
    depth: int
    oldest_died_at: datetime | None
    oldest_reason: str | None


class DeadQueueList(Shown):
    items: list[DeadQueueShown]
    next: None = None


class LetterShown(Shown):
    """One dead letter."""

    id: str
    type: str | None
    reason: str | None = Field(description="Why the broker buried it: `rejected`, `delivery_limit`, `expired`.")
    deaths: int
    first_died_at: datetime | None
    body_bytes: int
    unreadable: str | None = Field(description="Why the body is no message of ours; null if it is one.")
    job_id: str | None
    job_status: JobStatus | None = Field(description="Null if there is no such job.")
    hint: str | None


class LetterList(Shown):
    """The oldest letters of a queue, in their order; nothing is taken away by looking."""

    queue: str
    items: list[LetterShown]
    complete: bool = Field(description="False where more lie behind these.")


class LetterDetails(LetterShown):
    """One dead letter with all that it holds."""

    queue: str
    headers: dict[str, Any]
    content_type: str | None
    envelope: dict[str, str | int] = Field(description="The CloudEvents attributes that could be read.")
    body: str = Field(description="As text; what is not printable is escaped.")
    body_is_json: bool
    body_is_complete: bool


class HandledShown(Shown):
    """What became of a selection; in a dry run, what would."""

    queue: str
    dry_run: bool
    ids: list[str]
    done: int
    stopped: str | None = Field(description="Why it ended before its limit; null if nothing was left to do.")


class AuditLineShown(Shown):
    """Who did what, and when."""

    id: str
    at: datetime
    by: str
    what: str
    details: dict[str, str | int | list[str]]


class AuditList(Shown):
    """A page, newest first; `next` is the cursor of the following one."""

    items: list[AuditLineShown]
    next: str | None
