"""What goes into the model, what comes out, and the record that lets a repeated message answer without the model."""

from dataclasses import dataclass, field

from imagetron_contracts.media import Dimensions
from imagetron_contracts.message import Value
from imagetron_contracts.spec import image_prefix
from imagetron_contracts.stages import FamilyMessage, RenderedImage


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


@dataclass(frozen=True, slots=True)
class Rendered:
    """The model's picture: rows of RGB bytes from the top, and the environment that made them."""

    pixels: bytes = field(repr=False)
    size: Dimensions
    fingerprint: str


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


def share_of(remaining_seconds: float, images_left: int) -> float:
    """How long the next image may take: an equal share, so that one that hangs leaves the others their time."""
    return remaining_seconds / images_left
