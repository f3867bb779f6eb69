"""Writes a revision's spec into the work store: the claim check that messages point to."""

from imagetron_chassis.blobs import Blobs
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import FamilySpec, FileSpec, Output, RenderSpec, cancelled_key, spec_key
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
            families={name: _family_spec(family, job.formats) for name, family in job.families.items()},
            provider=job.provider,
            verb=job.verb,
            source=job.source,
            parent=job.lineage.parent if job.lineage else None,
            fallback=job.fallback,
            output=None if job.output == Output() else job.output,
        )
        body = spec.model_dump_json(by_alias=True).encode()
        await self._work.put_if_absent(spec_key(job.id, job.revision), body, content_type="application/json")

    async def mark_cancelled(self, job_id: str, revision: int) -> None:
        await self._work.put_if_absent(cancelled_key(job_id, revision), b"cancelled\n", content_type="text/plain")


def _family_spec(family: Family, formats: tuple[ImageFormat, ...]) -> FamilySpec:
    shape = family.shape
    # An upscaled picture is a master alone: its derivatives would be no better than its parent's.
    derivatives = () if family.master else shape.derivatives
    sizes = {family.name: family.master or shape.master} | {item.name: item.size for item in derivatives}
    return FamilySpec(
        render=family.render,
        seeds=tuple(image.seed for image in family.images),
        files=tuple(FileSpec(name=name, size=size, format=form) for name, size in sizes.items() for form in formats),
        subject=family.subject,
    )
