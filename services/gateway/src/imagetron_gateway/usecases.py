"""What the gateway can do: submit, read, regenerate a variation; take in workers' messages; admit; check. One function each.

Every change goes through `_commit`: the saga decides, one replace-if-version stores state and outbox together.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.errors import Retryable, Transient
from imagetron_chassis.logs import log
from imagetron_chassis.periodic import for_each
from imagetron_chassis.principals import Principal, system
from imagetron_chassis.telemetry import traceparent
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.ids import event_id
from imagetron_contracts.stages import FamilyMessage, Lane
from imagetron_contracts.topology import exchange_of
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.admission import Candidate, choose
from imagetron_gateway.domain.catalogue import Model
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import Family, FamilyStatus, Image, Job, OutboxEntry, Parameters
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Outbox, Specs

SOURCE = "imagetron/gateway"
# Optimistic commits lose only to each other; a job has few writers at a time.
_COMMIT_TRIES = 20
_ADMISSION_LOOKAHEAD = 200
_SWEEP_LIMIT = 200
SAGA = system("saga")


class JobMissing(Exception):
    """No such job for this caller."""


class TooManyWriters(Transient):
    """The document changed under every try to commit; the message is tried again later."""


@dataclass(frozen=True, slots=True)
class NewVariation:
    """A checked request: names resolved, defaults filled in."""

    name: str
    category: str
    families: tuple[str, ...]
    prompt: str
    negative_prompt: str
    model: Model
    served_by: str
    parameters: Parameters
    lane: Lane


async def submit_variation(
    request: NewVariation, principal: Principal, *, jobs: Jobs, clock: Clock, new_id: NewId
) -> Job:
    """Store a new job, durably, before anything is told. Raises NameTaken; then nothing is stored."""
    now = clock.now()
    job = Job(
        id=new_id(),
        owner=principal.owner,
        name=request.name,
        category=request.category,
        final_prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        model=request.model.name,
        served_by=request.served_by,
        parameters=request.parameters,
        lane=request.lane,
        families={name: _family(name, request) for name in request.families},
        traceparent=traceparent(),
        created_at=now,
        updated_at=now,
    )
    job = saga.created(job, now).job
    await jobs.insert(job, principal)
    return job


async def regenerate_variation(job_id: str, principal: Principal, *, jobs: Jobs, clock: Clock) -> Job:
    """Run the same inputs again as the next revision. Raises JobMissing, NotAllowed."""

    def decide(job: Job, now: datetime) -> Decision:
        traced = job.model_copy(update={"traceparent": traceparent()})
        return saga.regenerate(traced, now)

    job = await _commit(job_id, principal, decide, jobs=jobs, clock=clock, outbox=None)
    if job is None:
        raise JobMissing(f"no variation {job_id}")
    return job


async def take_in(
    message: FamilyMessage, *, cause: Envelope, jobs: Jobs, clock: Clock, outbox: Outbox, url_of: UrlOf
) -> Job | None:
    """Let a worker's message change its job. None if there is no such job or nothing changed."""

    def decide(job: Job, now: datetime) -> Decision | None:
        return saga.apply(job, message, now, url_of)

    return await _commit(message.job_id, SAGA, decide, jobs=jobs, clock=clock, outbox=outbox, cause=cause)


async def admit_waiting(lane: Lane, window: int, *, jobs: Jobs, specs: Specs, clock: Clock, outbox: Outbox) -> int:
    """Fill the lane's window with waiting families; say how many were admitted.

    A job that cannot be admitted keeps no other one waiting; the first such error is raised at the end.
    """
    waiting = await jobs.waiting(lane, SAGA, limit=_ADMISSION_LOOKAHEAD)
    if not waiting:
        return 0
    in_flight = (await jobs.in_flight(SAGA)).get(lane.value, 0)
    by_id = {job.id: job for job in waiting}
    candidates = [
        Candidate(job.id, family.name, job.owner)
        for job in waiting
        for family in job.families.values()
        if family.status is FamilyStatus.WAITING
    ]

    async def admit(job: Job, families: list[str]) -> None:
        # The spec must be there before any worker hears of the job.
        await specs.write(job)
        await _commit(job.id, SAGA, _admit_all(families, job.revision), jobs=jobs, clock=clock, outbox=outbox)

    admitted, errors = 0, dict[str, BaseException]()
    while chosen := choose(candidates, window=window, in_flight=in_flight):
        by_job: dict[str, list[str]] = {}
        for candidate in chosen:
            by_job.setdefault(candidate.job_id, []).append(candidate.family)
        for job_id, families in by_job.items():
            [error] = await asyncio.gather(admit(by_id[job_id], families), return_exceptions=True)
            if error is not None:
                log().warning("job_not_admitted", job_id=job_id, reason=type(error).__name__)
                errors[job_id] = error
            else:
                admitted += len(families)
            # A store that is away is away for all. What only this job cannot do leaves its room to the others.
            if error is None or isinstance(error, Retryable):
                in_flight += len(families)
        candidates = [each for each in candidates if each not in chosen and each.job_id not in errors]
    if errors:
        raise next(iter(errors.values()))
    return admitted


async def check_due(*, jobs: Jobs, clock: Clock, outbox: Outbox, url_of: UrlOf) -> int:
    """Ask again for work that should have answered by now; say how many jobs were due."""
    due = await jobs.due(clock.now(), SAGA, limit=_SWEEP_LIMIT)

    async def check(job_id: str) -> None:
        await _commit(job_id, SAGA, lambda job, now: saga.tick(job, now, url_of), jobs=jobs, clock=clock, outbox=outbox)

    await for_each([job.id for job in due], check)
    return len(due)


def _family(name: str, request: NewVariation) -> Family:
    render = request.model.bucket_for(FAMILIES[name].master)
    seconds = request.model.estimated_seconds(render, request.parameters.steps)
    return Family(
        name=name,
        render=render,
        # A floor for what does not grow with size and steps: loading, queueing inside the server, storing.
        budget_seconds=round(60 + seconds, 3),
        images=(Image(index=0, seed=request.parameters.seed),),
    )


def _admit_all(families: list[str], revision: int) -> Callable[[Job, datetime], Decision | None]:
    def decide(job: Job, now: datetime) -> Decision | None:
        if job.revision != revision:
            return None  # another replica was faster; the spec of this revision is not written yet
        emissions: tuple[Emission, ...] = ()
        admitted = job
        for name in families:
            decision = saga.admit(admitted, name, now)
            if decision is not None:
                admitted, emissions = decision.job, (*emissions, *decision.emissions)
        return Decision(admitted, emissions) if emissions else None

    return decide


async def _commit(
    job_id: str,
    principal: Principal,
    decide: Callable[[Job, datetime], Decision | None],
    *,
    jobs: Jobs,
    clock: Clock,
    outbox: Outbox | None,
    cause: Envelope | None = None,
) -> Job | None:
    """Read, decide, replace if unchanged; again if somebody else was faster. None: no such job, or nothing to change."""
    for _ in range(_COMMIT_TRIES):
        job = await jobs.get(job_id, principal)
        if job is None:
            return None
        now = clock.now()
        decision = decide(job, now)
        if decision is None:
            return None
        entries = tuple(_entry(emission, decision.job, now, cause) for emission in decision.emissions)
        committed = decision.job.model_copy(
            update={
                "version": job.version + 1,
                "outbox": (*job.outbox, *entries),
                "outbox_at": job.outbox_at or (now if entries else None),
            }
        )
        if await jobs.replace(committed, principal, if_version=job.version):
            if entries and outbox is not None:
                outbox.kick(job_id)
            return committed
    raise TooManyWriters(f"job {job_id} changed under {_COMMIT_TRIES} tries to commit")


def _entry(emission: Emission, job: Job, now: datetime, cause: Envelope | None) -> OutboxEntry:
    message = emission.message
    message_id = message.message_id() if emission.sequence is None else event_id(job.id, emission.sequence)
    envelope = Envelope.wrap(message, message_id=message_id, source=SOURCE, time=now, job_id=job.id).model_copy(
        update={
            # Admission and checks run outside any request: their messages belong to the trace that asked for the job.
            "traceparent": traceparent() or job.traceparent,
            "causationid": cause.id if cause else None,
            "sequence": emission.sequence,
        }
    )
    return OutboxEntry(
        id=envelope.id,
        exchange=exchange_of(type(message)),
        routing_key=message.routing_key(),
        body=envelope.encode().decode(),
    )
