"""Bodies of the verbs on images: `/api/images/{imageId}/reroll`, `/vary`, `/upscale`, and the list of images."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from imagetron_contracts.media import Dimensions
from imagetron_gateway.api.schemas import (
    ApprovedPrompt,
    Body,
    FailureShown,
    FamilyName,
    GenerationOptions,
    Name,
    Shown,
    Whole,
    undefaulted,
)
from imagetron_gateway.domain.seeds import MAX_SEED
from imagetron_gateway.domain.verbs import FACTORS, Mode

_Images = Annotated[Whole, Field(ge=1, le=5, description="How many to make.")]
_Seed = Annotated[
    Whole,
    Field(
        ge=0,
        le=MAX_SEED,
        description="Of the first new image. Left out, one is drawn and reported.",
        json_schema_extra=undefaulted,
    ),
]


class RerollBody(Body):
    """The same inputs again with another seed."""

    images: _Images = 4
    seed: _Seed = -1
    name: Name | None = None


class VaryBody(Body):
    """Pictures that begin with this one. Of an image everything left out is as it was; an upload needs a prompt."""

    mode: Mode = Field(default=Mode.SUBTLE, description="How far they may go from it.")
    images: _Images = 4
    seed: _Seed = -1
    prompt: ApprovedPrompt | None = Field(default=None, description="Instead of the image's own. An upload has none.")
    family: FamilyName | None = Field(
        default=None,
        description="The shape of the pictures, of GET /api/images/families. Left out, the image's own; of an upload, "
        "`square`, or the first of a table without it.",
    )
    generation: GenerationOptions | None = Field(default=None, description="Instead of how the image was made.")
    name: Name | None = None


class UpscaleBody(Body):
    """A larger one: the master alone, without derivatives."""

    factor: Annotated[Whole, Field(ge=FACTORS[0], le=FACTORS[-1])] | None = Field(
        default=None,
        description="How many times as wide. Left out, the smallest that has the four megapixels that picture agencies ask for.",
    )
    name: Name | None = None


class LineageShown(Shown):
    """What a picture was made from."""

    verb: Literal["reroll", "vary", "upscale"]
    parent_image: str | None = Field(description="The image's id.")
    parent_job: str | None
    source: str | None = Field(description="The uploaded picture's id.")
    mode: str | None


class ImageShown(Shown):
    """One image, and what can be done with it. `url` is its master's, null while there is none."""

    id: str
    job: str
    name: str
    family: str
    index: int
    status: str
    url: str | None
    size: Dimensions | None
    seed: int
    digest: str | None
    model: str
    provider: str
    served_by: str = Field(description="Who made it, or is to make it: the provider's name of the model.")
    fingerprint: str | None = Field(description="What the pixels depend on besides the inputs.")
    seconds: float | None = Field(description="From asking the provider to having the picture.")
    gpu_seconds: float | None = Field(description="Of our own hardware.")
    answer_digest: str | None = Field(description="Of what an outside provider answered, for audits.")
    price_usd: float = Field(description="Charged if it is delivered, and only then.")
    lineage: LineageShown | None
    verbs: list[str] = Field(description="What can be done with it now.")
    error: FailureShown | None
    created_at: datetime


class ImageList(Shown):
    """The images of a page of jobs, the newest job first; `next` is the cursor of the following page."""

    items: list[ImageShown]
    next: str | None
