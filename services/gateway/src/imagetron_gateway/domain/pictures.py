"""Finds a job's pictures: by name for aliases, all of them for lists and events."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from imagetron_contracts.families import PictureName
from imagetron_contracts.stages import PublishedFile
from imagetron_gateway.domain.job import Family, Image, ImageStatus, Job

UrlOf = Callable[[str], str]
"""The absolute public URL of an object key."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One public file and where it belongs."""

    family: str
    image: int
    file: PublishedFile
    is_first: bool
    """Of the files of this name: the one that is meant where one URL is told."""


def good_images(images: tuple[Image, ...]) -> list[Image]:
    """Published images, lowest index first."""
    return sorted((image for image in images if image.status is ImageStatus.PUBLISHED), key=lambda image: image.index)


def family_urls(family: Family, url_of: UrlOf) -> dict[str, str]:
    """Picture name -> URL of the lowest good image; empty if there is none."""
    good = good_images(family.images)
    return urls_by_name(good[0].files, url_of) if good else {}


def urls_by_name(files: Iterable[PublishedFile], url_of: UrlOf) -> dict[str, str]:
    """Picture name -> URL of the first of the formats that it is in: the one that is meant where one URL is told."""
    urls: dict[str, str] = {}
    for file in files:
        urls.setdefault(file.name, url_of(file.key))
    return urls


def job_urls(job: Job, url_of: UrlOf) -> dict[str, dict[str, str]]:
    """Family -> picture name -> URL, for the families that have any picture in the current revision."""
    urls = {name: family_urls(family, url_of) for name, family in job.families.items()}
    return {name: pictures for name, pictures in urls.items() if pictures}


def shown_images(job: Job, family: str) -> tuple[Image, ...]:
    """The images that a family's names point to: of the newest finished revision, before the first one as they come."""
    published = job.published.get(family)
    return published.images if published else job.families[family].images


def pictures(job: Job) -> Iterator[Picture]:
    """Every picture that the job shows, families in the caller's order, master first."""
    for family in job.families:
        for image in good_images(shown_images(job, family)):
            yield from _pictures(family, image)


def pictures_of(job: Job, name: PictureName, index: int | None = None) -> list[Picture]:
    """The picture behind a resolved name in all its formats, of that image or else of the lowest good one; the first is meant
    where one URL is told. Empty while there is none.
    """
    good = [image for image in good_images(shown_images(job, name.family)) if index is None or image.index == index]
    wanted = name.derivative or name.family
    return [picture for image in good[:1] for picture in _pictures(name.family, image) if picture.file.name == wanted]


def picture_of(job: Job, name: PictureName, index: int | None = None) -> Picture | None:
    """The first of them; None while there is none."""
    return next(iter(pictures_of(job, name, index)), None)


def _pictures(family: str, image: Image) -> Iterator[Picture]:
    named = set[str]()
    for file in image.files:
        yield Picture(family=family, image=image.index, file=file, is_first=file.name not in named)
        named.add(file.name)
