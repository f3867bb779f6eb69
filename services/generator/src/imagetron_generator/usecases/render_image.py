"""One image: found complete in the work store, or made by the model and kept there."""

import asyncio
from dataclasses import replace

from opentelemetry import metrics
from pydantic import ValidationError

from imagetron_chassis import semconv
from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.errors import ChassisError
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_contracts.media import Dimensions
from imagetron_contracts.spec import RenderSpec
from imagetron_contracts.stages import FamilyRequested, RenderedImage
from imagetron_generator.domain.renders import (
    FamilyImage,
    Rendered,
    RenderRecord,
    RenderRequest,
    record_key,
    render_key,
)
from imagetron_generator.domain.work_format import CONTENT_TYPE, digest_of, pack, unpack
from imagetron_generator.ports import Announce, ImageModel, ModelTimedOut, ModelUnavailable, Timer
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.failing_over import fails_over, that_speaks
from imagetron_generator.usecases.outside_model import MadeMeanwhile
from imagetron_generator.usecases.progress import progress_reports

_failed_over = metrics.get_meter(__name__).create_counter(*semconv.IMAGES_FAILED_OVER)


async def recorded_render(request: FamilyRequested, index: int, *, work: Blobs) -> RenderRecord | None:
    """The record of an image that is complete; None if the model has to make it."""
    if await work.head(render_key(request, index)) is None:
        return None
    try:
        return RenderRecord.model_validate_json(await work.get(record_key(request, index)))
    except (BlobMissing, ValidationError):
        return None


async def render_image(
    request: FamilyRequested,
    index: int,
    spec: RenderSpec,
    *,
    tries: int,
    deadline_seconds: float,
    work: Blobs,
    model: ImageModel,
    announce: Announce,
    calls: ModelCalls,
    timer: Timer,
) -> RenderRecord:
    """Call the model and keep its picture, then its record. Raises CallEnded when the job is cancelled meanwhile.

    Where the spec allows another provider, that one is called after what failing_over.py says; the record names who made it.
    """
    if deadline_seconds <= 0:
        raise ModelTimedOut(f"the {request.budget_seconds:g} s for the family were spent before image {index}")
    wanted = _wanted(request, index, spec)
    began_at = timer()

    async def made(asked: RenderRequest) -> RenderRecord:
        return await _made(
            request,
            index,
            asked,
            deadline_seconds=deadline_seconds - (timer() - began_at),
            work=work,
            model=model,
            announce=announce,
            calls=calls,
            timer=timer,
        )

    try:
        return await made(wanted)
    except MadeMeanwhile:
        return await _theirs(request, index, work)
    except ChassisError as error:
        other = _instead(wanted, spec, request.family)
        if other is None or not fails_over(error, tries) or timer() - began_at >= deadline_seconds:
            raise
        log().warning(
            "image_failed_over",
            family=request.family,
            index=index,
            provider=wanted.provider,
            to=other.provider,
            model=other.model,
            reason=str(error),
        )
        _failed_over.add(1, {semconv.PROVIDER: wanted.provider})
        first = error
    try:
        return await made(other)
    except MadeMeanwhile:
        return await _theirs(request, index, work)
    except ChassisError as error:
        log().warning("fallback_failed", family=request.family, index=index, provider=other.provider, reason=str(error))
        raise that_speaks(first, error) from None


async def _theirs(request: FamilyRequested, index: int, work: Blobs) -> RenderRecord:
    record = await recorded_render(request, index, work=work)
    if record is None:
        raise ModelUnavailable(f"another worker made image {index}, and it has gone from the work store since")
    return record


def _wanted(request: FamilyRequested, index: int, spec: RenderSpec) -> RenderRequest:
    family = spec.families[request.family]
    return RenderRequest(
        model=spec.served_by,
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        seed=family.seeds[index],
        size=family.render,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
        verb=spec.verb,
        strength=spec.source.strength if spec.source else 1.0,
        provider=spec.provider,
        origin=spec.source,
        image=FamilyImage(request, index),
    )


def _instead(wanted: RenderRequest, spec: RenderSpec, family: str) -> RenderRequest | None:
    """The same picture of the other provider; None where the caller did not allow one, or it has no size for the family."""
    other = spec.fallback
    if other is None or family not in other.sizes:
        return None
    return replace(
        wanted,
        provider=other.provider,
        model=other.model,
        steps=other.steps,
        guidance_scale=other.guidance_scale,
        size=other.sizes[family],
    )


async def _made(
    request: FamilyRequested,
    index: int,
    wanted: RenderRequest,
    *,
    deadline_seconds: float,
    work: Blobs,
    model: ImageModel,
    announce: Announce,
    calls: ModelCalls,
    timer: Timer,
) -> RenderRecord:
    began_at = timer()
    async with progress_reports(request, index, announce=announce, timer=timer) as on_step:
        call = model.render(wanted, on_step, deadline_seconds=deadline_seconds)
        rendered = await calls.run(request.job_id, request.revision, call)
        seconds = max(0.0, timer() - began_at - rendered.waited_seconds)
    fault_point("generator.model_answered")
    key = render_key(request, index)
    digest, size = await _keep(rendered, key, work)
    served_by = rendered.served_by or wanted.model
    image = RenderedImage(
        index=index,
        key=key,
        size=size,
        seed=wanted.seed,
        digest=digest,
        provider=wanted.provider,
        served_by=served_by,
        seconds=seconds,
        gpu_seconds=rendered.gpu_seconds,
        answer_digest=rendered.answer_digest,
    )
    fault_point("generator.render_stored")
    record = RenderRecord(image=image, served_by=served_by, fingerprint=rendered.fingerprint, model_seconds=seconds)
    text = record.model_dump_json().encode()
    await work.put_if_absent(record_key(request, index), text, content_type="application/json")
    fault_point("generator.record_stored")
    return record


async def _keep(rendered: Rendered, key: str, work: Blobs) -> tuple[str, Dimensions]:
    """Store the render; digest and size of what lies there: another generator may have been quicker, with another provider."""
    packed = await asyncio.to_thread(pack, rendered)
    if await work.put_if_absent(key, packed.data, content_type=CONTENT_TYPE):
        return packed.digest, rendered.size
    theirs = await work.get(key)
    picture = unpack(theirs)
    return await asyncio.to_thread(digest_of, theirs), picture.size if picture else rendered.size
