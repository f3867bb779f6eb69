"""What the two-step pipeline's clients see of a job: one family of images, square where the table has such, in their words."""

from typing import Final

from imagetron_gateway.domain.job import Image, Job, JobStatus
from imagetron_gateway.domain.pictures import UrlOf, good_images, shown_images, urls_by_name

FAMILY: Final = "square"
CATEGORY: Final = "image"
STATUS: Final[dict[JobStatus, str]] = {
    JobStatus.QUEUED: "QUEUED",
    JobStatus.RUNNING: "RUNNING",
    JobStatus.COMPLETED: "DONE",
    # The good images stay, and the error says which ones there are not.
    JobStatus.PARTIAL: "FAILED",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELLED: "FAILED",
}


def cdn_urls(job: Job, url_of: UrlOf) -> list[str]:
    """The masters of the images that there are, in the images' order."""
    family = _family_of(job)
    urls = (urls_by_name(image.files, url_of) for image in good_images(shown_images(job, family)))
    return [named[family] for named in urls if family in named]


def error_of(job: Job) -> str | None:
    """Why the job is FAILED: each image that there is not, with its reason. None while it is not."""
    if STATUS[job.status] != "FAILED":
        return None
    images = job.families[_family_of(job)].images
    failed = [_said(image, len(images)) for image in images if image.failure]
    if job.status is JobStatus.CANCELLED or not failed:
        return job.error or "failed"
    return "; ".join(failed)


def _family_of(job: Job) -> str:
    return next(iter(job.families))


def _said(image: Image, count: int) -> str:
    reason = image.failure.message if image.failure else ""
    return f"image {image.index + 1} of {count}: {reason}"
