"""Bodies of `/image/*`, exactly as the two-step pipeline's clients know them: nothing more is taken, nothing is renamed."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from imagetron_gateway.api.schemas import ApprovedPrompt, Body, NotBlank, Shown, Whole

MAX_IMAGES: Final = 5
MAX_INTENT_CHARACTERS: Final = 500
MAX_PROMPT_CHARACTERS: Final = 4000


def _clamped(count: int) -> int:
    return min(max(count, 1), MAX_IMAGES)


Intent = Annotated[
    NotBlank, Field(max_length=MAX_INTENT_CHARACTERS, description="What the picture is for: `homepage category card`.")
]
RoughPrompt = Annotated[NotBlank, Field(max_length=MAX_PROMPT_CHARACTERS, description="In the person's own words.")]


class EnhanceBody(Body):
    """What a person wants, in a few words."""

    intent: Intent
    prompt: RoughPrompt


class EnhancedShown(Shown):
    """A proposal, for the person to read, change and approve. Nothing of it was kept, and no picture was paid for."""

    final_prompt: str
    source: str | None = Field(
        default=None, description="`offline`: no language model wrote this, a template did. Absent otherwise."
    )


class ExecuteBody(Body):
    """The approved prompt, and how it came about."""

    intent: Intent
    raw_prompt: RoughPrompt
    final_prompt: ApprovedPrompt
    image_count: Annotated[Whole, AfterValidator(_clamped)] = Field(
        default=1, description=f"A whole number, clamped to 1-{MAX_IMAGES}."
    )


class ExecutedShown(Shown):
    """The answer to an execution: the work goes on without the caller."""

    job_id: str
    status: str


class StatusShown(Shown):
    """How far a job is. `cdnUrls` are in the order of the images, those that failed left out."""

    job_id: str
    status: str = Field(description="QUEUED, RUNNING, DONE or FAILED.")
    cdn_urls: list[str] = Field(description="Immutable: these bytes for ever.")
    error: str | None = Field(default=None, description="Which images failed, and why. Absent if none did.")


class ListedShown(StatusShown):
    """A job of the list."""

    intent: str
