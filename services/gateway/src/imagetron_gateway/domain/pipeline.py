"""What the two-step pipeline's clients see of a job: one family of square images, in their words."""

from typing import Final

from imagetron_gateway.domain.job import Image, Job, JobStatus
from imagetron_gateway.domain.pictures import UrlOf, good_images, shown_images

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
    good = good_images(shown_images(job, FAMILY))
    return [url_of(file.key) for image in good for file in image.files if file.name == FAMILY]


def error_of(job: Job) -> str | None:
    """Why the job is FAILED: each image that there is not, with its reason. None while it is not."""
    if STATUS[job.status] != "FAILED":
        return None
    images = job.families[FAMILY].images
    failed = [_said(image, len(images)) for image in images if image.failure]
    if job.status is JobStatus.CANCELLED or not failed:
        return job.error or "failed"
    return "; ".join(failed)


def _said(image: Image, count: int) -> str:
    reason = image.failure.message if image.failure else ""
    return f"image {image.index + 1} of {count}: {reason}"
