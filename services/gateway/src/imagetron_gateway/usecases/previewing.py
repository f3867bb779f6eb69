"""Show how a family's pictures were cut from their renders."""

from imagetron_chassis.principals import Principal
from imagetron_gateway.domain.job import Family, Image, Job
from imagetron_gateway.domain.previews import preview_of
from imagetron_gateway.ports import Jobs, Previews
from imagetron_gateway.usecases.committing import FamilyMissing, JobMissing


class ImageMissing(Exception):
    """The family has no such image, or nobody has rendered it yet."""


async def family_of(job_id: str, family: str, principal: Principal, *, jobs: Jobs) -> tuple[Job, Family]:
    """The job and its family with this name or alias. Raises JobMissing, FamilyMissing."""
    job = await jobs.get(job_id, principal)
    if job is None:
        raise JobMissing(f"no job {job_id!r}")
    return job, named(job, family)


def named(job: Job, family: str) -> Family:
    """Raises FamilyMissing."""
    for each in job.families.values():
        if family == each.name or family in each.shape.aliases:
            return each
    raise FamilyMissing(f"the job has no family {family[:100]!r}; its families: {', '.join(job.families)}")


async def drawn_preview(job: Job, family: Family, index: int | None, *, previews: Previews) -> bytes:
    """A PNG of this image's render (of the first one, if none is named) with all windows on it.

    Raises ImageMissing, RenderGone.
    """
    image = _image(family, index)
    if image is None or image.render is None:
        which = "" if index is None else f" with the index {index}"
        raise ImageMissing(f"{family.name} has no image{which} that has been rendered (yet)")
    return await previews.draw(image.render, preview_of(job, family, image, image.render.size))


def _image(family: Family, index: int | None) -> Image | None:
    wanted = (image for image in family.images if image.index == index or (index is None and image.render))
    return next(wanted, None)
