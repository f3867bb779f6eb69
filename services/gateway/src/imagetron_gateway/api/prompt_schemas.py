"""Bodies of `/api/prompts/*` and of `POST /api/images/imagine`."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from imagetron_contracts.rpc import (
    MAX_PROMPTS,
    MAX_SUBJECT_CHARACTERS,
    MAX_SUBJECTS,
    MAX_TITLE_CHARACTERS,
    Prompt,
    Source,
    SubjectsTurn,
)
from imagetron_gateway.api.output_schemas import CropBody, OutputBody, unsaid
from imagetron_gateway.api.schemas import (
    FAMILIES_SAID,
    ApprovedPrompt,
    Body,
    FamilyNames,
    GenerationOptions,
    Name,
    NotBlank,
    Shown,
    Text,
    Whole,
)
from imagetron_gateway.domain.pipeline import FAMILY

MAX_TOPIC_CHARACTERS: Final = 500
_SOURCE: Final = "`model`: a language model wrote it; `offline`: none did, a template."


def _one_line(value: str) -> str:
    if len(value.splitlines()) > 1:
        raise ValueError("must be one line")
    return value


def refuse_null(body: Body) -> None:
    """Raises ValueError: a null is a mistake, and no way to leave something out."""
    if nulls := sorted(to_camel(name) for name in body.model_fields_set if getattr(body, name) is None):
        raise ValueError(f"{', '.join(nulls)} must not be null; leave it out")


def _different(values: list[str]) -> list[str]:
    folded = [value.strip().casefold() for value in values]
    if len(set(folded)) < len(folded):
        raise ValueError("names a subject twice")
    return values


Subject = Annotated[NotBlank, Field(max_length=MAX_SUBJECT_CHARACTERS), AfterValidator(_one_line)]
Title = Annotated[NotBlank, Field(max_length=MAX_TITLE_CHARACTERS), AfterValidator(_one_line)]
PromptId = Annotated[NotBlank, Field(max_length=100, description="The id of one of your prompts.")]


class SubjectsBody(Body):
    """What to propose subjects for. The chat so far is known."""

    topic: NotBlank = Field(max_length=MAX_TOPIC_CHARACTERS, description="`autumn in the city, without people`")
    count: Whole = Field(default=10, ge=1, le=MAX_SUBJECTS)


class SubjectsShown(Shown):
    """One turn of the chat."""

    id: str
    topic: str
    subjects: list[str]
    source: Source = Field(description=_SOURCE)
    template: str = Field(description="The service's instructions that led to it, with their version.")
    created_at: datetime

    @classmethod
    def of(cls, turn: SubjectsTurn) -> Self:
        return cls.model_validate({**dict(turn), "subjects": list(turn.subjects)})


class SubjectsHistoryShown(Shown):
    """A page of the chat, newest turn first; `next` is the cursor of the following one."""

    items: list[SubjectsShown]
    next: str | None


class WriteBody(Body):
    """Which subjects to write prompts for."""

    subjects: Annotated[list[Subject], AfterValidator(_different)] = Field(min_length=1, max_length=MAX_PROMPTS)
    per_subject: Whole = Field(default=1, ge=1, le=MAX_PROMPTS)
    style: Text = Field(default="", max_length=MAX_SUBJECT_CHARACTERS, description="`analogue film`, for all of them.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = len(self.subjects) * self.per_subject
        if wanted > MAX_PROMPTS:
            raise ValueError(f"asks for {wanted} prompts; at most {MAX_PROMPTS} are written at once")
        return self


class PromptShown(Shown):
    """A prompt that its owner keeps. `status` is the owner's own label and says nothing about jobs."""

    id: str
    version: int
    title: str
    text: str = Field(description="Reaches the model byte for byte.")
    subject: str | None
    status: str
    source: Source = Field(description=_SOURCE)
    template: str = Field(description="The service's instructions that led to it, with their version.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, prompt: Prompt) -> Self:
        return cls.model_validate(dict(prompt))


class PromptList(Shown):
    """A page, newest first; `next` is the cursor of the following one. It may be shorter than was asked for."""

    items: list[PromptShown]
    next: str | None


class StatusesShown(Shown):
    """The labels that a prompt may have, as the operator configured them; the first is that of a new one."""

    items: list[str]
    next: None = None


class ChangeBody(Body):
    """What to change; what is left out stays."""

    title: Title | None = None
    text: ApprovedPrompt | None = None
    status: Annotated[Text, Field(max_length=30, description="One of GET /api/prompts/statuses.")] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change: title, text or status")
        refuse_null(self)
        return self


class ImagineBody(Body):
    """Images from a kept prompt."""

    prompt_id: PromptId
    prompt_version: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="The version that you read and approved: any other one is refused (409)."
    )
    images: Whole = Field(default=4, ge=1, le=5, description="In each family.")
    families: FamilyNames = Field(
        default=[FAMILY],
        min_length=1,
        description=f"{FAMILIES_SAID} Left out: `{FAMILY}`, or the first of a table without it.",
    )
    name: Name | None = Field(default=None, description="Of the variation; one is made up if there is none.")
    generation: GenerationOptions = Field(default_factory=GenerationOptions)
    output: OutputBody = Field(default=OutputBody(), json_schema_extra=unsaid)
    crop: CropBody = CropBody()

    @model_validator(mode="after")
    def _says_no_null(self) -> Self:
        refuse_null(self)
        return self
