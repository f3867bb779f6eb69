"""Request and response bodies of `/api/images/*`. Requests refuse unknown fields; responses are built here, never dumped."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from imagetron_contracts.media import Dimensions, ImageFormat
from imagetron_contracts.rpc import MAX_PROMPT_CHARACTERS
from imagetron_gateway.domain.catalogue import DEFAULT_MODEL
from imagetron_gateway.domain.families import MAX_FAMILIES
from imagetron_gateway.domain.naming import MAX_LENGTH, objection_to
from imagetron_gateway.domain.seeds import MAX_SEED


def _whole(value: object) -> object:
    """JSON has one kind of number: 3.0 is an integer, 2.5, true and "3" are not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _name(value: str) -> str:
    if objection := objection_to(value):
        raise ValueError(objection)
    return value


def _bounded(values: object) -> object:
    """Before anything looks at each of them."""
    if isinstance(values, list) and len(values) > MAX_FAMILIES:
        raise ValueError(f"names {len(values)} families; no table has more than {MAX_FAMILIES}")
    return values


def distinct(values: list[str]) -> list[str]:
    if repeated := sorted(value for value, times in Counter(values).items() if times > 1):
        raise ValueError(f"named twice (aliases count): {', '.join(repeated)}")
    return values


def storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not hold half of a surrogate pair")
    return value


def undefaulted(schema: dict[str, Any]) -> None:
    """The default depends on the model: a client generated from the schema must not send our placeholder."""
    schema.pop("default", None)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[str, Field(strict=True), AfterValidator(storable)]
NotBlank = Annotated[Text, AfterValidator(_not_blank)]
FamilyName = Annotated[Text, Field(max_length=100)]
"""Or an alias. Which ones there are is known where the table is."""
FamilyNames = Annotated[list[FamilyName], BeforeValidator(_bounded)]
FAMILIES_SAID: Final = "One to all of GET /api/images/families, by name or alias."
ApprovedPrompt = Annotated[
    NotBlank, Field(max_length=MAX_PROMPT_CHARACTERS, description="Reaches the model byte for byte.")
]
Name = Annotated[
    Text,
    AfterValidator(_name),
    Field(description=f"Unique; a segment of the pictures' URLs: at most {MAX_LENGTH} letters, digits, '-' and '_'."),
]


class Body(BaseModel):
    """A request body: camelCase, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class GenerationOptions(Body):
    """How to make it. What is left out takes the model's default; a left-out seed is drawn and reported."""

    negative_prompt: Text = Field(default="", max_length=MAX_PROMPT_CHARACTERS)
    seed: Whole = Field(
        default=-1,
        ge=0,
        le=MAX_SEED,
        description="The same inputs and seed give the same pictures.",
        json_schema_extra=undefaulted,
    )
    model: Text = Field(default=DEFAULT_MODEL, max_length=100, description="A name of GET /api/images/models.")
    inference_steps: Whole = Field(default=0, description="Within the model's range.", json_schema_extra=undefaulted)
    guidance_scale: Number = Field(default=0, description="Within the model's range.", json_schema_extra=undefaulted)
    allow_fallback: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="The model's `fallback`, of another provider, may make the pictures if this one cannot. The job and each "
        "image say who did.",
    )


class GenerationBody(GenerationOptions):
    """What to make, and how. What is left out takes the model's default; a left-out seed is drawn and reported."""

    prompt: ApprovedPrompt


class Shown(BaseModel):
    """A response body: camelCase."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class Links(Shown):
    """Where to go from here, absolute."""

    self: str
    by_name: str
    regenerate: str
    job: str
    cancel: str
    retry: str


class VariationAccepted(Shown):
    """The answer to a submission: the work goes on without the caller."""

    id: str
    status: str
    name: str
    links: Links


class FailureShown(Shown):
    """Why a family, or an image of it, has no pictures."""

    stage: str
    code: str
    message: str
    retryable: bool
    support_id: str | None


class FamilyShown(Shown):
    """How far a family is. `progress` runs from 0 to 1."""

    status: str
    progress: float
    attempt: int
    seeds: list[int]
    error: FailureShown | None


class PictureShown(Shown):
    """One published picture. A master has its family's name; `image` is its index within the family."""

    family: str
    name: str
    image: int
    url: str = Field(description="Immutable: these bytes for ever.")
    alias_url: str = Field(description="Moves to the newest finished revision.")
    width: int
    height: int
    format: ImageFormat
    bytes: int
    digest: str


class GenerationShown(Shown):
    """The inputs, complete: enough to make the same pictures again."""

    prompt: str
    negative_prompt: str
    seed: int
    model: str
    served_by: str
    inference_steps: int
    guidance_scale: float


class TimingsShown(Shown):
    """Where the time went."""

    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    model_seconds: float
    encode_seconds: float


class VariationShown(Shown):
    """A variation with everything that is known of it."""

    id: str
    name: str
    category: str
    status: str
    revision: int
    families: dict[str, FamilyShown]
    derivatives: list[PictureShown]
    generation: GenerationShown
    is_dx_job: bool
    error: str | None
    timings: TimingsShown
    created_at: datetime
    updated_at: datetime
    links: Links


class VariationList(Shown):
    """A page, newest first; `next` is the cursor of the following one."""

    items: list[VariationShown]
    next: str | None


class IntegerRangeShown(Shown):
    minimum: int
    maximum: int
    default: int


class NumberRangeShown(Shown):
    minimum: float
    maximum: float
    default: float


class PriceShown(Shown):
    """The price of a delivered image with at most this many pixels; the last one holds for larger ones too."""

    up_to: Dimensions
    usd: float


class ModelShown(Shown):
    """A model of the catalogue. `servedBy` names a stand-in where the model itself cannot run."""

    name: str
    title: str
    description: str
    tone: str
    licence: str
    provider: str
    delivery: str = Field(description="`direct`, `polled` or `called_back`: how the provider hands over.")
    verbs: list[str]
    vram_gib: float = Field(alias="vramGiB")
    inference_steps: IntegerRangeShown
    guidance_scale: NumberRangeShown
    native_sizes: list[Dimensions]
    negative_prompts: bool = Field(description="Whether it takes them.")
    reproducible: bool = Field(description="Whether the same inputs and seed give the same picture.")
    prices: list[PriceShown]
    fallback: str | None = Field(description="Who may take over where a request says `allowFallback`.")
    available: bool
    unavailable_because: str | None = Field(description="Why it cannot serve now; null if it can.")
    served_by: str | None


class ModelList(Shown):
    items: list[ModelShown]
    next: None = None


class DerivativeShown(Shown):
    """A picture that is cut from the same render as its family's master."""

    name: str
    size: Dimensions


class AspectFamilyShown(Shown):
    """A shape that a request can ask for: its master has the family's own name."""

    name: str
    aliases: list[str] = Field(description="Other words for it, wherever its name may be said.")
    ratio: str
    master: Dimensions
    derivatives: list[DerivativeShown]


class AspectFamilyList(Shown):
    items: list[AspectFamilyShown]
    next: None = None


class ModelHealthShown(Shown):
    """The latest synthetic inference of one model."""

    model: str
    available: bool
    response_time_seconds: float | None
    checked_at: datetime | None
    serves: list[str] = Field(description="Catalogue names that it answers for.")
    error: str | None


class MlHealthShown(Shown):
    """Whether pictures can be made now, and how quickly a small one was."""

    status: str = Field(description="`available`, `unavailable`, or `unknown` while no generator has reported.")
    response_time_seconds: float | None
    checked_at: datetime | None
    models: list[ModelHealthShown]


Responses = dict[int | str, dict[str, Any]]
