"""The public events, made of a job's state. When they are told is saga.py's."""

from imagetron_contracts import events
from imagetron_contracts.message import Message
from imagetron_gateway.domain.job import Failure, Image, Job, JobStatus
from imagetron_gateway.domain.pictures import UrlOf, family_urls, job_urls, urls_by_name


def variation_started(job: Job) -> events.VariationStarted:
    return events.VariationStarted(
        variation_id=job.id, revision=job.revision, name=job.name, family_count=len(job.families)
    )


def family_completed(job: Job, name: str, url_of: UrlOf, derivation: int | None = None) -> events.FamilyCompleted:
    family = job.families[name]
    urls = family_urls(family, url_of)
    images = tuple(_published(image, name, url_of) for image in family.images)
    return events.FamilyCompleted(
        variation_id=job.id,
        revision=job.revision,
        family_name=name,
        # The publisher puts the master first; a file by another name is still better than none.
        public_url=urls.get(name, next(iter(urls.values()))),
        derivatives={picture: url for picture, url in urls.items() if picture != name},
        images=images,
        derivation=derivation,
    )


def _published(image: Image, family: str, url_of: UrlOf) -> events.PublishedImage:
    urls = urls_by_name(image.files, url_of)
    return events.PublishedImage(
        index=image.index,
        url=urls.pop(family, None),
        derivatives=urls,
        error=image.failure.message if image.failure else None,
    )


def family_failed(job: Job, name: str, failure: Failure) -> events.FamilyFailed:
    return events.FamilyFailed(
        variation_id=job.id,
        revision=job.revision,
        family_name=name,
        stage=failure.stage,
        code=failure.code,
        message=failure.message,
        retryable=failure.code.is_retryable,
    )


def variation_cancelled(job: Job, url_of: UrlOf) -> events.VariationCancelled:
    return events.VariationCancelled(variation_id=job.id, revision=job.revision, partial_urls=job_urls(job, url_of))


def variation_ended(job: Job, errors: dict[str, str], summary: str, url_of: UrlOf) -> Message:
    about = {"variation_id": job.id, "revision": job.revision}
    if job.status is JobStatus.COMPLETED:
        urls = job_urls(job, url_of)
        return events.VariationCompleted(**about, name=job.name, category=job.category, public_urls=urls)
    if job.status is JobStatus.FAILED:
        return events.VariationFailed(**about, error_message=summary, errors=errors)
    return events.VariationPartial(**about, partial_urls=job_urls(job, url_of), errors=errors)
