"""What goes into the model, what comes out, and the record that lets a repeated message answer without the model."""

from dataclasses import dataclass, field
from typing import Final

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value
from imagetron_contracts.spec import TRITON, Source, Verb, image_prefix
from imagetron_contracts.stages import FamilyMessage, FamilyRequested, RenderedImage


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """The picture that a variation or an upscaling begins with: rows of RGB bytes from the top."""

    pixels: bytes = field(repr=False)
    size: Dimensions


@dataclass(frozen=True, slots=True)
class FamilyImage:
    """Which image of which family a call is for. Whoever hands out places or counts paid calls goes by it."""

    family: FamilyRequested
    index: int


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One picture to make. The prompts are bytes for the model alone: they show in no log and no error."""

    model: str
    prompt: str = field(repr=False)
    negative_prompt: str = field(repr=False)
    seed: int
    size: Dimensions
    steps: int
    guidance_scale: float
    verb: Verb = Verb.IMAGINE
    source: SourcePicture | None = None
    strength: float = 1.0
    """How far the picture may go from the source: 0 gives it back, 1 keeps only its size."""
    provider: str = TRITON
    origin: Source | None = None
    """Where the source lies while nobody has read it yet."""
    image: FamilyImage | None = None
    """Absent in synthetic inferences."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The model's picture: rows of RGB bytes from the top, and the environment that made them."""

    pixels: bytes = field(repr=False)
    size: Dimensions
    fingerprint: str
    gpu_seconds: float | None = None
    """Of our own hardware, if the model says so."""
    answer_digest: str | None = None
    """sha256 in hex of what an outside provider answered."""
    served_by: str | None = None
    """Who made it, if not the model that was asked."""
    waited_seconds: float = 0.0
    """For a place with the provider, before it was asked."""


class RenderRecord(Value):
    """What is known of a render in the work store. Written last: where it lies, the render is complete."""

    image: RenderedImage
    served_by: str
    fingerprint: str
    model_seconds: float


def render_key(work: FamilyMessage, index: int) -> str:
    """Where an image's render lies."""
    return f"{image_prefix(work.job_id, work.revision, work.family, work.attempt, index)}/render"


def record_key(work: FamilyMessage, index: int) -> str:
    """Where the render's record lies."""
    return f"{render_key(work, index)}.json"


MOST_UPSCALED_PIXELS: Final = 40_000_000
"""What every stage after this one still takes."""


def upscaling_factor(source: Dimensions, target: Dimensions) -> int | None:
    """How many times the source's size the target is, on both sides alike; None if it is not, or too large for anybody."""
    factor = target.width // source.width
    is_whole = factor >= 1 and (source.width * factor, source.height * factor) == (target.width, target.height)
    return factor if is_whole and target.width * target.height <= MOST_UPSCALED_PIXELS else None


def share_of(remaining_seconds: float, images_left: int) -> float:
    """How long the next image may take: an equal share, so that one that hangs leaves the others their time."""
    return remaining_seconds / images_left
