"""Submit a job: stored durably before anything is told, once for each Idempotency-Key."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagetron_chassis.clock import Clock, NewId
from imagetron_chassis.faults import fault_point
from imagetron_chassis.principals import Principal
from imagetron_chassis.telemetry import traceparent
from imagetron_contracts.crops import Subject
from imagetron_contracts.families import BUILT_IN_TABLE, FamilyTable
from imagetron_contracts.families import Family as Row
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import Output, Source, Verb
from imagetron_contracts.stages import Lane
from imagetron_gateway.domain import saga
from imagetron_gateway.domain.choosing import Chosen
from imagetron_gateway.domain.job import (
    NO_POLICY,
    Family,
    Idempotency,
    Image,
    Job,
    JobKind,
    Lineage,
    Policy,
    PromptReference,
)
from imagetron_gateway.domain.naming import name_for
from imagetron_gateway.domain.prices import NOTHING
from imagetron_gateway.domain.replaying import replayed
from imagetron_gateway.domain.seeds import seed_of
from imagetron_gateway.domain.verbs import Enlarged
from imagetron_gateway.ports import Jobs, KeyTaken, NameTaken
from imagetron_gateway.usecases.committing import KeyReused

# A floor for what does not grow with size and steps: loading, queueing inside the server, storing.
_FLOOR_SECONDS = 60


class BacklogFull(Exception):
    """So many jobs wait that one more would only wait in vain; nothing was stored."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A checked request: names resolved, defaults filled in. Without a name the job is called by its id."""

    category: str
    families: tuple[str, ...]
    """Of the table."""
    prompt: str
    negative_prompt: str
    chosen: Chosen
    lane: Lane
    table: FamilyTable = BUILT_IN_TABLE
    name: str | None = None
    kind: JobKind = JobKind.VARIATION
    images: int = 1
    """In each family."""
    intent: str | None = None
    raw_prompt: str | None = None
    prompt_reference: PromptReference | None = None
    policy: Policy = NO_POLICY
    verb: Verb = Verb.IMAGINE
    source: Source | None = None
    lineage: Lineage | None = None
    enlarged: Enlarged | None = None
    """The sizes of an upscaled picture; the family is its parent's."""
    formats: tuple[ImageFormat, ...] = (ImageFormat.WEBP,)
    output: Output = field(default_factory=Output)
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    """By family, of those that the caller says something about."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job, and whether it is that of an earlier request with the same key."""

    job: Job
    is_replay: bool = False


async def submission_of(idempotency: Idempotency, principal: Principal, *, jobs: Jobs) -> Submitted | None:
    """The job that this request made before, if it did. Raises KeyReused if the key was used for another request."""
    job = await jobs.by_key(idempotency.key, principal)
    if job is None:
        return None
    if job.idempotency != idempotency:
        raise KeyReused("this Idempotency-Key was used for another request; use a new one for each")
    return Submitted(job, is_replay=True)


async def submit_job(
    request: NewJob,
    principal: Principal,
    *,
    jobs: Jobs,
    clock: Clock,
    new_id: NewId,
    idempotency: Idempotency | None = None,
) -> Submitted:
    """Store a new job. Raises NameTaken, KeyReused; then nothing is stored. Two with one key make one job."""
    now = clock.now()
    job_id, chosen = new_id(), request.chosen
    families = {name: _family(request.table.named(name), request) for name in request.families}
    job = Job(
        id=job_id,
        owner=principal.owner,
        idempotency=idempotency,
        kind=request.kind,
        name=request.name or name_for(request.kind, job_id),
        category=request.category,
        intent=request.intent,
        raw_prompt=request.raw_prompt,
        final_prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        policy=request.policy,
        prompt=request.prompt_reference,
        model=chosen.model.name,
        provider=chosen.serving.provider,
        served_by=chosen.served_by,
        fallback=chosen.fallback_serving({name: family.shape.master for name, family in families.items()}),
        verb=request.verb,
        source=request.source,
        lineage=request.lineage,
        cost=NOTHING.expecting(sum(family.estimated_micros for family in families.values())),
        parameters=chosen.parameters,
        formats=request.formats,
        output=request.output,
        lane=request.lane,
        families=families,
        traceparent=traceparent(),
        created_at=now,
        updated_at=now,
    )
    stood_in = chosen.serving.name if chosen.has_failed_over else None
    return await _store(
        saga.created(job, now, failed_over_to=stood_in).job, principal, jobs=jobs, idempotency=idempotency
    )


async def replay_job(
    original: Job,
    principal: Principal,
    *,
    jobs: Jobs,
    clock: Clock,
    new_id: NewId,
    idempotency: Idempotency | None = None,
) -> Submitted:
    """Store a new job with the inputs of another, seeds included: the same pictures, if the same model serves.

    Raises KeyReused; then nothing is stored.
    """
    now = clock.now()
    fresh = replayed(original, now, job_id=new_id(), owner=principal.owner)
    job = fresh.model_copy(update={"idempotency": idempotency, "traceparent": traceparent()})
    return await _store(saga.created(job, now).job, principal, jobs=jobs, idempotency=idempotency)


async def _store(job: Job, principal: Principal, *, jobs: Jobs, idempotency: Idempotency | None) -> Submitted:
    fault_point("gateway.before_insert")
    try:
        await jobs.insert(job, principal)
    except (NameTaken, KeyTaken):
        # Of two requests with one key the slower one finds name and key taken, by itself.
        earlier = await submission_of(idempotency, principal, jobs=jobs) if idempotency else None
        if earlier is None:
            raise
        return earlier
    fault_point("gateway.after_insert")
    return Submitted(job)


def _family(row: Row, request: NewJob) -> Family:
    chosen, enlarged = request.chosen, request.enlarged
    master = enlarged.master if enlarged else row.master
    render = enlarged.render if enlarged else chosen.serving.bucket_for(master)
    # Enlarging is no denoising: a minute is plenty for any size, whatever the model.
    seconds = 0.0 if enlarged else chosen.serving.estimated_seconds(render, chosen.parameters.steps)
    # Who answers later makes the images of a family side by side.
    in_turn = request.images if chosen.serving.delivery.is_held else 1
    return Family(
        name=row.name,
        render=render,
        master=enlarged.master if enlarged else None,
        row=row,
        subject=request.subjects.get(row.name),
        price_micros=chosen.serving.price_micros(master),
        fallback_price_micros=chosen.fallback.price_micros(master) if chosen.fallback else 0,
        budget_seconds=round((_FLOOR_SECONDS + seconds) * in_turn, 3),
        images=tuple(
            Image(index=index, seed=seed_of(chosen.parameters.seed, index)) for index in range(request.images)
        ),
    )
