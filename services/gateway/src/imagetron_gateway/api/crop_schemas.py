"""What `/api/jobs/{id}/families/{family}/crops` shows: how each picture was cut from its render, and why there."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from imagetron_contracts.crops import Crop, Detection, Evidence, Fit, Window
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.stages import PublishedFile
from imagetron_gateway.api.output_schemas import SubjectShown, subject_shown
from imagetron_gateway.api.presenting import failure_shown
from imagetron_gateway.api.schemas import FailureShown, Shown
from imagetron_gateway.domain.job import Family, Image, Job, Recut, RecutImage
from imagetron_gateway.domain.pictures import UrlOf


class CropShown(Shown):
    """One picture's part of the render."""

    window: Window = Field(description="In pixels of the render. It leaves the render where `fit` is `padded`.")
    evidence: Evidence = Field(description="What decided where it lies.")
    fit: Fit = Field(description="Whether it holds all that must stay.")
    family: str | None = Field(description="Whose render it was cut from; null: this family's own.")


class CutFileShown(Shown):
    """One file of an image."""

    name: str
    format: ImageFormat
    size: Dimensions
    url: str
    crop: CropShown | None = Field(description="Null of a file that was made before windows were kept.")


class CutImageShown(Shown):
    """One image, and all files that were cut from its render."""

    index: int
    status: str
    render: Dimensions | None = Field(description="The size of the render; null while there is none.")
    detection: Detection | None = Field(
        description="What was found in it, in shares of its width and height; null where nothing had to be looked for."
    )
    files: list[CutFileShown]
    preview_url: str | None = Field(
        description="The render with all of this drawn on it, as PNG, as long as the render is kept; null while there is none."
    )


class RecutImageShown(Shown):
    """How far one image is."""

    index: int
    status: Literal["owed", "cut", "failed"]
    error: FailureShown | None


class RecutShown(Shown):
    """A cutting again. Images keep the files that they have until the new ones are public, or if it fails."""

    status: Literal["under_way", "failed"]
    asked_at: datetime
    images: list[RecutImageShown]


class CropLinks(Shown):
    """Where to go from here, absolute."""

    self: str
    job: str


class CropsShown(Shown):
    """How a family's pictures of the current revision were cut."""

    job: str
    family: str
    status: str
    revision: int
    derivation: int = Field(description="How often the renders were to be cut again.")
    subject: SubjectShown | None = Field(description="What the caller said of the subject.")
    images: list[CutImageShown]
    recut: RecutShown | None = Field(
        description="The newest cutting again, while it is under way or if it failed; null if it went well."
    )
    links: CropLinks


class RecutAccepted(Shown):
    """The answer to a change of the subject: the work goes on without the caller."""

    job: str
    family: str
    links: CropLinks


def recut_accepted(job: Job, family: Family, base_url: str) -> RecutAccepted:
    """The same however far it is by now: a repeated request gets what the first one got."""
    return RecutAccepted(job=job.id, family=family.name, links=_links(job, family, base_url))


def crops_shown(job: Job, family: Family, *, base_url: str, url_of: UrlOf) -> CropsShown:
    links = _links(job, family, base_url)
    return CropsShown(
        job=job.id,
        family=family.name,
        status=family.status.value,
        revision=job.revision,
        derivation=family.derivation,
        subject=subject_shown(family.subject) if family.subject else None,
        images=[_image(image, links.self, url_of) for image in family.images],
        recut=_recut(family.recut) if family.recut else None,
        links=links,
    )


def _links(job: Job, family: Family, base_url: str) -> CropLinks:
    about = f"{base_url}/api/jobs/{job.id}"
    return CropLinks(self=f"{about}/families/{family.name}/crops", job=about)


def _image(image: Image, crops: str, url_of: UrlOf) -> CutImageShown:
    return CutImageShown(
        index=image.index,
        status=image.status.value,
        render=image.render.size if image.render else None,
        detection=image.detection,
        files=[_file(file, url_of) for file in image.files],
        preview_url=f"{crops}?format=png&image={image.index}" if image.render else None,
    )


def _file(file: PublishedFile, url_of: UrlOf) -> CutFileShown:
    return CutFileShown(
        name=file.name,
        format=file.format,
        size=file.size,
        url=url_of(file.key),
        crop=_crop(file.crop) if file.crop else None,
    )


def _crop(crop: Crop) -> CropShown:
    return CropShown(window=crop.window, evidence=crop.evidence, fit=crop.fit, family=crop.family)


def _recut(recut: Recut) -> RecutShown:
    return RecutShown(
        status="under_way" if recut.is_under_way else "failed",
        asked_at=recut.asked_at,
        images=[_recut_image(image) for image in recut.images],
    )


def _recut_image(image: RecutImage) -> RecutImageShown:
    if image.failure is not None:
        return RecutImageShown(index=image.index, status="failed", error=failure_shown(image.failure))
    return RecutImageShown(index=image.index, status="cut" if image.is_cut else "owed", error=None)
