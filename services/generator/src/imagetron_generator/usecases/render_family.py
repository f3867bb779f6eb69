"""Renders the images of a family that are not there yet, and says which are good and why the others are not."""

from collections.abc import Mapping
from typing import Final

from opentelemetry import metrics, trace

from imagetron_chassis import semconv
from imagetron_chassis.blobs import Blobs
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.clock import Clock
from imagetron_chassis.errors import (
    ChassisError,
    RateLimited,
    ResourceExhausted,
    Retryable,
    Transient,
    UnknownOutcome,
)
from imagetron_chassis.logs import log
from imagetron_chassis.verdicts import RetryLater, decide, failure_code
from imagetron_contracts.message import Message
from imagetron_contracts.spec import RenderSpec
from imagetron_contracts.stages import FamilyRequested, FamilyStarted, ImageError, RendersGenerated
from imagetron_generator.domain.renders import RenderRecord, share_of
from imagetron_generator.ports import Announce, ImageModel, ModelPaused, Timer
from imagetron_generator.usecases.calls import CallEnded, ModelCalls
from imagetron_generator.usecases.inputs import SpecUnusable, spec_of
from imagetron_generator.usecases.render_image import recorded_render, render_image

# How often good images wait for a bad one. About as long as a model takes to come back: 5, 5 and 30 s lie before tries 2,
# 3, 4; once where the memory may have been somebody else's; never where another try costs as much as the one that failed.
TRIES_FOR_THE_REST: Final[Mapping[type[ChassisError], int]] = {Transient: 3, RateLimited: 3, ResourceExhausted: 1}
_model_seconds = metrics.get_meter(__name__).create_histogram(*semconv.MODEL_SECONDS)


async def render_family(
    request: FamilyRequested,
    *,
    tries: int,
    work: Blobs,
    model: ImageModel,
    announce: Announce,
    calls: ModelCalls,
    clock: Clock,
    timer: Timer,
) -> list[Message]:
    """RENDERS_GENERATED, or nothing for a cancelled job. Raises when no image is good, or when another try may help.

    Done twice, it calls the model only for images whose render is not complete in the work store.
    """
    if await is_cancelled(request, work):
        return []
    spec = await spec_of(request, work)
    if spec.verb.needs_a_source and spec.source is None:
        raise SpecUnusable(f"the spec {request.spec_key} names no picture to {spec.verb}")
    records = {index: await recorded_render(request, index, work=work) for index in request.image_indexes}
    good = {index: record for index, record in records.items() if record}
    missing = [index for index in request.image_indexes if index not in good]
    failures: dict[int, ChassisError] = {}
    if missing:
        await announce(_started(request, clock))
    ends_at = timer() + request.budget_seconds
    with trace.get_tracer(__name__).start_as_current_span("render family") as span:
        span.set_attributes(
            {semconv.FAMILY: request.family, semconv.PROVIDER: spec.provider, semconv.MODEL: spec.served_by}
        )
        for done, index in enumerate(missing):
            try:
                good[index] = await render_image(
                    request,
                    index,
                    spec,
                    tries=tries,
                    deadline_seconds=share_of(ends_at - timer(), len(missing) - done),
                    work=work,
                    model=model,
                    announce=announce,
                    calls=calls,
                    timer=timer,
                )
            except CallEnded:
                log().info("family_dropped", family=request.family, reason="its model call was ended by a cancellation")
                return []
            except ChassisError as error:
                failures[index] = error
                log().warning("image_failed", family=request.family, index=index, reason=str(error), tries=tries)
            if await is_cancelled(request, work):
                return []
    _raise_if_another_try_may_help(good, failures, tries)
    return [_result(request, spec, good, failures)]


def _started(request: FamilyRequested, clock: Clock) -> FamilyStarted:
    return FamilyStarted(
        job_id=request.job_id,
        revision=request.revision,
        family=request.family,
        attempt=request.attempt,
        image_indexes=request.image_indexes,
        started_at=clock.now(),
    )


def _raise_if_another_try_may_help(
    good: Mapping[int, RenderRecord], failures: Mapping[int, ChassisError], tries: int
) -> None:
    """Nothing good: the error speaks for all. Something good: it waits a few tries for what had no effect, no more.

    What was not even tried, because calls are paused, waits in any case. It spends a try only where a call of this
    family was among those that broke: a picture that makes the server hang must not come back for ever.
    """
    errors = sorted(failures.values(), key=lambda error: not isinstance(error, Retryable))
    held_back = [error for error in errors if isinstance(error, ModelPaused)]
    if held_back:
        speaks = next((error for error in errors if isinstance(error, UnknownOutcome)), held_back[0])
        if not good or isinstance(decide(speaks, tries, somebody_waits=True), RetryLater):
            raise speaks
        return
    if errors and not good:
        raise errors[0]
    for error in errors:
        if tries <= next((most for kind, most in TRIES_FOR_THE_REST.items() if isinstance(error, kind)), 0):
            raise error


def _result(
    request: FamilyRequested, spec: RenderSpec, good: Mapping[int, RenderRecord], failures: Mapping[int, ChassisError]
) -> RendersGenerated:
    records = [good[index] for index in sorted(good)]
    servers = dict.fromkeys(record.served_by for record in records)
    for server in servers:
        seconds = sum(record.model_seconds for record in records if record.served_by == server)
        _model_seconds.record(seconds, {semconv.MODEL: server})
    return RendersGenerated(
        job_id=request.job_id,
        revision=request.revision,
        family=request.family,
        attempt=request.attempt,
        errors=tuple(
            ImageError(index=index, code=failure_code(error), message=str(error))
            for index, error in sorted(failures.items())
        ),
        spec_key=request.spec_key,
        images=tuple(record.image for record in records),
        model=spec.model,
        # More than one only if the model was changed between two tries, or another provider stood in for some images.
        served_by=", ".join(servers),
        fingerprint=", ".join(dict.fromkeys(record.fingerprint for record in records)),
        model_seconds=sum(record.model_seconds for record in records),
    )
