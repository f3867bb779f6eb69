"""One image: found complete in the work store, or made by the model and kept there."""

import asyncio

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.faults import fault_point
from imagetron_contracts.spec import RenderSpec
from imagetron_contracts.stages import FamilyRequested, RenderedImage
from imagetron_generator.domain.renders import Rendered, RenderRecord, RenderRequest, record_key, render_key
from imagetron_generator.domain.work_format import CONTENT_TYPE, digest_of, pack
from imagetron_generator.ports import Announce, ImageModel, ModelTimedOut, Timer
from imagetron_generator.usecases.calls import ModelCalls
from imagetron_generator.usecases.progress import progress_reports


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
    deadline_seconds: float,
    work: Blobs,
    model: ImageModel,
    announce: Announce,
    calls: ModelCalls,
    timer: Timer,
) -> RenderRecord:
    """Call the model and keep its picture, then its record. Raises CallEnded when the job is cancelled meanwhile."""
    if deadline_seconds <= 0:
        raise ModelTimedOut(f"the {request.budget_seconds:g} s for the family were spent before image {index}")
    family = spec.families[request.family]
    wanted = RenderRequest(
        model=spec.served_by,
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        seed=family.seeds[index],
        size=family.render,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
    )
    began_at = timer()
    async with progress_reports(request, index, announce=announce, timer=timer) as on_step:
        call = model.render(wanted, on_step, deadline_seconds=deadline_seconds)
        rendered = await calls.run(request.job_id, request.revision, call)
        model_seconds = timer() - began_at
    fault_point("generator.model_answered")
    image = RenderedImage(
        index=index,
        key=render_key(request, index),
        size=rendered.size,
        seed=wanted.seed,
        digest=await _keep(rendered, render_key(request, index), work),
    )
    fault_point("generator.render_stored")
    record = RenderRecord(
        image=image, served_by=wanted.model, fingerprint=rendered.fingerprint, model_seconds=model_seconds
    )
    text = record.model_dump_json().encode()
    await work.put_if_absent(record_key(request, index), text, content_type="application/json")
    fault_point("generator.record_stored")
    return record


async def _keep(rendered: Rendered, key: str, work: Blobs) -> str:
    """Store the render and say the digest of what lies there: another generator may have been quicker."""
    packed = await asyncio.to_thread(pack, rendered)
    if await work.put_if_absent(key, packed.data, content_type=CONTENT_TYPE):
        return packed.digest
    return await asyncio.to_thread(digest_of, await work.get(key))
