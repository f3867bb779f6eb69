"""The spec object of a revision: what the workers need and no message may carry. Written once, by the gateway."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from imagetron_contracts.crops import Subject
from imagetron_contracts.ids import JobId
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Value

MAX_WATERMARK_CHARACTERS: Final = 100


class Profile(StrEnum):
    """What encoding aims at."""

    QUALITY = "quality"
    """Few bytes for how it looks."""
    FAST = "fast"
    """The same looks in half the time, for some more bytes."""


class Placement(StrEnum):
    """Where a watermark is written."""

    TOP_LEFT = "top_left"
    TOP_RIGHT = "top_right"
    BOTTOM_LEFT = "bottom_left"
    BOTTOM_RIGHT = "bottom_right"
    CENTRE = "centre"
    TILED = "tiled"
    """All over the picture."""


class Watermark(Value):
    """A line of text on every picture, legible on light and dark."""

    text: str = Field(min_length=1, max_length=MAX_WATERMARK_CHARACTERS)
    placement: Placement = Placement.BOTTOM_RIGHT


class Output(Value):
    """How the files of a job are made, beyond their sizes and formats."""

    profile: Profile = Profile.QUALITY
    watermark: Watermark | None = None
    embeds_prompt: bool = False
    """Writes the prompt into the files' metadata. Every file says that a model made it, with or without."""


class FileSpec(Value):
    """One file to cut from a render: the master has its family's name. Files of one name differ in format."""

    name: str
    size: Dimensions
    format: ImageFormat = ImageFormat.WEBP
    is_for_stock: bool = False
    """For picture agencies, which take no watermarks: it gets none."""


class FamilySpec(Value):
    """How a family's images are rendered (one seed each) and which files each render becomes, master first."""

    render: Dimensions
    seeds: tuple[int, ...] = Field(min_length=1)
    files: tuple[FileSpec, ...] = Field(min_length=1)
    subject: Subject | None = None
    """What the caller says of these pictures' subject."""


class Verb(StrEnum):
    """What is to be done. `IMAGINE` and `REROLL` make pictures of a prompt; the others begin with a picture."""

    IMAGINE = "imagine"
    REROLL = "reroll"
    """The same prompt again with other seeds. Providers that keep their tasks are told of which one."""
    VARY = "vary"
    UPSCALE = "upscale"

    @property
    def needs_a_source(self) -> bool:
        return self in {Verb.VARY, Verb.UPSCALE}


class Source(Value):
    """The picture that the work begins with, as an object in the work store (PPM, PNG, JPEG or WebP)."""

    key: str
    strength: float = Field(default=1.0, ge=0, le=1)
    """How far a variation may go from it: 0 would give it back, 1 only its size stays. Upscaling does not look at it."""


class ParentImage(Value):
    """The image of another job that this one goes back to: for providers that keep what they made."""

    job_id: JobId
    revision: int = Field(ge=1)
    family: str
    index: int = Field(ge=0)


class Serving(Value):
    """Another provider's model that may make the pictures if the first one cannot."""

    provider: str
    model: str
    """The provider's name of it."""
    steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    sizes: dict[str, Dimensions]
    """Its native size for each family."""


TRITON: Final = "triton"
"""The provider of our own models."""


class RenderSpec(Value):
    """Everything that decides the pixels of one revision. The prompt reaches the model byte for byte."""

    job_id: JobId
    revision: int = Field(ge=1)
    prompt: str
    negative_prompt: str
    model: str
    """The catalogue's name, as the caller asked for it."""
    served_by: str
    """The provider's name of the model that runs: another one only where a stand-in is allowed."""
    steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    families: dict[str, FamilySpec]
    provider: str = TRITON
    verb: Verb = Verb.IMAGINE
    source: Source | None = None
    parent: ParentImage | None = None
    fallback: Serving | None = None
    """Absent unless the caller allows another provider."""
    output: Output | None = None
    """Absent: as `Output` has it."""


def spec_key(job_id: str, revision: int) -> str:
    """Where the spec of a revision lies in the work store."""
    return f"jobs/{job_id}/{revision}/spec.json"


def callback_key(provider: str, inbox_id: str) -> str:
    """Where the body of a provider's callback lies in the work store, as it came."""
    return f"callbacks/{provider}/{inbox_id}"


def cancelled_key(job_id: str, revision: int) -> str:
    """The durable marker that every stage looks for before it starts and before it publishes."""
    return f"jobs/{job_id}/{revision}/cancelled"


def image_prefix(job_id: str, revision: int, family: str, attempt: int, index: int) -> str:
    """The folder of one image in the work store; stages write under it, under names that depend on the work alone."""
    return f"jobs/{job_id}/{revision}/{family}/{attempt}/{index}"


def public_key(job_id: str, digest: str, extension: str) -> str:
    """The immutable key in the public store: of one job, and of these pixels made this way."""
    return f"{job_id}/{digest}.{extension}"
