"""From a job to what `/api/images/*` shows of it."""

from imagetron_contracts.stages import Lane
from imagetron_gateway.api import job_schemas, schemas
from imagetron_gateway.domain.job import Failure, Family, FamilyStatus, Image, ImageStatus, Job, JobStatus
from imagetron_gateway.domain.pictures import Picture, UrlOf, pictures
from imagetron_gateway.domain.statuses import VARIATION_STATUS
from imagetron_gateway.ports import Reports
from imagetron_gateway.usecases.queueing import Place

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
        """The same answer however far the job is by now: a repeated request gets what the first one got."""
        return schemas.VariationAccepted(
            id=job.id, status=VARIATION_STATUS[JobStatus.QUEUED], name=job.name, links=self.links(job)
        )

    def job_accepted(self, job: Job) -> job_schemas.JobAccepted:
        """As `accepted`: the same for a repeated request."""
        return job_schemas.JobAccepted(id=job.id, status=JobStatus.QUEUED, links=self.job_links(job))

    def job_links(self, job: Job) -> job_schemas.JobLinks:
        about, links = f"{self._base_url}/api/jobs/{job.id}", self.links(job)
        return job_schemas.JobLinks(
            self=about,
            variation=links.self,
            cancel=links.cancel,
            retry=links.retry,
            regenerate=links.regenerate,
            replay=f"{about}/replay",
        )

    def links(self, job: Job) -> schemas.Links:
        variations = f"{self._base_url}/api/images/variations"
        return schemas.Links(
            self=f"{variations}/{job.id}",
            by_name=f"{variations}/name/{job.name}",
            regenerate=f"{variations}/{job.id}/regenerate",
            job=f"{self._base_url}/api/jobs/{job.id}",
            cancel=f"{self._base_url}/api/jobs/{job.id}/cancel",
            retry=f"{self._base_url}/api/jobs/{job.id}/retry",
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

    def job(self, job: Job, place: Place | None, closed: str | None) -> job_schemas.JobShown:
        """`closed` says why nothing of its lane is admitted, if that is so."""
        return job_schemas.JobShown(
            id=job.id,
            kind=job.kind,
            name=job.name,
            category=job.category,
            status=job.status,
            revision=job.revision,
            lane=job.lane.value,
            queue=job_schemas.PlaceShown(
                position=place.position, estimated_wait_seconds=None if closed else place.estimated_wait_seconds
            )
            if place
            else None,
            delayed=None if job.status.is_terminal else closed or self._no_model(job),
            intent=job.intent,
            raw_prompt=job.raw_prompt,
            final_prompt=job.final_prompt,
            negative_prompt=job.negative_prompt,
            policy=job_schemas.PolicyShown(negative_prompt=job.policy.negative_prompt),
            prompt=job_schemas.PromptReferenceShown(id=job.prompt.id, version=job.prompt.version)
            if job.prompt
            else None,
            replay_of=job.replay_of,
            model=job.model,
            served_by=job.served_by,
            families={name: self._job_family(job, family) for name, family in job.families.items()},
            error=job.error,
            history=[
                job_schemas.RemarkShown(at=line.at, what=line.what, family=line.family, detail=line.detail)
                for line in job.history
            ],
            created_at=job.created_at,
            updated_at=job.updated_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            links=self.job_links(job),
        )

    def _no_model(self, job: Job) -> str | None:
        report = self._reports.model(job.served_by)
        if report is None:
            return f"no generator has spoken for the model {job.served_by} of late"
        return None if report.is_available else f"the model {job.served_by} does not answer just now"

    def _job_family(self, job: Job, family: Family) -> job_schemas.JobFamilyShown:
        return job_schemas.JobFamilyShown(
            status=family.status.value,
            attempt=family.attempt,
            progress=self._progress(job, family),
            images=[_image(image) for image in family.images],
            budget_seconds=family.budget_seconds,
            admitted_at=family.admitted_at,
            started_at=family.started_at,
            finished_at=family.finished_at,
            error=_failure(family.failure) if family.failure else None,
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
        # Without it a name stands for the first good image.
        if len(job.families[picture.family].images) > 1:
            alias += f"?image={picture.image}"
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


def _image(image: Image) -> job_schemas.JobImageShown:
    return job_schemas.JobImageShown(
        index=image.index,
        seed=image.seed,
        status=image.status.value,
        digest=image.digest,
        error=_failure(image.failure) if image.failure else None,
    )


def _failure(failure: Failure) -> schemas.FailureShown:
    return schemas.FailureShown(
        stage=failure.stage.value,
        code=failure.code.value,
        message=failure.message,
        retryable=failure.code.is_retryable,
        support_id=failure.support_id,
    )
