"""`POST /api/images/imagine`: images from a kept prompt."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from imagetron_chassis.principals import Principal
from imagetron_contracts.rpc import GetPrompt, PromptShown
from imagetron_contracts.stages import Lane
from imagetron_gateway.api import schemas
from imagetron_gateway.api.accepting import Accepted, in_formats
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.output_schemas import in_own_names, output_of
from imagetron_gateway.api.presenting import Presenter
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.api.prompt_calls import PROBLEMS, READ_WITHIN_SECONDS, caller_of
from imagetron_gateway.api.prompt_schemas import ImagineBody
from imagetron_gateway.api.submissions import Submissions
from imagetron_gateway.domain import pipeline
from imagetron_gateway.domain.commands import NotAllowed
from imagetron_gateway.domain.job import JobKind, PromptReference
from imagetron_gateway.ports import Prompts
from imagetron_gateway.usecases.submitting import NewJob

Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]


@dataclass(frozen=True, slots=True)
class ImagineDesk:
    """What this route needs."""

    prompts: Prompts
    submissions: Submissions
    presenter: Presenter


def imagine_router(desk: ImagineDesk) -> APIRouter:
    router = APIRouter(prefix="/api/images", tags=["images"])

    @router.post(
        "/imagine",
        status_code=HTTPStatus.ACCEPTED,
        summary="Make images from a kept prompt",
        response_description="Stored with a copy of the prompt; the work goes on without the caller.",
        responses={
            **PROBLEMS,
            404: {"model": Problem, "description": "There is no such prompt."},
            409: {"model": Problem, "description": "The name is taken, or the prompt has another version by now."},
        },
    )
    async def imagine(
        body: ImagineBody, accepted: Accepted, principal: Writer, key: Key, request: Request, response: Response
    ) -> schemas.VariationAccepted:
        output, table = in_formats(body.output, accepted), desk.submissions.table
        asked = body.families if "families" in body.model_fields_set else [table.default]
        families = [table.canonical(name) for name in asked]

        async def wanted() -> NewJob:
            chosen = desk.submissions.choose(body.generation, besides=desk.submissions.objections_to_families(families))
            subjects = desk.submissions.subjects(body.crop, families)
            question = GetPrompt(caller=caller_of(principal), prompt_id=body.prompt_id)
            kept = (await desk.prompts.ask(question, PromptShown, within_seconds=READ_WITHIN_SECONDS)).prompt
            if body.prompt_version not in {None, kept.version}:
                raise NotAllowed(
                    f"the prompt has version {kept.version} by now, not {body.prompt_version}; read and approve it again"
                )
            return NewJob(
                kind=JobKind.IMAGINE,
                name=body.name,
                category=pipeline.CATEGORY,
                families=tuple(families),
                table=table,
                images=body.images,
                prompt=kept.text,
                prompt_reference=PromptReference(id=kept.id, version=kept.version),
                negative_prompt=body.generation.negative_prompt,
                chosen=chosen,
                policy=desk.submissions.policy,
                lane=Lane.INTERACTIVE,
                formats=tuple(output.formats),
                output=output_of(output),
                subjects=subjects,
            )

        crop = in_own_names(body.crop, table)
        meant = body.model_copy(update={"families": families, "output": output, "crop": crop})
        submitted = await desk.submissions.submit(wanted, principal, identified(key, request, meant))
        say_replayed(response, is_replay=submitted.is_replay)
        answer = desk.presenter.accepted(submitted.job)
        response.headers["Location"] = answer.links.self
        return answer

    return router
