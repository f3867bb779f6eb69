"""One job and everybody around it, as a model: its queues, two workers, two gateways, the relay, people, and faults.

A state holds small numbers only. What the gateways decide is the real saga's (documents.py); what workers do is a
function from a message to the objects they store and the facts they tell. Every line where a process can die is a step
of its own, or an outcome of one where nobody could tell the difference: a message that nobody has answered yet is a
message in its queue, whoever held it.

Time is left out: checks come due whenever a family is in flight, messages wait as long as they like.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from unit.gateway.model.documents import Change, Documents, Violation, require

# Queues, in the order of the work. The last four are the gateway's, in the order of `documents.FACTS`.
REQUESTS, TO_DERIVE, TO_PUBLISH, STARTED, RENDERED, DERIVED, PUBLISHED = range(7)
QUEUES: Final = ("requests", "renders", "derivatives", "started", "rendered", "derived", "published")
WORK: Final = (REQUESTS, TO_DERIVE, TO_PUBLISH)
FACTS_OF: Final = {REQUESTS: (TO_DERIVE, RENDERED), TO_DERIVE: (TO_PUBLISH, DERIVED), TO_PUBLISH: (PUBLISHED,)}
IDLE: Final = 0
_BITS: Final = 4
_MOST_COPIES: Final = (1 << _BITS) - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of delivery. Each of them can be left out, to see that something breaks without it."""

    marks_after_confirm: bool = True
    acks_last: bool = True
    guards_version: bool = True
    watches: bool = True
    stores_first: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """How much work there is, and how much may go wrong with it."""

    families: int = 1
    images: int = 1
    requests: int = 1
    """How often each family may be asked for before it is given up."""
    crashes: int = 0
    lost_queues: int = 0
    duplicates: int = 0
    cancellations: int = 0
    gateways: int = 1
    """How many can be in the middle of read-decide-replace at once; one more may go through at any time."""
    workers: int = 1
    """How many can be in the middle of their work at once; one more may do all of it at any time."""
    rules: Rules = Rules()


class State(NamedTuple):
    """Everything that the future depends on."""

    doc: int
    outbox: tuple[int, ...]
    sent: int
    """How many entries the relay has handed over and not yet marked. Without the rule: the entry in its hand, plus one."""
    heard: int
    """How many public events subscribers have heard."""
    queues: int
    """Copies of each message in each queue, some bits for each."""
    gateways: tuple[int, ...]
    """What each is in the middle of: an operation plus one, read and decided but not stored."""
    workers: tuple[int, ...]
    objects: int
    crashes: int
    lost_queues: int
    duplicates: int
    cancellations: int


Step = tuple[str, State]


class World:
    """The transition system of one scenario. `sights` names what was really seen on the way."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rules = scenario.rules
        count = scenario.families
        self.documents = Documents(families=count, images=scenario.images, requests_left=scenario.requests)
        self.sights: set[str] = set()
        self._count = count
        self._marker = 1 << 3 * count
        self._slots = [
            (queue * count + family, queue, family) for queue in range(len(QUEUES)) for family in range(count)
        ]
        self._first_fact = STARTED * count
        self._facts = (len(QUEUES) - STARTED) * count
        self._news_of: list[int] = []
        self._snapshots: list[tuple[int, int, tuple[int, ...]]] = []
        self._snapshot_numbers: dict[tuple[int, int, tuple[int, ...]], int] = {}

    def first(self) -> State:
        chosen = self.scenario
        return State(
            doc=self.documents.first,
            outbox=(),
            sent=0,
            heard=0,
            queues=0,
            gateways=(IDLE,) * chosen.gateways,
            workers=(IDLE,) * chosen.workers,
            objects=0,
            crashes=chosen.crashes,
            lost_queues=chosen.lost_queues,
            duplicates=chosen.duplicates,
            cancellations=chosen.cancellations,
        )

    def check(self, state: State) -> None:
        """What must hold in every state."""
        missing = self.documents.shown[state.doc] & ~(state.objects >> 2 * self._count)
        require(not missing, "a URL is shown, and there is no object behind it")

    def check_at_rest(self, state: State) -> None:
        """What must hold where nothing happens any more by itself."""
        documents, doc = self.documents, state.doc
        families = documents.jobs[doc].families
        require(not state.outbox and not state.sent, "the outbox is not empty, and nobody sends it")
        require(documents.has_ended[doc], "nothing is left to happen, and the job has not ended")
        require(all(family.status.is_terminal for family in families.values()), "a family has not ended")
        require(state.heard == len(documents.told[doc]), "an event was told and never heard")
        require(not documents.owes_marker[doc], "the cancellation's marker was never written")
        if not self.scenario.lost_queues and not self.rules.watches:
            fine = documents.is_cancelled[doc] or documents.told[doc][-1] == ("VARIATION_COMPLETED", None)
            require(fine, "no queue was lost, and yet the job is not complete")

    def successors(self, state: State) -> tuple[list[Step], list[Step]]:
        """What happens by itself, and what goes wrong or is asked for by people."""
        steps: list[Step] = []
        faults: list[Step] = []
        self._relay(state, steps, faults)
        self._take_work(state, steps, faults)
        for worker in {*state.workers} - {IDLE}:
            self._work(state, worker, steps, faults)
        self._read(state, steps, faults)
        for gateway in {*state.gateways} - {IDLE}:
            self._store(state, gateway, steps, faults)
        self._disturb(state, faults)
        return [self._without_old_news(step) for step in steps], [self._without_old_news(fault) for fault in faults]

    def _without_old_news(self, step: Step) -> Step:
        """What says nothing new says nothing new for ever (`documents.check_step` makes sure): it is ignored at once.

        It changes nothing, whenever it is taken; to take it at every possible moment would only multiply the states.
        """
        label, state = step
        news = self._news(state.doc)
        queues = state.queues & news
        if queues == state.queues:
            return step
        if self.documents.has_ended[state.doc]:
            self._met_an_end(state, state.queues - queues)
        return label, state._replace(queues=queues)

    def _news(self, doc: int) -> int:
        """The bits of those queues whose messages can still change something."""
        while len(self._news_of) <= doc:
            self._news_of.append(self._find_news(len(self._news_of)))
        return self._news_of[doc]

    def _find_news(self, doc: int) -> int:
        news = 0
        silent = self.documents.silent(doc)
        for slot, queue, family in self._slots:
            fact = slot - self._first_fact
            all_facts = {each * self._count + family for each in range(len(QUEUES) - STARTED)}
            is_old = fact in silent if queue >= STARTED else all_facts <= silent
            if not is_old:
                news |= _MOST_COPIES << slot * _BITS
        return news

    # The relay: send, confirm, mark.

    def _relay(self, state: State, steps: list[Step], faults: list[Step]) -> None:
        sent, outbox = state.sent, state.outbox
        if not self.rules.marks_after_confirm:
            if sent:
                steps.append(("the relay sends what it marked", self._sent(state, sent - 1)._replace(sent=0)))
                if state.crashes:
                    faults.append(("the relay dies", state._replace(sent=0, crashes=state.crashes - 1)))
            elif outbox:
                steps.append(("the relay marks", state._replace(sent=outbox[0] + 1, outbox=outbox[1:])))
            return
        if sent < len(outbox):
            steps.append(("the relay sends", self._sent(state, outbox[sent])._replace(sent=sent + 1)))
        if sent:
            gone = {*outbox[:sent]}
            kept = tuple(entry for entry in outbox if entry not in gone)
            # The document has another version now: whoever read it before must read it again.
            marked = self._read_again(state, state, None)._replace(outbox=kept, sent=0)
            steps.append(("the relay marks", marked))
            if state.crashes:
                faults.append(("the relay dies before it marks", state._replace(sent=0, crashes=state.crashes - 1)))

    def _sent(self, state: State, number: int) -> State:
        entry = self.documents.entries[number]
        if entry.family is not None:
            return state._replace(queues=self._added(state.queues, REQUESTS, entry.family))
        position = entry.sequence or 0
        require(position <= state.heard + 1, f"event {position} was heard, and event {state.heard + 1} never was")
        told = self.documents.told[state.doc]
        require(told[position - 1 : position] == (entry.told,), f"event {position} is {entry.told}, not {told}")
        if position <= state.heard:
            self.sights.add("subscribers heard an event twice")
            return state
        return state._replace(heard=position)

    # Workers: take, tell that it began, store, tell the result, ack.

    def _take_work(self, state: State, steps: list[Step], faults: list[Step]) -> None:
        for slot, queue, family in self._slots[: self._first_fact]:
            if not state.queues >> slot * _BITS & _MOST_COPIES:
                continue
            taken = state._replace(queues=state.queues - (1 << slot * _BITS))
            what = f"{QUEUES[queue]} of family {family}"
            is_cancelled = bool(state.objects & self._marker)
            begins = queue == REQUESTS and not state.objects >> family & 1
            begun = taken._replace(queues=self._added(taken.queues, STARTED, family)) if begins else taken
            if is_cancelled:
                self.sights.add("work of a cancelled job was dropped")
                steps.append((f"a worker drops {what}", taken))
            elif IDLE in state.workers:
                phase = self._begun(family) if begins else 1 + slot
                held = begun if begins else self._stored(begun, queue, family)
                steps.append((f"a worker takes {what}", held._replace(workers=_swapped(state.workers, IDLE, phase))))
            # Or at once, while others are in the middle of something: it may have looked for the marker long ago.
            done = self._stored(begun, queue, family)
            self._tell(done, queue, family, steps, faults, what=f"{what}, taken at once")
            if state.crashes:
                faults.append((f"a worker dies beginning {what}", self._given_back(begun, queue, family)))
                faults.append((f"a worker dies having stored {what}", self._given_back(done, queue, family)))

    def _work(self, state: State, worker: int, steps: list[Step], faults: list[Step]) -> None:
        freed = state._replace(workers=_swapped(state.workers, worker, IDLE))
        has_begun = worker >= self._begun(0)
        slot = worker - self._begun(0) if has_begun else worker - 1
        queue, family = divmod(slot, self._count)
        what = f"{QUEUES[queue]} of family {family}"
        if has_begun:
            done = self._stored(state, queue, family)
            steps.append((f"a worker stores {what}", done._replace(workers=_swapped(state.workers, worker, 1 + slot))))
        else:
            self._tell(freed, queue, family, steps, faults, what=what)
            if state.objects & self._marker:
                steps.append((f"a worker keeps {what} to itself", freed))
        if state.crashes:
            faults.append((f"a worker dies with {what}", self._given_back(freed, queue, family)))

    def _tell(self, freed: State, queue: int, family: int, steps: list[Step], faults: list[Step], *, what: str) -> None:
        told = freed
        for fact in FACTS_OF[queue]:
            told = told._replace(queues=self._added(told.queues, fact, family))
        if freed.objects & self._marker:
            self.sights.add("a worker told of work after the cancellation")
        # Whoever stores first has done so already.
        stored = told._replace(objects=told.objects | 1 << queue * self._count + family)
        steps.append((f"a worker tells of {what}", stored))
        if told.crashes:
            faults.append((f"a worker dies before it acks {what}", self._given_back(told, queue, family)))

    def _begun(self, family: int) -> int:
        return 1 + self._first_fact + family

    def _stored(self, state: State, queue: int, family: int) -> State:
        """One object for each family and kind of work. Doing it twice stores it once: its key depends on the work alone."""
        if queue != REQUESTS:
            is_there = state.objects >> (queue - 1) * self._count + family & 1
            require(bool(is_there), f"a worker was told of {QUEUES[queue]} that are not in the store")
        if not self.rules.stores_first:
            return state
        return state._replace(objects=state.objects | 1 << queue * self._count + family)

    def _given_back(self, state: State, queue: int, family: int) -> State:
        """A process died. What it had not answered goes back to its queue."""
        died = state._replace(crashes=state.crashes - 1)
        if not self.rules.acks_last:
            return died
        return died._replace(queues=self._added(died.queues, queue, family))

    # Gateways: read, decide, replace if unchanged, ack.

    def _read(self, state: State, steps: list[Step], faults: list[Step]) -> None:
        documents, doc = self.documents, state.doc
        for slot, _, _ in self._slots[self._first_fact :]:
            if not state.queues >> slot * _BITS & _MOST_COPIES:
                continue
            operation = slot - self._first_fact
            taken = state._replace(queues=state.queues - (1 << slot * _BITS))
            self._begin(taken, operation, steps, faults)
        for family in documents.waiting[doc]:
            self._begin(state, documents.admissions[family], steps, faults)
        if self.rules.watches:
            for operation in self._overdue(state):
                self._begin(state, operation, steps, faults)
        if documents.owes_marker[doc]:
            written = state._replace(objects=state.objects | self._marker)
            self._begin(written, documents.mark, steps, faults)
        if state.cancellations and not documents.has_ended[doc]:
            asked = state._replace(cancellations=state.cancellations - 1)
            self._begin(asked, documents.cancel, faults, faults)

    def _overdue(self, state: State) -> Iterator[int]:
        """Any of the families in flight may be due, alone or together."""
        flying = sum(1 << family for family in self.documents.in_flight[state.doc])
        for chosen, operation in enumerate(self.documents.checks, start=1):
            if chosen & ~flying == 0 and self.documents.decide(state.doc, operation, state.outbox) is not None:
                yield operation

    def _begin(self, state: State, operation: int, steps: list[Step], faults: list[Step]) -> None:
        """Stop in the middle, with what was read in mind; or go through at once, while others are in the middle."""
        name = self.documents.name_of(operation)
        if IDLE in state.gateways:
            busy = state._replace(gateways=_swapped(state.gateways, IDLE, 1 + operation))
            steps.append((f"a gateway reads for the {name}", busy))
        self._commit(state, state, None, (operation, state.doc, state.outbox), steps, faults)

    def _store(self, state: State, gateway: int, steps: list[Step], faults: list[Step]) -> None:
        freed = state._replace(gateways=_swapped(state.gateways, gateway, IDLE))
        read = self._as_read(state, gateway)
        self._commit(state, freed, gateway, read, steps, faults)
        operation = read[0]
        if state.crashes:
            label = f"a gateway dies before it stores the {self.documents.name_of(operation)}"
            is_message = operation < self._facts
            queue, family = divmod(operation, self._count)
            died = freed._replace(crashes=state.crashes - 1)
            faults.append((label, self._given_back(freed, STARTED + queue, family) if is_message else died))

    def _commit(
        self,
        state: State,
        freed: State,
        gateway: int | None,
        read: tuple[int, int, tuple[int, ...]],
        steps: list[Step],
        faults: list[Step],
    ) -> None:
        documents = self.documents
        operation, doc, outbox = read
        change = documents.decide(doc, operation, outbox)
        if change is None:
            raise Violation("what was decided is no longer so, though nobody changed the document")
        documents.check_step(state.doc, change.doc)
        self._remember(state, operation, change)
        stored = self._read_again(state, freed, gateway)._replace(doc=change.doc, outbox=(*outbox, *change.entries))
        if not self.rules.guards_version:
            stored = stored._replace(sent=min(state.sent, len(stored.outbox)))
        name = documents.name_of(operation)
        steps.append((f"a gateway stores the {name}", stored))
        if state.crashes and operation < self._facts:
            queue, family = divmod(operation, self._count)
            label = f"a gateway dies before it acks the {name}"
            faults.append((label, self._given_back(stored, STARTED + queue, family)))

    def _as_read(self, state: State, gateway: int) -> tuple[int, int, tuple[int, ...]]:
        """What a gateway is in the middle of, and what it has read: the present, unless no rule made it read again."""
        if gateway < 0:
            return self._snapshots[-gateway - 1]
        return gateway - 1, state.doc, state.outbox

    def _read_again(self, before: State, after: State, winner: int | None) -> State:
        """The document changed. Who had read it loses the race, and begins again with its message; or keeps what it read."""
        others = list(before.gateways)
        if winner is not None:
            others.remove(winner)
        for other in others:
            if other == IDLE:
                continue
            if not self.rules.guards_version:
                if other > 0:
                    after = after._replace(gateways=_swapped(after.gateways, other, self._snapshot(before, other)))
                continue
            self.sights.add("a gateway lost a race")
            after = after._replace(gateways=_swapped(after.gateways, other, IDLE))
            operation = other - 1
            if operation < self._facts:
                queue, family = divmod(operation, self._count)
                after = after._replace(queues=self._added(after.queues, STARTED + queue, family))
            elif operation == self.documents.cancel:
                after = after._replace(cancellations=after.cancellations + 1)
        return after

    def _snapshot(self, state: State, gateway: int) -> int:
        key = (gateway - 1, state.doc, state.outbox)
        if key not in self._snapshot_numbers:
            self._snapshots.append(key)
            self._snapshot_numbers[key] = -len(self._snapshots)
        return self._snapshot_numbers[key]

    def _remember(self, state: State, operation: int, change: Change) -> None:
        if change.asks_again:
            self.sights.add("work was asked for again")
        if change.gives_up:
            self.sights.add("a family was given up")
        if operation == self.documents.cancel and state.queues:
            self.sights.add("a job was cancelled while its work was under way")
        if operation == self.documents.cancel and self.documents.shown[state.doc]:
            self.sights.add("a job was cancelled with one family published")

    def _met_an_end(self, state: State, ignored: int) -> None:
        self.sights.add("a fact met a job that had ended")
        if not state.duplicates and self.scenario.duplicates:
            self.sights.add("a duplicate met a job that had ended")
        if self.documents.is_cancelled[state.doc] and ignored >> PUBLISHED * self._count * _BITS:
            self.sights.add("pictures met a cancelled job")

    # What goes wrong outside.

    def _disturb(self, state: State, faults: list[Step]) -> None:
        if state.duplicates and state.queues:
            for slot, queue, family in self._slots:
                if state.queues >> slot * _BITS & _MOST_COPIES:
                    again = self._added(state.queues, queue, family)
                    label = f"the broker repeats {QUEUES[queue]} of family {family}"
                    faults.append((label, state._replace(queues=again, duplicates=state.duplicates - 1)))
        if state.lost_queues and state.queues:
            width = self._count * _BITS
            for queue, name in enumerate(QUEUES):
                lost = state.queues & ((1 << width) - 1) << queue * width
                if lost:
                    wiped = state._replace(queues=state.queues - lost, lost_queues=state.lost_queues - 1)
                    faults.append((f"the broker loses the queue of {name}", wiped))

    def _added(self, queues: int, queue: int, family: int) -> int:
        shift = (queue * self._count + family) * _BITS
        require(queues >> shift & _MOST_COPIES < _MOST_COPIES, f"{QUEUES[queue]} has more copies than can be counted")
        return queues + (1 << shift)


def _swapped(pair: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    """One of them does something else now; which of them does not matter."""
    rest = list(pair)
    rest.remove(old)
    return tuple(sorted((*rest, new)))
