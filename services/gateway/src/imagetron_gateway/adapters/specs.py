"""Writes a revision's spec into the work store: the claim check that messages point to."""

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.families import FAMILIES
from imagetron_contracts.spec import FamilySpec, FileSpec, RenderSpec, cancelled_key, spec_key
from imagetron_gateway.domain.job import Family, Job
from imagetron_gateway.domain.policy import negative_prompt_of


class BlobSpecs:
    """Implements the Specs port."""

    def __init__(self, work: Blobs) -> None:
        self._work = work

    async def write(self, job: Job) -> None:
        spec = RenderSpec(
            job_id=job.id,
            revision=job.revision,
            prompt=job.final_prompt,
            negative_prompt=negative_prompt_of(job),
            model=job.model,
            served_by=job.served_by,
            steps=job.parameters.steps,
            guidance_scale=job.parameters.guidance_scale,
            families={name: _family_spec(family) for name, family in job.families.items()},
            provider=job.provider,
            verb=job.verb,
            source=job.source,
            parent=job.lineage.parent if job.lineage else None,
            fallback=job.fallback,
        )
        body = spec.model_dump_json(by_alias=True).encode()
        await self._work.put_if_absent(spec_key(job.id, job.revision), body, content_type="application/json")

    async def mark_cancelled(self, job_id: str, revision: int) -> None:
        await self._work.put_if_absent(cancelled_key(job_id, revision), b"cancelled\n", content_type="text/plain")


def _family_spec(family: Family) -> FamilySpec:
    table = FAMILIES[family.name]
    # An upscaled picture is a master alone: its derivatives would be no better than its parent's.
    derivatives = () if family.master else table.derivatives
    return FamilySpec(
        render=family.render,
        seeds=tuple(image.seed for image in family.images),
        files=(
            FileSpec(name=family.name, size=family.master or table.master),
            *(FileSpec(name=item.name, size=item.size) for item in derivatives),
        ),
    )
