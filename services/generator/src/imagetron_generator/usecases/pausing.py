"""Which families may begin while calls of our own models are paused: those alone that another provider may make."""

from typing import Final

from pydantic import ValidationError

from imagetron_chassis.blobs import BlobMissing, Blobs
from imagetron_contracts.spec import TRITON, RenderSpec
from imagetron_contracts.stages import FamilyRequested
from imagetron_generator.ports import ModelPaused
from imagetron_generator.usecases.circuit import Circuit

# As long as the shortest delay, or the next one where the server is known to be away for longer.
_SOON_SECONDS: Final = 5.0
_LATER_SECONDS: Final = 30.0
_SOON_IS_WITHIN_SECONDS: Final = 10.0


async def check_may_begin(request: FamilyRequested, *, work: Blobs, circuit: Circuit) -> None:
    """Raise ModelPaused for a family that could only wait: once begun, its deadline would run."""
    if circuit.is_closed:
        return
    try:
        spec = RenderSpec.model_validate_json(await work.get(request.spec_key))
    except (BlobMissing, ValidationError):
        return  # Rendering says what is wrong with it.
    if spec.provider == TRITON and spec.fallback is None:
        is_soon = circuit.canary_due_in() <= _SOON_IS_WITHIN_SECONDS
        raise ModelPaused(
            "calls of our own models are paused, and the job allows no other provider",
            retry_after_seconds=_SOON_SECONDS if is_soon else _LATER_SECONDS,
        )
