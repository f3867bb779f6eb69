"""One finished family, people who have it cut again, and the workers who do: every order of asking, answering and losing.

The real saga decides. A commit is one step here: that two gateways cannot both win one is what world.py shows. A check comes
due when nothing is on its way any more, and a few times before that, because nobody can tell.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, NamedTuple, TypeVar

from imagetron_contracts.crops import Misfit
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.message import Message
from imagetron_contracts.stages import DerivativesRequested, FamilyMessage
from imagetron_gateway.domain import commands, recutting, saga
from imagetron_gateway.domain.decisions import Decision
from imagetron_gateway.domain.job import FamilyStatus, Job, JobStatus, OutboxEntry
from imagetron_gateway.domain.pictures import good_images, shown_images
from support.builders import (
    NOW,
    a_family,
    an_admitted_job,
    derivatives_rendered,
    family_published,
    renders_generated,
    stage_failed,
    url_of,
)
from unit.gateway.model.documents import Violation, require, without_time

T = TypeVar("T")

NAME: Final = "square"
LATER: Final = NOW + timedelta(days=1)
_BAD: Final = FailureCode.RENDER_UNREADABLE
_WISHES: Final = (Misfit.PAD, Misfit.CUT, Misfit.BORROW)


class State(NamedTuple):
    """Everything that the future depends on. Jobs and messages are numbers."""

    job: int
    outbox: tuple[int, ...]
    broker: tuple[int, ...]
    stored: frozenset[str]
    """Public objects that the publisher has put."""
    heard: int
    wishes: int
    losses: int
    repeats: int
    early_checks: int
    failures: int
    retries: int
    cancellations: int
    regenerations: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """How much may be asked for, and how much may go wrong with it."""

    images: int = 1
    bad: tuple[int, ...] = ()
    """Images that failed before anybody asked: the family is partial."""
    other_family: bool = False
    """Still at work, so that the job can be cancelled."""
    wishes: int = 1
    losses: int = 0
    repeats: int = 0
    early_checks: int = 0
    failures: int = 0
    retries: int = 0
    cancellations: int = 0
    regenerations: int = 0


class Numbered(Generic[T]):
    """Things by number: the same key gives the same one."""

    def __init__(self) -> None:
        self._things: list[T] = []
        self._numbers: dict[str, int] = {}

    def __getitem__(self, number: int) -> T:
        return self._things[number]

    def number(self, key: str, thing: T) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._things)
            self._things.append(thing)
        return self._numbers[key]


class Recuts:
    """The transition system of one scenario. `sights` names what was really seen on the way."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.sights: set[str] = set()
        self.states = 0
        self._jobs: Numbered[Job] = Numbered()
        self._messages: Numbered[Message] = Numbered()

    def explore(self) -> None:
        """Follow every transition from every state. Raises Violation with the steps that lead to it."""
        first = self._first()
        came_from: dict[State, tuple[State, str] | None] = {first: None}
        waiting = deque([first])
        while waiting:
            state = waiting.popleft()
            try:
                steps = list(self._steps(state))
                self._check(state)
                if not any(is_own for _, _, is_own in steps):
                    self._check_at_rest(state)
                for label, following, _ in steps:
                    self._check_step(state, following)
                    if following not in came_from:
                        came_from[following] = (state, label)
                        waiting.append(following)
            except Violation as violation:
                way = "\n".join(_way_to(state, came_from))
                raise Violation(f"{violation}\nafter:\n{way}") from None
        self.states = len(came_from)

    def _first(self) -> State:
        chosen = self.scenario
        names = [a_family(NAME, images=chosen.images), *([a_family("hero")] if chosen.other_family else [])]
        good = tuple(index for index in range(chosen.images) if index not in chosen.bad)
        failed = dict.fromkeys(chosen.bad, _BAD)
        job = an_admitted_job(*names)
        published = family_published(job, indexes=good)
        for message in (renders_generated(job, indexes=good, bad=failed), published):
            decision = saga.apply(job, message, NOW, url_of)
            assert decision is not None
            job = decision.job
        return State(
            job=self._number(job),
            outbox=(),
            broker=(),
            stored=_keys(published),
            heard=job.sequence,
            wishes=chosen.wishes,
            losses=chosen.losses,
            repeats=chosen.repeats,
            early_checks=chosen.early_checks,
            failures=chosen.failures,
            retries=chosen.retries,
            cancellations=chosen.cancellations,
            regenerations=chosen.regenerations,
        )

    def _steps(self, state: State) -> Iterator[tuple[str, State, bool]]:
        """A label, where it leads, and whether it happens by itself: nobody asks, and nothing goes wrong."""
        if state.outbox:
            yield "the relay sends", self._sent(state), True
        for number in sorted(set(state.broker)):
            yield from self._taken(state, number)
            if state.losses:
                yield (
                    "the broker loses a message",
                    self._without(state, number)._replace(losses=state.losses - 1),
                    False,
                )
            if state.repeats:
                again = tuple(sorted((*state.broker, number)))
                yield "the broker repeats a message", state._replace(broker=again, repeats=state.repeats - 1), False
        yield from self._checked(state)
        yield from self._asked(state)

    def _taken(self, state: State, number: int) -> Iterator[tuple[str, State, bool]]:
        message, rest = self._messages[number], self._without(state, number)
        if isinstance(message, DerivativesRequested):
            yield from self._worked(rest, message)
            return
        assert isinstance(message, FamilyMessage)
        decision = saga.apply(self._jobs[state.job], message, NOW, url_of)
        if decision is None:
            self.sights.add("an answer that said nothing new")
        yield f"the gateway hears {message.TYPE}", self._committed(rest, decision), True

    def _worked(self, state: State, request: DerivativesRequested) -> Iterator[tuple[str, State, bool]]:
        """Objects first, then the facts, then the ack."""
        about = {name: getattr(request, name) for name in ("revision", "attempt", "derivation")}
        job, indexes = self._jobs[state.job], request.indexes()
        done = family_published(job, indexes=indexes, **about)
        stored = state._replace(stored=state.stored | _keys(done))
        yield "workers cut all", self._told(stored, derivatives_rendered(job, indexes=indexes, **about), done), True
        if not state.failures:
            return
        spent = state._replace(failures=state.failures - 1)
        first, *others = indexes
        yield "workers give up", self._told(spent, stage_failed(job, indexes=indexes, **about)), False
        if others:
            some = family_published(job, indexes=others, **about)
            cut = derivatives_rendered(job, indexes=others, bad={first: _BAD}, **about)
            yield (
                "workers cut all but one",
                self._told(spent._replace(stored=spent.stored | _keys(some)), cut, some),
                False,
            )

    def _checked(self, state: State) -> Iterator[tuple[str, State, bool]]:
        """Of the cutting again alone: the other family's checks are world.py's."""
        job = self._jobs[state.job]
        if NAME not in recutting.under_way(job):
            return
        is_quiet = not state.broker and not state.outbox
        if is_quiet or state.early_checks:
            early = 0 if is_quiet else 1
            decision = saga.tick(self._overdue(job, state.outbox), LATER, url_of)
            spent = state._replace(early_checks=state.early_checks - early)
            yield "the check", self._committed(spent, decision), is_quiet

    def _overdue(self, job: Job, outbox: tuple[int, ...]) -> Job:
        unsent = [self._messages[number].message_id() for number in outbox]
        entries = tuple(OutboxEntry(id=each, exchange="", routing_key="", body="") for each in unsent)
        never = LATER + timedelta(days=1)
        others = {
            name: family.model_copy(update={"check_at": family.check_at and never})
            for name, family in job.families.items()
        }
        return job.model_copy(update={"outbox": entries, "families": others})

    def _asked(self, state: State) -> Iterator[tuple[str, State, bool]]:
        job = self._jobs[state.job]
        family = job.families[NAME]
        if state.wishes and recutting.objection_to(job, NAME) is None:
            said = {"misfit": _WISHES[state.wishes - 1]}
            if family.recut and family.recut.is_under_way:
                self.sights.add("a wish superseded another")
            decision = commands.cut_again(job, NAME, said, NOW)
            yield "somebody asks", self._committed(state._replace(wishes=state.wishes - 1), decision), False
        if state.retries and family.status is FamilyStatus.PARTIAL and job.status is not JobStatus.CANCELLED:
            yield from self._retried(state, job)
        if state.cancellations and not job.status.is_terminal:
            spent = state._replace(cancellations=state.cancellations - 1)
            yield "somebody cancels", self._committed(spent, commands.cancel(job, NOW, url_of)), False
        if state.regenerations and job.status.is_terminal:
            spent = state._replace(regenerations=state.regenerations - 1)
            yield "somebody regenerates", self._committed(spent, commands.regenerate(job, NOW)), False

    def _retried(self, state: State, job: Job) -> Iterator[tuple[str, State, bool]]:
        """The retry's own way is one step: its facts leave the workers, in any order, when it was admitted."""
        admitted = saga.admit(commands.retry(job, NOW, [NAME]).job, NAME, NOW)
        assert admitted is not None
        indexes, attempt = self.scenario.bad, admitted.job.families[NAME].attempt
        published = family_published(job, indexes=indexes, attempt=attempt)
        told = self._told(state, renders_generated(job, indexes=indexes, attempt=attempt), published)
        after = told._replace(
            job=self._number(admitted.job), retries=state.retries - 1, stored=state.stored | _keys(published)
        )
        yield "somebody retries", after, False

    def _sent(self, state: State) -> State:
        number, *rest = state.outbox
        message = self._messages[number]
        left = state._replace(outbox=tuple(rest))
        if isinstance(message, DerivativesRequested):
            return left._replace(broker=tuple(sorted((*left.broker, number))))
        return left._replace(heard=left.heard + 1)

    def _told(self, state: State, *facts: Message) -> State:
        return state._replace(broker=tuple(sorted((*state.broker, *map(self._message, facts)))))

    def _without(self, state: State, number: int) -> State:
        broker = list(state.broker)
        broker.remove(number)
        return state._replace(broker=tuple(broker))

    def _committed(self, state: State, decision: Decision | None) -> State:
        if decision is None:
            return state
        before = self._jobs[state.job]
        sequences = [emission.sequence for emission in decision.emissions if emission.sequence is not None]
        require(sequences == list(range(before.sequence + 1, decision.job.sequence + 1)), f"told were {sequences}")
        said = [
            self._message(emission.message)
            for emission in decision.emissions
            if emission.sequence is not None or isinstance(emission.message, DerivativesRequested)
        ]
        ids = [self._messages[number].message_id() for number in (*state.outbox, *said) if self._is_request(number)]
        require(max(Counter(ids).values(), default=0) <= 1, "a request is twice in the outbox")
        if any(remark.what == "recut_asked_again" for remark in decision.job.history[-1:]):
            self.sights.add("work was asked for again")
        return state._replace(job=self._number(decision.job), outbox=(*state.outbox, *said))

    def _is_request(self, number: int) -> bool:
        return isinstance(self._messages[number], DerivativesRequested)

    def _number(self, job: Job) -> int:
        timeless = without_time(job)
        return self._jobs.number(timeless.model_dump_json(), timeless)

    def _message(self, message: Message) -> int:
        key = f"{message.TYPE} {message.model_dump_json()}"
        return self._messages.number(key, message)

    def _check(self, state: State) -> None:
        """What must hold in every state."""
        job = self._jobs[state.job]
        for image in (*shown_images(job, NAME), *good_images(job.families[NAME].images)):
            require(
                {file.key for file in image.files} <= state.stored, "a URL is shown, and there is no object behind it"
            )
        recut = job.families[NAME].recut
        if recut is not None:
            require(
                recut.is_under_way == (recut.check_at is not None), "nobody looks after a cutting again, or for ever"
            )
            require(recut.is_under_way or recut.failure is not None, "what went well is still remembered")
        require(job.status is not JobStatus.CANCELLED or not recutting.under_way(job), "a cancelled job is still cut")
        if recut is not None and not recut.is_under_way:
            self.sights.add(
                "some were cut and some failed" if any(each.is_cut for each in recut.images) else "all failed"
            )

    def _check_at_rest(self, state: State) -> None:
        """What must hold where nothing happens any more by itself."""
        job = self._jobs[state.job]
        family = job.families[NAME]
        require(not recutting.under_way(job), "nothing is left to happen, and a cutting again is not over")
        require(state.heard == job.sequence, "an event was told and never heard")
        if family.derivation and family.recut is None:
            newest = {_derivation_of(image.files[0].key) for image in good_images(family.images)}
            require(newest == {family.derivation}, f"derivation {family.derivation} went well, and shown are {newest}")
            self.sights.add("all was cut as was said last")

    def _check_step(self, before: State, after: State) -> None:
        old, new = self._jobs[before.job], self._jobs[after.job]
        if old.revision != new.revision:
            return
        was = {image.index: image for image in good_images(old.families[NAME].images)}
        now = {image.index: image for image in good_images(new.families[NAME].images)}
        require(was.keys() <= now.keys(), "an image is no longer public")
        for index, image in was.items():
            earlier, later = _derivation_of(image.files[0].key), _derivation_of(now[index].files[0].key)
            require(earlier <= later, f"image {index} went back from derivation {earlier} to {later}")
            require(earlier == later or later == new.families[NAME].derivation, f"image {index} shows a superseded one")
            require(
                len({_derivation_of(file.key) for file in now[index].files}) == 1, "files of two cuttings are mixed"
            )
        require(new.cost == old.cost, "cutting again was charged")
        if old.status.is_terminal and not before.retries > after.retries:
            require(new.status is old.status, f"a {old.status.value} job became {new.status.value}")


def _keys(message: Message) -> frozenset[str]:
    return frozenset(file.key for image in message.images for file in image.files)  # type: ignore[attr-defined]


def _derivation_of(key: str) -> int:
    return int(key.removesuffix(".webp").partition("-d")[2] or 0)


def _way_to(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    labels: list[str] = []
    step = came_from[state]
    while step is not None:
        state, label = step
        labels.append(label)
        step = came_from[state]
    return [f"  {number}. {label}" for number, label in enumerate(reversed(labels), start=1)]
