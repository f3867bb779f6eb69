"""The spec object of a revision: what the workers need and no message may carry. Written once, by the gateway."""

from pydantic import Field

from imagetron_contracts.ids import JobId
from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.message import Value


class FileSpec(Value):
    """One picture to cut from a render: the master has its family's name."""

    name: str
    size: Dimensions
    format: ImageFormat = ImageFormat.WEBP


class FamilySpec(Value):
    """How a family's images are rendered (one seed each) and which files each render becomes, master first."""

    render: Dimensions
    seeds: tuple[int, ...] = Field(min_length=1)
    files: tuple[FileSpec, ...] = Field(min_length=1)


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


def spec_key(job_id: str, revision: int) -> str:
    """Where the spec of a revision lies in the work store."""
    return f"jobs/{job_id}/{revision}/spec.json"


def cancelled_key(job_id: str, revision: int) -> str:
    """The durable marker that every stage looks for before it starts and before it publishes."""
    return f"jobs/{job_id}/{revision}/cancelled"


def image_prefix(job_id: str, revision: int, family: str, attempt: int, index: int) -> str:
    """The folder of one image in the work store; stages write under it, under names that depend on the work alone."""
    return f"jobs/{job_id}/{revision}/{family}/{attempt}/{index}"


def public_key(job_id: str, digest: str, extension: str) -> str:
    """The immutable key in the public store: of one job, and of these pixels made this way."""
    return f"{job_id}/{digest}.{extension}"
