"""What the deriver does: from a family's renders to its pictures, encoded, in the work store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.cancelling import is_cancelled
from imagetron_chassis.errors import Permanent
from imagetron_chassis.faults import fault_point
from imagetron_chassis.logs import log
from imagetron_chassis.per_image import all_ended, each_alone
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.media import ImageFormat
from imagetron_contracts.spec import FileSpec, RenderSpec, image_prefix
from imagetron_contracts.stages import (
    DerivativesRendered,
    DerivedFile,
    DerivedImage,
    RenderedImage,
    RendersGenerated,
)
from imagetron_deriver.domain.cuts import plan
from imagetron_deriver.ports import Cutter, Picture, RenderUnreadable

# The largest picture that is decoded (40 megapixels), uncompressed, with room for a header.
MAX_RENDER_BYTES: Final = 3 * 40_000_000 + 1024


class RenderLost(Permanent):
    """A render or its spec is no longer in the work store; only a new attempt can bring it back."""

    failure_code = FailureCode.WORK_LOST


class SpecUnusable(Permanent):
    """The spec object does not say what to cut. The sentence holds nothing of the spec: it contains prompts."""


async def derive_family(
    message: RendersGenerated, *, tries: int, work: Blobs, cutter: Cutter
) -> DerivativesRendered | None:
    """Every file of every image; None when the job was cancelled or there is nothing to cut.

    Images stand alone: while another try can still help one of them, the error is raised and the finished ones are not
    made again; then it becomes an entry in `errors`. Raised too if no image is left.
    """
    if not message.images or await is_cancelled(message, work):
        return None
    files = await _files(message, work)

    async def derive(image: RenderedImage) -> tuple[DerivedImage, float]:
        return await _derive_image(message, image, files, work, cutter)

    outcome = await each_alone(
        message.images, derive, family=message.family, tries=tries, log_failure="image_not_derived"
    )
    if await is_cancelled(message, work):
        return None
    return DerivativesRendered(
        job_id=message.job_id,
        revision=message.revision,
        family=message.family,
        attempt=message.attempt,
        images=tuple(image for image, _ in outcome.done),
        errors=outcome.errors,
        encode_seconds=sum(seconds for _, seconds in outcome.done),
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    key: str
    byte_count: int


async def _derive_image(
    message: RendersGenerated, image: RenderedImage, files: Sequence[FileSpec], work: Blobs, cutter: Cutter
) -> tuple[DerivedImage, float]:
    prefix = image_prefix(message.job_id, message.revision, message.family, message.attempt, image.index)
    manifest = f"{prefix}/files/manifest.json"
    finished = await _finished(manifest, work)
    if finished:
        return finished, 0.0
    render = await _render(image, work)
    to_do = plan(image.size, files)
    cutting = await cutter.cut(render, image.size, to_do.cuts)
    stored = await all_ended(
        *(
            _store(f"{prefix}/files/{to_do.file_name(position)}", picture, cut.format, work)
            for position, (cut, picture) in enumerate(zip(to_do.cuts, cutting.pictures, strict=True))
        )
    )
    derived = DerivedImage(
        index=image.index,
        files=tuple(
            DerivedFile(
                name=file.name,
                key=stored[position].key,
                size=file.size,
                format=file.format,
                byte_count=stored[position].byte_count,
                digest=cutting.pictures[position].digest,
            )
            for file, position in to_do.files
        ),
    )
    # Last: who finds the manifest finds every file.
    await work.put_if_absent(manifest, derived.model_dump_json().encode(), content_type="application/json")
    fault_point("deriver.manifest_stored")
    return derived, cutting.seconds


async def _store(key: str, picture: Picture, form: ImageFormat, work: Blobs) -> _Stored:
    is_new = await work.put_if_absent(key, picture.data, content_type=form.content_type)
    fault_point("deriver.file_stored")
    if is_new:
        return _Stored(key, len(picture.data))
    # An earlier try, perhaps with another version of the encoder, stored its own bytes: they are what is published.
    earlier = await work.head(key)
    return _Stored(key, earlier.size_bytes if earlier else len(picture.data))


async def _finished(manifest: str, work: Blobs) -> DerivedImage | None:
    try:
        return DerivedImage.model_validate_json(await work.get(manifest))
    except BlobMissing:
        return None
    except ValidationError:
        log().warning("manifest_unreadable", key=manifest)
        return None


async def _render(image: RenderedImage, work: Blobs) -> bytes:
    known = await work.head(image.key)
    if known is None:
        raise RenderLost(f"the render of image {image.index} is no longer in the work store")
    if known.size_bytes > MAX_RENDER_BYTES:
        raise RenderUnreadable(
            f"the render of image {image.index} has {known.size_bytes} bytes: at most {MAX_RENDER_BYTES} are read"
        )
    return await work.get(image.key)


async def _files(message: RendersGenerated, work: Blobs) -> Sequence[FileSpec]:
    about = f"the spec of revision {message.revision} of job {message.job_id}"
    try:
        spec = RenderSpec.model_validate_json(await work.get(message.spec_key))
    except BlobMissing as error:
        raise RenderLost(f"{about} is no longer in the work store") from error
    except ValidationError as error:
        raise SpecUnusable(f"{about} cannot be read: {error.error_count()} errors") from None
    family = spec.families.get(message.family)
    if family is None:
        raise SpecUnusable(f"{about} has no family {message.family}")
    return family.files
