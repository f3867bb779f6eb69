"""What a family is made from, read from the work store: its spec, and the picture that it begins with."""

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_chassis.errors import Permanent
from imagetron_contracts.failures import FailureCode
from imagetron_contracts.spec import RenderSpec, Source
from imagetron_contracts.stages import FamilyRequested


class SpecUnusable(Permanent):
    """The spec object does not hold what the message asks for."""


class SpecLost(Permanent):
    """The work store let the spec expire; only a new revision writes one."""

    failure_code = FailureCode.WORK_LOST


class SourceLost(Permanent):
    """The work store let the picture expire that a variation or an upscaling begins with."""

    failure_code = FailureCode.WORK_LOST


async def spec_of(request: FamilyRequested, work: Blobs) -> RenderSpec:
    """The spec, which has the family and the images that this request is about. Raises SpecLost, SpecUnusable."""
    try:
        spec = RenderSpec.model_validate_json(await work.get(request.spec_key))
    except BlobMissing as error:
        raise SpecLost(f"the spec of revision {request.revision} is no longer in the work store") from error
    except ValidationError as error:
        # Neither the error nor its cause may go on: pydantic quotes what it read, and that is the prompt.
        fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
        raise SpecUnusable(f"the spec {request.spec_key} cannot be read: {', '.join(fields)}") from None
    family = spec.families.get(request.family)
    if family is None:
        raise SpecUnusable(f"the spec {request.spec_key} has no family {request.family}")
    if max(request.image_indexes) >= len(family.seeds):
        asked, seeds = max(request.image_indexes), len(family.seeds)
        raise SpecUnusable(f"the spec {request.spec_key} has {seeds} seeds for {request.family}: no image {asked}")
    return spec


async def source_of(source: Source, work: Blobs) -> bytes:
    """The file of the picture to begin with. Raises SourceLost."""
    try:
        return await work.get(source.key)
    except BlobMissing as error:
        raise SourceLost("the picture to begin with is no longer in the work store: hand it in again") from error
