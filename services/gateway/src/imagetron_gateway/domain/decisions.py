"""What the saga decides, and the draft in which a decision grows: the job as it will be, and what it will say.

A draft knows how to change a job consistently; what to change is saga.py's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from imagetron_contracts.message import Message
from imagetron_contracts.spec import spec_key
from imagetron_contracts.stages import FamilyRequested, Pool
from imagetron_gateway.domain.job import HISTORY_LIMIT, FamilyStatus, Job, JobStatus, Remark
from imagetron_gateway.domain.providers import pool_of

# Added to the family's own budget. A message in the bounded window waits for the work before it; asking much sooner
# would only make copies of it, asking much later would leave a wiped queue unnoticed for minutes.
FIRST_CHECK_AFTER: Final = timedelta(seconds=30)
# Cutting or publishing an image takes seconds, plus the work before it in a bounded window.
STAGE_CHECK_AFTER: Final = timedelta(seconds=45)
# Longer families are asked for image by image: a delivery is held at most ten minutes.
SPLIT_ABOVE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Emission:
    """A message that leaves with the new state. Public events carry their sequence."""

    message: Message
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state and what it tells; to be stored together."""

    job: Job
    emissions: tuple[Emission, ...] = ()


class Draft:
    """A decision in the making: the job as it will be, and what it will say."""

    def __init__(self, job: Job, now: datetime) -> None:
        self.job = job
        self.now = now
        self._emissions: list[Emission] = []

    def update(self, **fields: object) -> "Draft":
        self.job = self.job.model_copy(update=fields)
        return self

    def change(self, family: str, **fields: object) -> "Draft":
        changed = self.job.families[family].model_copy(update=fields)
        return self.update(families={**self.job.families, family: changed})

    def images(self, family: str, news: dict[int, dict[str, object]]) -> "Draft":
        images = tuple(
            image.model_copy(update=news[image.index]) if image.index in news else image
            for image in self.job.families[family].images
        )
        return self.change(family, images=images)

    def job_started(self) -> "Draft":
        if self.job.status is JobStatus.QUEUED:
            self.update(status=JobStatus.RUNNING, started_at=self.job.started_at or self.now)
        return self

    def remark(self, what: str, family: str | None = None, detail: str | None = None) -> "Draft":
        line = Remark(at=self.now, what=what, family=family, detail=detail)
        return self.update(history=(*self.job.history, line)[-HISTORY_LIMIT:])

    def tell(self, event: Callable[[Job], Message]) -> "Draft":
        """A public event, numbered."""
        self.update(sequence=self.job.sequence + 1)
        self._emissions.append(Emission(event(self.job), sequence=self.job.sequence))
        return self

    def say(self, message: Message) -> "Draft":
        """A private message."""
        self._emissions.append(Emission(message))
        return self

    def request(self, name: str) -> "Draft":
        """Ask for the family's open images."""
        family = self.job.families[name]
        for request in requests_for(self.job, name):
            self.say(request)
        check_at = self.now + FIRST_CHECK_AFTER * 2**family.requests_sent + timedelta(seconds=family.budget_seconds)
        return self.change(name, requests_sent=family.requests_sent + 1, check_at=check_at)

    def decision(self) -> Decision:
        """The job with everything that follows from its families brought up to date."""
        families = self.job.families.values()
        checks = [family.check_at for family in families if family.check_at and family.status.is_in_flight]
        checks += [family.recut.check_at for family in families if family.recut and family.recut.check_at]
        if self.job.unmarked_revision is not None:
            checks.append(self.now)
        waits = not self.job.status.is_terminal and any(family.status is FamilyStatus.WAITING for family in families)
        self.update(
            in_flight_families=sum(family.status.is_in_flight for family in families),
            waiting_since=(self.job.waiting_since or self.now) if waits else None,
            waiting_owner=self.job.owner if waits else None,
            next_check_at=min(checks, default=None),
            updated_at=self.now,
        )
        return Decision(self.job, tuple(self._emissions))


def requests_for(job: Job, name: str) -> list[FamilyRequested]:
    """The messages that ask for a family's open images, one each where the whole would be held too long."""
    family = job.families[name]
    indexes = [image.index for image in family.images if not image.status.is_terminal]
    groups: Sequence[Sequence[int]] = [indexes]
    if job.delivery.is_held and family.budget_seconds > SPLIT_ABOVE_SECONDS:
        groups = [[index] for index in indexes]
    return [
        FamilyRequested(
            job_id=job.id,
            revision=job.revision,
            family=name,
            attempt=family.attempt,
            lane=job.lane,
            spec_key=spec_key(job.id, job.revision),
            image_indexes=tuple(group),
            budget_seconds=family.budget_seconds * len(group) / len(family.images),
            pool=Pool.EXTERNAL if pool_of(job.provider) is Pool.EXTERNAL else None,
        )
        for group in groups
    ]
