"""What a family's pictures are made from: the spec and the renders, read from the work store."""

from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.errors import Permanent
from imagetron_contracts.crops import Subject
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import FileSpec, Output, RenderSpec
from imagetron_contracts.stages import DerivativesRequested, RendersGenerated
from imagetron_deriver.ports import RenderUnreadable

# The largest picture that is decoded (40 megapixels), uncompressed, with room for a header.
MAX_RENDER_BYTES: Final = 3 * 40_000_000 + 1024

Renders = RendersGenerated | DerivativesRequested
"""Both ask for pictures of renders: for the first ones, or for others."""


def derivation_of(message: Renders) -> int | None:
    """None: the first cutting."""
    return message.derivation if isinstance(message, DerivativesRequested) else None


class RenderLost(Permanent):
    """A render or its spec is no longer in the work store; only a new attempt can bring it back."""

    failure_code = FailureCode.WORK_LOST


class SpecUnusable(Permanent):
    """The spec object does not say what to cut. The sentence holds nothing of the spec: it contains prompts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files that every image of the message becomes, and what decides them besides the render."""

    message: Renders
    spec: RenderSpec = field(repr=False)
    files: tuple[FileSpec, ...]
    subject: Subject | None
    output: Output


async def read_wanted(message: Renders, work: Blobs) -> Wanted:
    """Raises RenderLost, SpecUnusable."""
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
    return Wanted(
        message=message,
        spec=spec,
        files=family.files,
        subject=message.subject if isinstance(message, DerivativesRequested) else family.subject,
        output=spec.output or Output(),
    )


async def read_render(key: str, index: int, work: Blobs) -> bytes:
    """Raises RenderLost, RenderUnreadable."""
    known = await work.head(key)
    if known is None:
        raise RenderLost(f"the render of image {index} is no longer in the work store")
    if known.size_bytes > MAX_RENDER_BYTES:
        raise RenderUnreadable(
            f"the render of image {index} has {known.size_bytes} bytes: at most {MAX_RENDER_BYTES} are read"
        )
    return await work.get(key)
