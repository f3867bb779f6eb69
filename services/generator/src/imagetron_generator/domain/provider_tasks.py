"""The life of a task at a provider that answers later, as we keep it: what each piece of news makes of it. Pure.

intended -> submitted -> processing -> succeeded -> collected
                                    -> failed    -> given up          and from every open state: cancelled

What the provider says moves a task forward or not at all; the first end that it tells of stays. `succeeded` and `failed`
are still open: the pictures are to be fetched, and the owner is to be told.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import FamilyRequested, ImageError, RendersGenerated
from imagetron_generator.domain.orders import TaskNews, TaskPhase, TaskRules

_REFERENCES: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "tasks.imagetron")
# Each look that brings nothing waits this much longer for the next one.
_GROWTH: Final = 1.5
# A claim is on its way: soon enough for other workers to begin to watch it, late enough for most calls to be over.
_CLAIM_SHOWS_AFTER: Final = timedelta(seconds=5)
# Providers that call back queue what they take: they are given the budget once more.
_PATIENCE_WITH_QUEUES: Final = 2
# Pictures that are made and paid for are worth fetching a little longer than the deadline.
_FETCHING: Final = timedelta(minutes=2)
_HASTE_SECONDS: Final = 1.0
# A provider may ask for any number of seconds.
_LONGEST_PAUSE_SECONDS: Final = 3600.0
_SUPPORT_DIGITS: Final = 12


class TaskState(StrEnum):
    """Where a task is, in our account."""

    INTENDED = "intended"
    """Written down. It may have been handed in; then the answer is awaited, or was lost."""
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    """The pictures are made and not all fetched."""
    FAILED = "failed"
    """The owner is to be told."""
    COLLECTED = "collected"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"

    @property
    def is_ended(self) -> bool:
        return self in {TaskState.COLLECTED, TaskState.GIVEN_UP, TaskState.CANCELLED}


def _row(*after: TaskState) -> Mapping[TaskPhase, TaskState]:
    return dict(zip(TaskPhase, after, strict=True))


def _stays(state: TaskState) -> Mapping[TaskPhase, TaskState]:
    return dict.fromkeys(TaskPhase, state)


_SUBMITTED, _PROCESSING, _SUCCEEDED, _FAILED = (
    TaskState.SUBMITTED,
    TaskState.PROCESSING,
    TaskState.SUCCEEDED,
    TaskState.FAILED,
)
# The columns are the phases in their order: waiting, processing, succeeded, failed, cancelled (there, without our asking).
AFTER: Final[Mapping[TaskState, Mapping[TaskPhase, TaskState]]] = {
    TaskState.INTENDED: _row(_SUBMITTED, _PROCESSING, _SUCCEEDED, _FAILED, _FAILED),
    TaskState.SUBMITTED: _row(_SUBMITTED, _PROCESSING, _SUCCEEDED, _FAILED, _FAILED),
    TaskState.PROCESSING: _row(_PROCESSING, _PROCESSING, _SUCCEEDED, _FAILED, _FAILED),
    TaskState.SUCCEEDED: _stays(TaskState.SUCCEEDED),
    TaskState.FAILED: _stays(TaskState.FAILED),
    TaskState.COLLECTED: _stays(TaskState.COLLECTED),
    TaskState.GIVEN_UP: _stays(TaskState.GIVEN_UP),
    TaskState.CANCELLED: _stays(TaskState.CANCELLED),
}
"""What a task in this state becomes when the provider says that: every pair is decided."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker is at the task. It is dead when somebody has seen its fence unchanged for so long, by one clock."""

    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ProviderTask:
    """One task: some images of one family, asked of one provider. Written before the provider hears of it."""

    reference: str
    """Ours, 32 hexadecimal digits: equal work has equal references."""
    provider: str
    request: FamilyRequested
    """What was asked for, narrowed to the images of this task."""
    created_at: datetime
    updated_at: datetime
    next_check_at: datetime | None
    """When somebody has to look after it; None once it has ended."""
    version: int = 1
    state: TaskState = TaskState.INTENDED
    submissions: int = 0
    """Paid for, or perhaps paid for; the present one included."""
    tries: int = 1
    """Submissions that had no effect count here, and the next one."""
    fence: int = 0
    """Counts the claims: who holds an older one has nothing to say any more."""
    lease: Lease | None = None
    provider_task_id: str | None = None
    progress: float = 0.0
    is_doubted: bool = False
    """A submission's answer was lost, and the time in which the task could show itself by a callback has begun."""
    pause_seconds: float = _HASTE_SECONDS
    submitted_at: datetime | None = None
    deadline_at: datetime | None = None
    succeeded_at: datetime | None = None
    code: FailureCode | None = None
    message: str | None = None
    answer_digest: str | None = None
    errors: tuple[ImageError, ...] = ()
    """Of images that will not come, while others are still being fetched."""
    result: RendersGenerated | None = None
    """What was told of a task that is collected."""

    @property
    def support_id(self) -> str:
        return self.reference[:_SUPPORT_DIGITS]

    @property
    def is_fresh(self) -> bool:
        """Nobody has tried to hand it in yet."""
        return self.state is TaskState.INTENDED and self.fence == 0

    @property
    def patience_seconds(self) -> float:
        """How long the provider has, from the submission."""
        if self.submitted_at is None or self.deadline_at is None:
            return float("inf")
        return (self.deadline_at - self.submitted_at).total_seconds()

    def claimed(self, owner: str, lease_seconds: float, now: datetime) -> "ProviderTask":
        """Somebody looks after it."""
        lease = Lease(owner, lease_seconds)
        return self._next(now, lease=lease, fence=self.fence + 1, next_check_at=now + _CLAIM_SHOWS_AFTER)

    def claimed_to_submit(self, owner: str, lease_seconds: float, now: datetime, rules: TaskRules) -> "ProviderTask":
        """Somebody is about to hand it in: counted before the money is spent."""
        patience = self.request.budget_seconds * (_PATIENCE_WITH_QUEUES if rules.calls_back else 1)
        return replace(
            self.claimed(owner, lease_seconds, now),
            submissions=self.submissions + 1,
            is_doubted=False,
            submitted_at=now,
            deadline_at=_after(now, patience),
            pause_seconds=rules.first_look_seconds,
        )

    def accepted(self, news: TaskNews, now: datetime, rules: TaskRules) -> "ProviderTask":
        """The provider answered the submission. What a quicker callback said stays."""
        return (self.heard(news, now, rules) or self).released(now)

    def doubted(self, now: datetime, rules: TaskRules) -> "ProviderTask":
        """The submission's answer is lost: look for the task, or give it time to call back, before it is paid for again."""
        wait = rules.first_look_seconds if rules.can_find else rules.callback_window_seconds
        if self.state is not TaskState.INTENDED:
            return self.released(now)  # A callback has shown it meanwhile.
        return self._next(now, lease=None, is_doubted=True, next_check_at=_after(now, wait))

    def not_taken(self, now: datetime, delay_seconds: float, *, spends_a_try: bool) -> "ProviderTask":
        """The submission had no effect: it is not counted, and made again later."""
        if self.state is not TaskState.INTENDED:
            return self.released(now)  # It had one after all: a callback has shown it.
        return self._next(
            now,
            lease=None,
            submissions=self.submissions - 1,
            tries=self.tries + spends_a_try,
            is_doubted=self.submissions > 1,
            next_check_at=_after(now, delay_seconds),
        )

    def refused(self, code: FailureCode, message: str, now: datetime) -> "ProviderTask":
        """The provider does not take it, and will not: nothing was paid for."""
        released = self.not_taken(now, 0, spends_a_try=False)
        return released.failed(code, message, now) if released.state is TaskState.INTENDED else released

    def heard(self, news: TaskNews, now: datetime, rules: TaskRules) -> "ProviderTask | None":
        """The provider said something; None if it changes nothing. News of another task of theirs changes nothing."""
        after = AFTER[self.state][news.phase]
        is_of_another = None not in {self.provider_task_id, news.provider_task_id} and (
            self.provider_task_id != news.provider_task_id
        )
        progress = max(self.progress, min(news.progress or 0.0, 1.0))
        has_moved = after is not self.state
        if is_of_another or (self.state in _CLOSED_TO_NEWS) or not (has_moved or progress > self.progress):
            return None
        known = self._next(
            now,
            state=after,
            provider_task_id=self.provider_task_id or news.provider_task_id,
            progress=progress,
            answer_digest=news.answer_digest or self.answer_digest,
        )
        if after is TaskState.SUCCEEDED:
            return replace(known, progress=1.0, succeeded_at=now, next_check_at=now, pause_seconds=_HASTE_SECONDS)
        if after is TaskState.FAILED:
            return replace(known, **_failure(*_reason(news, self.provider)), next_check_at=now)
        if self.state is TaskState.INTENDED:
            first = max(rules.first_look_seconds, news.look_again_seconds or 0.0)
            return replace(known, next_check_at=self._not_after_deadline(now, first))
        return known

    def put_off(self, now: datetime, rules: TaskRules, *, at_least_seconds: float = 0.0) -> "ProviderTask":
        """Nobody is at it any more; the next one comes a little later than the last time."""
        pause = min(self.pause_seconds * _GROWTH, rules.longest_pause_seconds)
        next_check_at = self._not_after_deadline(now, max(pause, at_least_seconds))
        return self._next(now, lease=None, pause_seconds=pause, next_check_at=next_check_at)

    def hastened(self, now: datetime) -> "ProviderTask":
        """Somebody should look after it now."""
        return self._next(now, next_check_at=now, pause_seconds=_HASTE_SECONDS)

    def with_errors(self, errors: Sequence[ImageError], now: datetime) -> "ProviderTask":
        """These images will not come; others still may."""
        return self._next(now, errors=tuple(errors))

    def may_still_fetch(self, now: datetime) -> bool:
        """Whether a picture that could not be fetched is worth another try."""
        ends = [at for at in (self.deadline_at, self.succeeded_at and self.succeeded_at + _FETCHING) if at is not None]
        return any(now < at for at in ends)

    def failed(self, code: FailureCode, message: str, now: datetime) -> "ProviderTask":
        """It will not be made, or its pictures cannot be had. The lease stays: whoever says so tells the owner next."""
        return self._next(now, state=TaskState.FAILED, next_check_at=now, **_failure(code, message))

    def released(self, now: datetime) -> "ProviderTask":
        """Nobody is at it any more."""
        return self._next(now, lease=None)

    def collected(self, result: RendersGenerated, now: datetime) -> "ProviderTask":
        """Its pictures are in the work store, and everybody was told."""
        return self._next(now, state=TaskState.COLLECTED, result=result, lease=None, next_check_at=None, errors=())

    def given_up(self, now: datetime) -> "ProviderTask":
        """The owner was told of the failure."""
        return self._next(now, state=TaskState.GIVEN_UP, lease=None, next_check_at=None)

    def cancelled(self, now: datetime) -> "ProviderTask":
        """Its job was cancelled; nobody is told anything."""
        return self._next(now, state=TaskState.CANCELLED, lease=None, next_check_at=None)

    def _not_after_deadline(self, now: datetime, pause_seconds: float) -> datetime:
        """The time of a look so much later: at the deadline at the latest, where that is to come."""
        later = _after(now, min(pause_seconds, _LONGEST_PAUSE_SECONDS))
        return min(later, self.deadline_at) if self.deadline_at is not None and self.deadline_at > now else later

    def _next(self, now: datetime, **changes: Any) -> "ProviderTask":  # noqa: ANN401 - any field
        return replace(self, version=self.version + 1, updated_at=now, **changes)


_CLOSED_TO_NEWS: Final = frozenset(state for state, row in AFTER.items() if set(row.values()) == {state})


def _after(now: datetime, seconds: float) -> datetime:
    """To the millisecond, which is what stores keep."""
    return now + timedelta(milliseconds=round(seconds * 1000))


def _failure(code: FailureCode, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


def _reason(news: TaskNews, provider: str) -> tuple[FailureCode, str]:
    """A task that ended there without our asking may be asked for again: to our callers it was not cancelled."""
    if news.phase is TaskPhase.CANCELLED:
        return FailureCode.MODEL_UNAVAILABLE, f"the provider {provider} cancelled the task"
    code = news.code or FailureCode.MODEL_UNAVAILABLE
    return code, news.message or f"the provider {provider} says that the task failed"


def task_reference(request: FamilyRequested, provider: str, first_index: int) -> str:
    """The reference of the task that begins with this image."""
    work = (request.job_id, request.revision, request.family, request.attempt, provider, first_index)
    return uuid.uuid5(_REFERENCES, "/".join(map(str, work))).hex


def intended(
    request: FamilyRequested, provider: str, indexes: Sequence[int], images_per_task: int, now: datetime
) -> list[ProviderTask]:
    """The tasks that these images of a request need, each of at most so many images."""
    parts = [tuple(indexes[at : at + images_per_task]) for at in range(0, len(indexes), images_per_task)]
    return [
        ProviderTask(
            reference=task_reference(request, provider, part[0]),
            provider=provider,
            request=request.model_copy(update={"image_indexes": part}),
            created_at=now,
            updated_at=now,
            # Who writes it down hands it in at once; this is for whoever finds that he died.
            next_check_at=now + _CLAIM_SHOWS_AFTER,
        )
        for part in parts
    ]
