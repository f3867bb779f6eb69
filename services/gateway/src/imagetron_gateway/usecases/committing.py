"""The one way a job document changes: the domain decides, one replace-if-version stores state and outbox together."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import Transient
from imagetron_chassis.faults import fault_point
from imagetron_chassis.principals import Principal, system
from imagetron_chassis.telemetry import traceparent
from imagetron_contracts.envelope import Envelope
from imagetron_contracts.ids import event_id
from imagetron_contracts.topology import exchange_of
from imagetron_gateway.domain.decisions import Decision, Emission
from imagetron_gateway.domain.job import Job, OutboxEntry
from imagetron_gateway.ports import Jobs, Outbox
from imagetron_gateway.usecases.measuring import measure_change

SOURCE: Final = "imagetron/gateway"
SAGA: Final = system("saga")
# Optimistic commits lose only to each other; a job has few writers at a time.
_COMMIT_TRIES: Final = 20

Decide = Callable[[Job, datetime], Decision | None]


class JobMissing(Exception):
    """No such job for this caller."""


class FamilyMissing(Exception):
    """The job has no such family."""


class JobChanged(Exception):
    """The job is not in the version that the caller knows; nothing was changed."""


class KeyReused(Exception):
    """The Idempotency-Key was used before, for another request; nothing was changed."""


class TooManyWriters(Transient):
    """The document changed under every try to commit; the message is tried again later."""


async def commit(
    job_id: str,
    principal: Principal,
    decide: Decide,
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
        fault_point("gateway.before_commit")
        if await jobs.replace(committed, principal, if_version=job.version):
            fault_point("gateway.after_commit")
            measure_change(job, committed)
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
