"""`/api/prompts/subjects`: a chat that proposes subjects for pictures, and its history."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from imagetron_chassis.principals import Principal
from imagetron_contracts import rpc
from imagetron_gateway.api.access import Allowed, Scope
from imagetron_gateway.api.idempotency import Key, identified, say_replayed
from imagetron_gateway.api.prompt_calls import (
    PROBLEMS,
    READ_WITHIN_SECONDS,
    WRITING_PROBLEMS,
    WRITING_SECONDS,
    WRITTEN_WITHIN_SECONDS,
    caller_of,
    paid_call,
)
from imagetron_gateway.api.prompt_schemas import SubjectsBody, SubjectsHistoryShown, SubjectsShown
from imagetron_gateway.ports import Prompts

Reader = Annotated[Principal, Depends(Allowed(Scope.READ))]
Writer = Annotated[Principal, Depends(Allowed(Scope.WRITE))]


def subjects_router(prompts: Prompts) -> APIRouter:
    router = APIRouter(prefix="/api/prompts/subjects", tags=["prompts"])

    @router.post(
        "",
        status_code=HTTPStatus.CREATED,
        summary="Propose subjects for pictures",
        response_description="A new turn of the chat, kept.",
        responses=WRITING_PROBLEMS,
    )
    async def propose(
        body: SubjectsBody, principal: Writer, key: Key, request: Request, response: Response
    ) -> SubjectsShown:
        question = rpc.ProposeSubjects(
            caller=caller_of(principal),
            call=paid_call(principal, identified(key, request, body)),
            topic=body.topic,
            count=body.count,
            budget_seconds=WRITING_SECONDS,
        )
        answer = await prompts.ask(question, rpc.SubjectsProposed, within_seconds=WRITTEN_WITHIN_SECONDS)
        say_replayed(response, is_replay=answer.is_replay)
        return SubjectsShown.of(answer.turn)

    @router.get(
        "/history", summary="Read the chat, newest turn first", response_description="A page.", responses=PROBLEMS
    )
    async def history(
        principal: Reader,
        after: Annotated[str | None, Query(max_length=500, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=rpc.MAX_PAGE)] = 50,
    ) -> SubjectsHistoryShown:
        question = rpc.ReadSubjectsHistory(caller=caller_of(principal), after=after, limit=limit)
        page = await prompts.ask(question, rpc.SubjectsHistory, within_seconds=READ_WITHIN_SECONDS)
        return SubjectsHistoryShown(items=[SubjectsShown.of(turn) for turn in page.turns], next=page.next)

    @router.delete(
        "/history",
        status_code=HTTPStatus.NO_CONTENT,
        summary="Forget the chat",
        response_description="All turns are gone; the next proposal knows nothing of them.",
        responses=PROBLEMS,
    )
    async def forget(principal: Writer) -> None:
        question = rpc.ForgetSubjects(caller=caller_of(principal))
        await prompts.ask(question, rpc.SubjectsForgotten, within_seconds=READ_WITHIN_SECONDS)

    return router
