"""The id of one picture of a job: `img_<job in hex>_<revision>_<family>_<index>`. It says where to look, and nothing else."""

import re
import uuid
from typing import Final

from imagetron_contracts.spec import ParentImage
from imagetron_gateway.domain.job import Image, Job

_ID: Final = re.compile(r"img_([0-9a-f]{32})_([1-9][0-9]{0,5})_([A-Za-z0-9_-]{1,40})_([0-9])")


def image_id(job_id: str, revision: int, family: str, index: int) -> str:
    return f"img_{uuid.UUID(job_id).hex}_{revision}_{family}_{index}"


def parse_image_id(text: str) -> ParentImage | None:
    """The place that an id names; None for what is no id of an image."""
    found = _ID.fullmatch(text)
    if found is None:
        return None
    return ParentImage(job_id=str(uuid.UUID(found[1])), revision=int(found[2]), family=found[3], index=int(found[4]))


def image_at(job: Job, place: ParentImage) -> Image | None:
    """The image as the job knows it: of its current revision, or of the one that its names still point to."""
    images: tuple[Image, ...] = ()
    if place.revision == job.revision and place.family in job.families:
        images = job.families[place.family].images
    elif (published := job.published.get(place.family)) and published.revision == place.revision:
        images = published.images
    return next((image for image in images if image.index == place.index), None)
