"""`/image/*`: the two-step pipeline. Propose a prompt; run what a person approved; look after it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import EnhancePrompt, PromptEnhanced, Source
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.ids import JobId
from imagetron_gateway.api.pipeline_schemas import (
    EnhanceBody,
    EnhancedShown,
    ExecuteBody,
    ExecutedShown,
    ListedShown,
    StatusShown,
)
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.domain import pipeline
from imagetron_gateway.domain.job import Job, JobKind, JobStatus
from imagetron_gateway.domain.naming import pipeline_id
from imagetron_gateway.domain.pictures import UrlOf
from imagetron_gateway.ports import Jobs, Prompts
from imagetron_gateway.usecases.committing import JobMissing
from imagetron_gateway.usecases.submitting import NewJob

# The answer is promised in two seconds: the language model has most of them, the way there and back the rest.
_MODEL_SECONDS: Final = 1.5
_ANSWER_SECONDS: Final = 1.8
_PROBLEMS: schemas.Responses = {
    422: {"model": Problem, "description": "The request is not acceptable; `errors` points to each field."},
    503: {"model": Problem, "description": "A part of the service is away; try again after `Retry-After` seconds."},
}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]


@dataclass(frozen=True, slots=True)
class PipelineDesk:
    """What these routes need."""

    jobs: Jobs
    prompts: Prompts
    submissions: Submissions
    url_of: UrlOf


def pipeline_router(desk: PipelineDesk) -> APIRouter:
    router = APIRouter(prefix="/image", tags=["image"])

    @router.post(
        "/enhance-prompt",
        summary="Propose a final prompt",
        response_description="To be read, changed and approved by a person. Nothing was stored.",
        responses=_PROBLEMS,
        response_model_exclude_none=True,
    )
    async def enhance(body: EnhanceBody, _: Writer) -> EnhancedShown:
        question = EnhancePrompt(intent=body.intent, prompt=body.prompt, budget_seconds=_MODEL_SECONDS)
        proposal = await desk.prompts.ask(question, PromptEnhanced, within_seconds=_ANSWER_SECONDS)
        source = proposal.source.value if proposal.source is Source.OFFLINE else None
        return EnhancedShown(final_prompt=proposal.final_prompt, source=source)

    @router.post(
        "/execute-prompt",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make images from an approved prompt",
        response_description="Stored; the work goes on without the caller.",
        responses=_PROBLEMS,
    )
    async def execute(
        body: ExecuteBody, principal: Writer, key: Key, request: Request, response: Response
    ) -> ExecutedShown:
        async def wanted() -> NewJob:
            chosen = desk.submissions.choose(schemas.GenerationOptions())
            table = desk.submissions.table
            return NewJob(
                kind=JobKind.IMAGE,
                category=pipeline.CATEGORY,
                families=(table.default,),
                table=table,
                images=body.image_count,
                intent=body.intent,
                raw_prompt=body.raw_prompt,
                prompt=body.final_prompt,
                negative_prompt="",
                chosen=chosen,
                policy=desk.submissions.policy,
                lane=Lane.INTERACTIVE,
            )

        submitted = await desk.submissions.submit(wanted, principal, identified(key, request, body))
        say_replayed(response, is_replay=submitted.is_replay)
        job_id = pipeline_id(submitted.job.id)
        response.headers["Location"] = f"/image/job-status/{job_id}"
        return ExecutedShown(job_id=job_id, status=pipeline.STATUS[JobStatus.QUEUED])

    @router.get(
        "/job-status/{job_id}",
        summary="How far a job is",
        response_description="Its status, and the images that there are.",
        responses={404: {"model": Problem, "description": "There is no such job."}},
        response_model_exclude_none=True,
    )
    async def status(job_id: JobId, principal: Reader, response: Response) -> StatusShown:
        job = await desk.jobs.get(job_id, principal)
        if job is None or job.kind is not JobKind.IMAGE:
            raise JobMissing(f"no job {job_id!r}")
        response.headers["ETag"] = f'W/"{job.version}"'
        response.headers["Cache-Control"] = "no-cache"
        return StatusShown(**_facts(job))

    @router.get(
        "/job-list",
        summary="The jobs, newest first",
        response_description="A page; the header `Link` leads to the next one.",
        responses=_PROBLEMS,
        response_model_exclude_none=True,
    )
    async def listed(
        principal: Reader,
        request: Request,
        response: Response,
        after: Annotated[str | None, Query(max_length=500, description="From the `Link` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[ListedShown]:
        page = await desk.jobs.page(principal, after=after, limit=limit, kind=JobKind.IMAGE)
        if page.next:
            following = request.url.include_query_params(after=page.next, limit=limit)
            response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return [ListedShown(intent=job.intent or "", **_facts(job)) for job in page.jobs]

    def _facts(job: Job) -> dict[str, object]:
        return {
            "job_id": pipeline_id(job.id),
            "status": pipeline.STATUS[job.status],
            "cdn_urls": pipeline.cdn_urls(job, desk.url_of),
            "error": pipeline.error_of(job),
        }

    return router
