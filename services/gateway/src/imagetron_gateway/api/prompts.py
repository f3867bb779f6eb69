"""`/api/prompts`: prompts written for subjects, and kept: read, retitled, changed, labelled, removed."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from imagetron_chassis.principals import Principal
from imagetron_contracts import rpc
from imagetron_gateway.api import schemas
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.etags import IfVersion, etag
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.problems import Problem
from imagetron_gateway.api.prompt_calls import (
    PROBLEMS,
    READ_WITHIN_SECONDS,
    WRITING_PROBLEMS,
    WRITING_SECONDS,
    WRITTEN_WITHIN_SECONDS,
    caller_of,
    paid_call,
)
from imagetron_gateway.api.prompt_schemas import ChangeBody, PromptList, PromptShown, StatusesShown, WriteBody
from imagetron_gateway.ports import Prompts

_MISSING: schemas.Responses = {404: {"model": Problem, "description": "There is no such prompt."}}
_CHANGED: schemas.Responses = {
    412: {"model": Problem, "description": "The prompt is not as `If-Match` says; nothing was changed."}
}
Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]
PromptId = Annotated[str, Path(max_length=100, description="The id that the prompt was given.")]


def prompts_router(prompts: Prompts) -> APIRouter:
    router = APIRouter(prefix="/api/prompts", tags=["prompts"])

    @router.post(
        "",
        status_code=HTTPStatus.CREATED,
        summary="Write prompts for chosen subjects",
        response_description="The new prompts, kept, in the order of their subjects.",
        responses=WRITING_PROBLEMS,
    )
    async def write(body: WriteBody, principal: Writer, key: Key, request: Request, response: Response) -> PromptList:
        question = rpc.WritePrompts(
            caller=caller_of(principal),
            call=paid_call(principal, identified(key, request, body)),
            subjects=tuple(body.subjects),
            per_subject=body.per_subject,
            style=body.style,
            budget_seconds=WRITING_SECONDS,
        )
        answer = await prompts.ask(question, rpc.PromptsWritten, within_seconds=WRITTEN_WITHIN_SECONDS)
        say_replayed(response, is_replay=answer.is_replay)
        return PromptList(items=[PromptShown.of(prompt) for prompt in answer.prompts], next=None)

    @router.get("", summary="List prompts, newest first", response_description="A page.", responses=PROBLEMS)
    async def listed(
        principal: Reader,
        status: Annotated[str | None, Query(max_length=30, description="Only those with this label.")] = None,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=rpc.MAX_PAGE)] = 50,
    ) -> PromptList:
        question = rpc.ListPrompts(caller=caller_of(principal), status=status, after=after, limit=limit)
        page = await prompts.ask(question, rpc.PromptPage, within_seconds=READ_WITHIN_SECONDS)
        return PromptList(items=[PromptShown.of(prompt) for prompt in page.prompts], next=page.next)

    @router.get(
        "/statuses",
        summary="The labels that a prompt may have",
        response_description="As the operator configured them.",
        responses=PROBLEMS,
    )
    async def statuses(_: Reader) -> StatusesShown:
        service = await prompts.ask(rpc.DescribePrompts(), rpc.PromptsDescribed, within_seconds=READ_WITHIN_SECONDS)
        return StatusesShown(items=list(service.statuses or ()))

    @router.get(
        "/{prompt_id}",
        summary="Read a prompt",
        response_description="The prompt; its `ETag` goes into `If-Match` of a change.",
        responses={**PROBLEMS, **_MISSING},
    )
    async def read(prompt_id: PromptId, principal: Reader, response: Response) -> PromptShown:
        question = rpc.GetPrompt(caller=caller_of(principal), prompt_id=prompt_id)
        return _shown(await prompts.ask(question, rpc.PromptShown, within_seconds=READ_WITHIN_SECONDS), response)

    @router.patch(
        "/{prompt_id}",
        summary="Change a prompt's title, text or label",
        response_description="The prompt as it is now.",
        responses={**PROBLEMS, **_MISSING, **_CHANGED},
    )
    async def change(
        prompt_id: PromptId, body: ChangeBody, principal: Writer, if_version: IfVersion, response: Response
    ) -> PromptShown:
        question = rpc.ChangePrompt(
            caller=caller_of(principal),
            prompt_id=prompt_id,
            if_version=if_version,
            title=body.title,
            text=body.text,
            status=body.status,
        )
        return _shown(await prompts.ask(question, rpc.PromptShown, within_seconds=READ_WITHIN_SECONDS), response)

    @router.post(
        "/{prompt_id}/title",
        summary="Have a different title written",
        response_description="The prompt with its new title.",
        responses={**WRITING_PROBLEMS, **_MISSING, **_CHANGED},
    )
    async def retitle(
        prompt_id: PromptId,
        principal: Writer,
        key: Key,
        if_version: IfVersion,
        request: Request,
        response: Response,
    ) -> PromptShown:
        question = rpc.RetitlePrompt(
            caller=caller_of(principal),
            call=paid_call(principal, identified(key, request, if_version=if_version)),
            prompt_id=prompt_id,
            if_version=if_version,
            budget_seconds=WRITING_SECONDS,
        )
        answer = await prompts.ask(question, rpc.PromptShown, within_seconds=WRITTEN_WITHIN_SECONDS)
        say_replayed(response, is_replay=answer.is_replay)
        return _shown(answer, response)

    @router.delete(
        "/{prompt_id}",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Remove a prompt",
        response_description="It is gone; jobs that were made from it keep their copy.",
        responses={**PROBLEMS, **_MISSING, **_CHANGED},
    )
    async def remove(prompt_id: PromptId, principal: Writer, if_version: IfVersion) -> None:
        question = rpc.RemovePrompt(caller=caller_of(principal), prompt_id=prompt_id, if_version=if_version)
        await prompts.ask(question, rpc.PromptRemoved, within_seconds=READ_WITHIN_SECONDS)

    return router


def _shown(answer: rpc.PromptShown, response: Response) -> PromptShown:
    response.headers["ETag"] = etag(answer.prompt.version)
    response.headers["Cache-Control"] = "no-cache"
    return PromptShown.of(answer.prompt)
