"""A job's inputs, run again as a job of its own."""

from datetime import datetime

from imagetron_gateway.domain.job import Job
from imagetron_gateway.domain.naming import name_for, name_of_replay
from imagetron_gateway.domain.prices import Cost


def replayed(job: Job, now: datetime, *, job_id: str, owner: str) -> Job:
    """A new job with everything that decides the pixels as it is in the other one's current revision."""
    was_named = job.name != name_for(job.kind, job.id)
    families = {name: family.unmade() for name, family in job.families.items()}
    return Job(
        id=job_id,
        owner=owner,
        kind=job.kind,
        name=name_of_replay(job.name, job_id) if was_named else name_for(job.kind, job_id),
        category=job.category,
        intent=job.intent,
        raw_prompt=job.raw_prompt,
        final_prompt=job.final_prompt,
        negative_prompt=job.negative_prompt,
        policy=job.policy,
        prompt=job.prompt,
        replay_of=job.id,
        model=job.model,
        provider=job.provider,
        served_by=job.served_by,
        fallback=job.fallback,
        verb=job.verb,
        source=job.source,
        lineage=job.lineage,
        cost=Cost().expecting(sum(family.estimated_micros for family in families.values())),
        parameters=job.parameters,
        formats=job.formats,
        output=job.output,
        lane=job.lane,
        families=families,
        created_at=now,
        updated_at=now,
    )
