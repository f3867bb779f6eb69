"""Plays messages to the saga and remembers what it said. No expectations live here."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from imagetron_contracts.message import Message
from imagetron_contracts.stages import DerivativesRequested, FamilyMessage, FamilyRequested
from imagetron_gateway.domain import commands, saga
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import Job, JobStatus
from support.builders import NOW, url_of


class Play:
    """One job and everything that it has told so far."""

    def __init__(self, job: Job, now: datetime = NOW) -> None:
        self.job = job
        self.now = now
        self.emissions: list[Emission] = []

    def hear(self, *messages: FamilyMessage) -> "Play":
        for message in messages:
            self._follow(saga.apply(self.job, message, self.now, url_of))
        return self

    def admit(self, *families: str) -> "Play":
        for family in families or tuple(self.job.families):
            self._follow(saga.admit(self.job, family, self.now))
        return self

    def tick(self) -> bool:
        """Whether anything was due."""
        decision = saga.tick(self.job, self.now, url_of)
        self._follow(decision)
        return decision is not None

    def later(self, seconds: float) -> "Play":
        self.now += timedelta(seconds=seconds)
        return self

    def regenerate(self) -> "Play":
        self._follow(commands.regenerate(self.job, self.now))
        return self

    def retry(self, *families: str) -> "Play":
        self._follow(commands.retry(self.job, self.now, families))
        return self

    def cut_again(self, family: str = "square", **said: Any) -> "Play":
        self._follow(commands.cut_again(self.job, family, said, self.now))
        return self

    def cancel(self, expected: JobStatus | None = None) -> "Play":
        self._follow(commands.cancel(self.job, self.now, url_of, expected))
        return self

    def forget(self) -> "Play":
        """Only what is told from now on counts."""
        self.emissions.clear()
        return self

    @property
    def events(self) -> list[Message]:
        return [emission.message for emission in self.emissions if emission.sequence is not None]

    @property
    def event_types(self) -> list[str]:
        return [event.TYPE for event in self.events]

    @property
    def sequences(self) -> list[int]:
        return [emission.sequence for emission in self.emissions if emission.sequence is not None]

    @property
    def requests(self) -> list[FamilyRequested]:
        return [emission.message for emission in self.emissions if isinstance(emission.message, FamilyRequested)]

    @property
    def cuttings(self) -> list[DerivativesRequested]:
        return [emission.message for emission in self.emissions if isinstance(emission.message, DerivativesRequested)]

    def event(self, event_type: str) -> dict[str, Any]:
        """The only event of this type, as subscribers read it."""
        (found,) = [event for event in self.events if event_type == event.TYPE]
        return on_the_wire(found)

    def _follow(self, decision: Decision | None) -> None:
        if decision is not None:
            self.job = decision.job
            self.emissions.extend(decision.emissions)


def on_the_wire(message: Message) -> dict[str, Any]:
    return message.model_dump(mode="json", by_alias=True, exclude_none=True)


def seconds_until(at: datetime | None, now: datetime) -> float:
    assert at is not None
    return (at - now).total_seconds()


def statuses(job: Job) -> dict[str, str]:
    return {name: family.status.value for name, family in job.families.items()}


def indexes_asked_for(requests: Iterable[FamilyRequested]) -> list[tuple[int, ...]]:
    return [request.image_indexes for request in requests]
