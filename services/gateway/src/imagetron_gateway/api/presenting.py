"""From a job to what `/api/images/*` shows of it."""

from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.domain.job import Failure, Family, FamilyStatus, ImageStatus, Job
from imagetron_gateway.domain.pictures import Picture, UrlOf, pictures
from imagetron_gateway.domain.statuses import VARIATION_STATUS
from imagetron_gateway.ports import Reports

# What share of a family's way each image status has behind it; the model's steps fill the first part.
_MODEL_SHARE = 0.8
_DONE = {ImageStatus.WAITING: 0.0, ImageStatus.RENDERED: _MODEL_SHARE, ImageStatus.DERIVED: 0.95}


class Presenter:
    """Knows the absolute addresses and the latest hints."""

    def __init__(self, *, base_url: str, url_of: UrlOf, reports: Reports) -> None:
        self._base_url = base_url
        self._url_of = url_of
        self._reports = reports

    def accepted(self, job: Job) -> schemas.VariationAccepted:
        return schemas.VariationAccepted(
            id=job.id, status=VARIATION_STATUS[job.status], name=job.name, links=self.links(job)
        )

    def links(self, job: Job) -> schemas.Links:
        variations = f"{self._base_url}/api/images/variations"
        return schemas.Links(
            self=f"{variations}/{job.id}",
            by_name=f"{variations}/name/{job.name}",
            regenerate=f"{variations}/{job.id}/regenerate",
        )

    def variation(self, job: Job) -> schemas.VariationShown:
        families = job.families.values()
        return schemas.VariationShown(
            id=job.id,
            name=job.name,
            category=job.category,
            status=VARIATION_STATUS[job.status],
            revision=job.revision,
            families={name: self._family(job, family) for name, family in job.families.items()},
            derivatives=[self._picture(job, picture) for picture in pictures(job)],
            generation=schemas.GenerationShown(
                prompt=job.final_prompt,
                negative_prompt=job.negative_prompt,
                seed=job.parameters.seed,
                model=job.model,
                served_by=job.served_by,
                inference_steps=job.parameters.steps,
                guidance_scale=job.parameters.guidance_scale,
            ),
            is_dx_job=job.lane is Lane.INTERACTIVE,
            error=job.error,
            timings=schemas.TimingsShown(
                submitted_at=job.created_at,
                started_at=job.started_at,
                finished_at=job.finished_at,
                model_seconds=round(sum(family.model_seconds for family in families), 3),
                encode_seconds=round(sum(family.encode_seconds for family in families), 3),
            ),
            created_at=job.created_at,
            updated_at=job.updated_at,
            links=self.links(job),
        )

    def _family(self, job: Job, family: Family) -> schemas.FamilyShown:
        return schemas.FamilyShown(
            status=family.status.value,
            progress=self._progress(job, family),
            attempt=family.attempt,
            seeds=[image.seed for image in family.images],
            error=_failure(family.failure) if family.failure else None,
        )

    def _progress(self, job: Job, family: Family) -> float:
        if family.status.is_terminal:
            return 1.0
        if family.status is FamilyStatus.WAITING:
            return 0.0
        steps = {
            progress.index: progress.step / progress.steps
            for progress in self._reports.progress(job.id, job.revision, family.name)
            if progress.attempt == family.attempt
        }
        shares = [
            max(_DONE.get(image.status, 1.0), _MODEL_SHARE * steps.get(image.index, 0.0)) for image in family.images
        ]
        return round(sum(shares) / len(shares), 3)

    def _picture(self, job: Job, picture: Picture) -> schemas.PictureShown:
        file = picture.file
        alias = file.name if file.name == picture.family else f"{picture.family}.{file.name}"
        return schemas.PictureShown(
            family=picture.family,
            name=file.name,
            image=picture.image,
            url=self._url_of(file.key),
            alias_url=f"{self._base_url}/api/images/{job.name}/{alias}",
            width=file.size.width,
            height=file.size.height,
            format=file.format,
            bytes=file.byte_count,
            digest=file.digest,
        )


def _failure(failure: Failure) -> schemas.FailureShown:
    return schemas.FailureShown(
        stage=failure.stage.value,
        code=failure.code.value,
        message=failure.message,
        retryable=failure.code.is_retryable,
        support_id=failure.support_id,
    )
