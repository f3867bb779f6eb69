"""Tasks and paid calls over the chassis' document store. No prompts, no URLs and no pixels are kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from imagetron_chassis.documents import (
    Collection,
    Document,
    Documents,
    Duplicate,
    Equals,
    Range,
    Sort,
    UniqueKey,
)
from imagetron_chassis.errors import Permanent
from imagetron_chassis.logs import log
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.stages import FamilyRequested, ImageError, RendersGenerated
from imagetron_generator.domain.paid_calls import PaidCall
from imagetron_generator.domain.provider_tasks import Lease, ProviderTask, TaskState
from imagetron_generator.ports import TaskIdTaken

PROVIDER_TASKS: Final = Collection(
    "provider_tasks",
    unique=(UniqueKey("providerTask", ("provider", "providerTaskId")),),
    indexes=(("provider", "nextCheckAt"), ("jobId", "revision", "family")),
)
PAID_CALLS: Final = Collection("paid_calls", indexes=(("jobId",),))
# A family has at most five images, hence tasks, in each of few attempts.
_MOST_OF_A_JOB: Final = 500

T = TypeVar("T")


class TaskUnreadable(Permanent):
    """A document is no task, or one of a version that this generator does not know."""


class DocumentProviderTasks:
    """Implements the ProviderTasks port over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(PROVIDER_TASKS)

    async def add(self, task: ProviderTask) -> bool:
        try:
            await self._documents.insert(PROVIDER_TASKS, _document(task))
        except Duplicate:
            return False
        return True

    async def get(self, reference: str) -> ProviderTask | None:
        document = await self._documents.get(PROVIDER_TASKS, reference)
        return _read(document, _task) if document else None

    async def replace(self, task: ProviderTask, *, if_version: int) -> bool:
        try:
            return await self._documents.replace(PROVIDER_TASKS, _document(task), if_version=if_version)
        except Duplicate as error:
            raise TaskIdTaken(
                f"the provider {task.provider} named the same task for {task.reference} and for another"
            ) from error

    async def due(self, provider: str, now: datetime, *, limit: int) -> Sequence[ProviderTask]:
        # Stores keep milliseconds: this is "at or before now".
        overdue = Range("nextCheckAt", below=now + timedelta(milliseconds=1))
        ours = Equals("provider", provider)
        found = await self._documents.find(PROVIDER_TASKS, ours, overdue, sort=Sort("nextCheckAt"), limit=limit)
        return list(_readable(found))

    async def of_job(self, job_id: str, revision: int, family: str | None = None) -> Sequence[ProviderTask]:
        filters = [Equals("jobId", job_id), Equals("revision", revision)]
        if family is not None:
            filters.append(Equals("family", family))
        return list(_readable(await self._documents.find(PROVIDER_TASKS, *filters, limit=_MOST_OF_A_JOB)))


class DocumentPaidCalls:
    """Implements the PaidCalls port over any Documents adapter."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def prepare(self) -> None:
        await self._documents.prepare(PAID_CALLS)

    async def add(self, call: PaidCall) -> bool:
        try:
            await self._documents.insert(PAID_CALLS, _call_document(call))
        except Duplicate:
            return False
        return True

    async def get(self, call_id: str) -> PaidCall | None:
        document = await self._documents.get(PAID_CALLS, call_id)
        return _read(document, _call) if document else None

    async def replace(self, call: PaidCall, *, if_version: int) -> bool:
        return await self._documents.replace(PAID_CALLS, _call_document(call), if_version=if_version)


def _readable(documents: Iterable[Document]) -> Iterator[ProviderTask]:
    """One that cannot be read must not keep the others waiting."""
    for document in documents:
        try:
            yield _read(document, _task)
        except TaskUnreadable as error:
            log().error("provider_task_unreadable", reason=str(error))


def _read(document: Document, reading: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return reading(document)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise TaskUnreadable(f"document {document['_id']} cannot be read: {type(error).__name__}") from None


def _document(task: ProviderTask) -> Document:
    request = task.request
    return {
        "_id": task.reference,
        "version": task.version,
        "provider": task.provider,
        "jobId": request.job_id,
        "revision": request.revision,
        "family": request.family,
        "attempt": request.attempt,
        "request": request.model_dump(mode="json"),
        "state": task.state.value,
        "submissions": task.submissions,
        "tries": task.tries,
        "fence": task.fence,
        "lease": _lease_document(task.lease),
        "providerTaskId": task.provider_task_id,
        "progress": task.progress,
        "isDoubted": task.is_doubted,
        "pauseSeconds": task.pause_seconds,
        "nextCheckAt": task.next_check_at,
        "submittedAt": task.submitted_at,
        "deadlineAt": task.deadline_at,
        "succeededAt": task.succeeded_at,
        "code": task.code.value if task.code else None,
        "message": task.message,
        "answerDigest": task.answer_digest,
        "errors": [error.model_dump(mode="json") for error in task.errors],
        "result": task.result.model_dump(mode="json") if task.result else None,
        "createdAt": task.created_at,
        "updatedAt": task.updated_at,
    }


def _task(document: Mapping[str, Any]) -> ProviderTask:
    code, result = document["code"], document["result"]
    return ProviderTask(
        reference=document["_id"],
        version=document["version"],
        provider=document["provider"],
        request=FamilyRequested.model_validate(document["request"]),
        state=TaskState(document["state"]),
        submissions=document["submissions"],
        tries=document["tries"],
        fence=document["fence"],
        lease=_lease(document["lease"]),
        provider_task_id=document["providerTaskId"],
        progress=document["progress"],
        is_doubted=document["isDoubted"],
        pause_seconds=document["pauseSeconds"],
        next_check_at=document["nextCheckAt"],
        submitted_at=document["submittedAt"],
        deadline_at=document["deadlineAt"],
        succeeded_at=document["succeededAt"],
        code=FailureCode(code) if code else None,
        message=document["message"],
        answer_digest=document["answerDigest"],
        errors=tuple(ImageError.model_validate(error) for error in document["errors"]),
        result=RendersGenerated.model_validate(result) if result else None,
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
    )


def _call_document(call: PaidCall) -> Document:
    return {
        "_id": call.id,
        "version": call.version,
        "jobId": call.job_id,
        "provider": call.provider,
        "calls": call.calls,
        "fence": call.fence,
        "lease": _lease_document(call.lease),
        "createdAt": call.created_at,
        "updatedAt": call.updated_at,
    }


def _call(document: Mapping[str, Any]) -> PaidCall:
    return PaidCall(
        id=document["_id"],
        version=document["version"],
        job_id=document["jobId"],
        provider=document["provider"],
        calls=document["calls"],
        fence=document["fence"],
        lease=_lease(document["lease"]),
        created_at=document["createdAt"],
        updated_at=document["updatedAt"],
    )


def _lease_document(lease: Lease | None) -> Document | None:
    return {"owner": lease.owner, "seconds": lease.seconds} if lease else None


def _lease(document: Mapping[str, Any] | None) -> Lease | None:
    return Lease(document["owner"], document["seconds"]) if document else None
