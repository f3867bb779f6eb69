"""A finished task's pictures: each by itself into the work store, then told as one result of the task's images."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry import metrics

from imagetron_chassis import semconv
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.errors import ChassisError, Permanent, ResourceExhausted, Retryable
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import failure_code
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import RenderSpec
from imagetron_contracts.stages import FamilyRequested, ImageError, RenderedImage, RendersGenerated
from imagetron_generator.domain.orders import Delivery, TaskNews, TaskPhase
from imagetron_generator.domain.provider_tasks import ProviderTask
from imagetron_generator.domain.renders import Rendered, RenderRecord, record_key, render_key
from imagetron_generator.domain.work_format import CONTENT_TYPE, digest_of, pack, unpack
from imagetron_generator.ports import ModelUnavailable
from imagetron_generator.usecases.inputs import spec_of
from imagetron_generator.usecases.render_image import recorded_render
from imagetron_generator.usecases.tasks import measures
from imagetron_generator.usecases.tasks.desk import TaskDesk

_seconds = metrics.get_meter(__name__).create_histogram(*measures.TASK_SECONDS)
_COLLECTED: Final = "collected"


class PictureWithheld(Permanent):
    """The provider made no such picture, and said why or not."""

    def __init__(self, message: str, code: FailureCode) -> None:
        super().__init__(message)
        self.failure_code = code


async def collect(task: ProviderTask, news: TaskNews | None, *, desk: TaskDesk) -> ProviderTask:
    """The task as it is then: collected; or failed, if no picture is good; or as it was, if one is worth another try.

    `news` is what the provider said last, if it is at hand. Done twice, it fetches what is not complete in the work store.
    Raises Overtaken, SpecLost, SpecUnusable, and the errors of provider and stores that another try may mend.
    """
    request = task.request
    records = {index: await recorded_render(request, index, work=desk.work) for index in request.image_indexes}
    good = {index: record for index, record in records.items() if record}
    errors = {error.index: error for error in task.errors if error.index not in good}
    missing = [index for index in request.image_indexes if index not in good and index not in errors]
    spec = await spec_of(request, desk.work)
    retry: list[ChassisError] = []
    if missing:
        deliveries = await _deliveries(task, news, desk)
        making = (_image(task, spec, index, deliveries, desk) for index in missing)
        for index, outcome in zip(missing, await asyncio.gather(*making, return_exceptions=True), strict=True):
            if isinstance(outcome, RenderRecord):
                good[index] = outcome
                continue
            if not isinstance(outcome, ChassisError):
                raise outcome
            log().warning("image_failed", family=request.family, index=index, reason=str(outcome))
            if _may_come_later(outcome) and task.may_still_fetch(desk.clock.now()):
                retry.append(outcome)
            else:
                errors[index] = ImageError(index=index, code=failure_code(outcome), message=str(outcome))
    if retry:
        kept = tuple(errors[index] for index in sorted(errors))
        rules, now = desk.rules(task), desk.clock.now()
        return await desk.change(task, lambda latest: latest.with_errors(kept, now).put_off(now, rules))
    if not good:
        first = errors[min(errors)]
        return await desk.change(task, lambda latest: latest.failed(first.code, first.message, desk.clock.now()))
    return await _told(task, _result(task, spec, good, errors), desk)


def _may_come_later(error: ChassisError) -> bool:
    """A picture that is too much for whoever reads it stays so."""
    return isinstance(error, Retryable) and not isinstance(error, ResourceExhausted)


async def _told(task: ProviderTask, result: RendersGenerated, desk: TaskDesk) -> ProviderTask:
    if await is_cancelled(task.request, desk.work):
        return await desk.change(task, lambda latest: latest.cancelled(desk.clock.now()))
    fault_point("task.collected")
    await desk.announce(result)
    fault_point("task.told")
    collected = await desk.change(task, lambda latest: latest.collected(result, desk.clock.now()))
    _seconds.record(result.model_seconds, {semconv.PROVIDER: task.provider, semconv.OUTCOME: _COLLECTED})
    log().info(
        "task_collected",
        provider=task.provider,
        task=task.reference,
        images=len(result.images),
        errors=len(result.errors),
        seconds=result.model_seconds,
    )
    return collected


async def _deliveries(task: ProviderTask, news: TaskNews | None, desk: TaskDesk) -> Mapping[int, Delivery]:
    """By position. URLs are not kept: they may hold tokens, and end."""
    if news is None or news.phase is not TaskPhase.SUCCEEDED:
        news = await _looked_again(task, desk)
    return {delivery.position: delivery for delivery in news.deliveries}


async def _looked_again(task: ProviderTask, desk: TaskDesk) -> TaskNews:
    """What it says now. When the time is up, an error of the provider's becomes the pictures' own."""
    provider = desk.providers[task.provider]
    try:
        # Without an id no task has succeeded.
        news = await desk.called(task, "look", provider.look(task.provider_task_id or ""))
        if not news.phase.is_terminal:
            raise ModelUnavailable(f"the provider {task.provider} no longer says that the task is finished")
    except ChassisError as error:
        if task.may_still_fetch(desk.clock.now()):
            raise
        log().warning("task_not_delivered", provider=task.provider, task=task.reference, reason=str(error))
        return TaskNews(TaskPhase.FAILED)
    return news


async def _image(
    task: ProviderTask, spec: RenderSpec, index: int, deliveries: Mapping[int, Delivery], desk: TaskDesk
) -> RenderRecord:
    delivery = deliveries.get(task.request.image_indexes.index(index))
    picture = await desk.pictures.read(await _bytes(task, index, delivery, desk))
    fingerprint = f"{task.provider}/{spec.served_by}"
    rendered = Rendered(picture.pixels, picture.size, fingerprint, answer_digest=task.answer_digest)
    return await _kept(task, spec, index, rendered, desk)


async def _bytes(task: ProviderTask, index: int, delivery: Delivery | None, desk: TaskDesk) -> bytes:
    if delivery is not None and delivery.data is not None:
        return delivery.data
    if delivery is not None and delivery.url is not None:
        return await _fetched(task, index, delivery.url, desk)
    code = (delivery.code if delivery else None) or FailureCode.MODEL_UNAVAILABLE
    said = delivery.message if delivery else None
    raise PictureWithheld(said or f"the provider {task.provider} delivered no picture for image {index}", code)


async def _fetched(task: ProviderTask, index: int, url: str, desk: TaskDesk) -> bytes:
    """Why a download was refused is for operators: whoever asked for the picture learns that there is none."""
    try:
        return await desk.fetch(url)
    except Permanent as error:
        log().warning("picture_not_fetched", task=task.reference, index=index, reason=str(error))
        code = failure_code(error)
        told = FailureCode.MODEL_UNAVAILABLE if code is FailureCode.INTERNAL else code
        raise PictureWithheld(
            f"the provider {task.provider} gave image {index} in a way that we do not take", told
        ) from error


async def _kept(task: ProviderTask, spec: RenderSpec, index: int, rendered: Rendered, desk: TaskDesk) -> RenderRecord:
    """The render, then its record. Somebody else may have been quicker: what lies there first stays."""
    request, work = task.request, desk.work
    key = render_key(request, index)
    packed = await asyncio.to_thread(pack, rendered)
    digest, size = packed.digest, rendered.size
    if not await work.put_if_absent(key, packed.data, content_type=CONTENT_TYPE):
        theirs = await work.get(key)
        picture = unpack(theirs)
        digest, size = await asyncio.to_thread(digest_of, theirs), picture.size if picture else size
    image = RenderedImage(
        index=index,
        key=key,
        size=size,
        seed=spec.families[request.family].seeds[index],
        digest=digest,
        provider=task.provider,
        served_by=spec.served_by,
        seconds=_taken_seconds(task, desk),
        answer_digest=rendered.answer_digest,
    )
    record = RenderRecord(
        image=image,
        served_by=spec.served_by,
        fingerprint=rendered.fingerprint,
        model_seconds=image.seconds or 0.0,
    )
    await work.put_if_absent(
        record_key(request, index), record.model_dump_json().encode(), content_type="application/json"
    )
    return record


def _taken_seconds(task: ProviderTask, desk: TaskDesk) -> float:
    """From the submission to now. Two machines' clocks may disagree; no time is negative."""
    began_at = task.submitted_at or task.created_at
    return max((desk.clock.now() - began_at).total_seconds(), 0.0)


def _result(
    task: ProviderTask, spec: RenderSpec, good: Mapping[int, RenderRecord], errors: Mapping[int, ImageError]
) -> RendersGenerated:
    request: FamilyRequested = task.request
    records: Sequence[RenderRecord] = [good[index] for index in sorted(good)]
    return RendersGenerated(
        job_id=request.job_id,
        revision=request.revision,
        family=request.family,
        attempt=request.attempt,
        errors=tuple(errors[index] for index in sorted(errors)),
        spec_key=request.spec_key,
        images=tuple(record.image for record in records),
        model=spec.model,
        served_by=spec.served_by,
        fingerprint=", ".join(dict.fromkeys(record.fingerprint for record in records)),
        # The task's pictures are made together: their times are one time.
        model_seconds=max(record.model_seconds for record in records),
    )
